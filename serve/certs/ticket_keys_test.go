package certs

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var pairTestNow = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// ticketPeers are a server configuration using a key set, and a client that
// keeps tickets.
type ticketPeers struct {
	server, client *tls.Config
}

func newTicketPeers(t *testing.T, cert tls.Certificate, version uint16, keys *TicketKeys) ticketPeers {
	t.Helper()
	p := ticketPeers{
		server: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, MaxVersion: version},
		client: &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)},
	}
	if keys != nil {
		keys.Apply(p.server)
	}
	return p
}

// resumed makes one connection between the two and tells whether a session was resumed.
func resumed(t *testing.T, server, client *tls.Config) bool {
	t.Helper()
	clientEnd, serverEnd := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer serverEnd.Close() // not the TLS conn: its farewell waits for a reader
		conn := tls.Server(serverEnd, server)
		if err := conn.Handshake(); err != nil {
			t.Errorf("server: %v", err)
			return
		}
		_, _ = conn.Write([]byte("x")) // TLS 1.3: the client reads its ticket before this byte
	})
	conn := tls.Client(clientEnd, client)
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		t.Errorf("client: %v", err)
	}
	didResume := conn.ConnectionState().DidResume
	_ = clientEnd.Close()
	wg.Wait()
	return didResume
}

func TestTicketsAreSharedByConfigs(t *testing.T) {
	cert, err := SelfSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			keys := NewTicketKeys(time.Now())
			p := newTicketPeers(t, cert, version, keys)
			second := newTicketPeers(t, cert, version, keys).server
			stranger := newTicketPeers(t, cert, version, NewTicketKeys(time.Now())).server
			if resumed(t, p.server, p.client) {
				t.Fatal("the first connection resumed")
			}
			if !resumed(t, second, p.client) {
				t.Error("not resumed at a second configuration of the set")
			}
			if !resumed(t, second.Clone(), p.client) {
				t.Error("not resumed at a clone")
			}
			if resumed(t, stranger, p.client) {
				t.Error("resumed at a configuration of another set")
			}
		})
	}
}

func TestTicketsOutliveThreeRotations(t *testing.T) {
	synctest.Test(t, testTicketsOutliveThreeRotations)
}

func testTicketsOutliveThreeRotations(t *testing.T) {
	cert, err := SelfSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		age  time.Duration
		want bool
	}{
		{0, true},
		{ticketKeyLifetime, true},
		{4*ticketKeyLifetime - time.Second, true},
		{4 * ticketKeyLifetime, false},
		{100 * ticketKeyLifetime, false},
	} {
		p := newTicketPeers(t, cert, tls.VersionTLS12, NewTicketKeys(time.Now()))
		resumed(t, p.server, p.client)
		time.Sleep(test.age)
		if got := resumed(t, p.server, p.client); got != test.want {
			t.Errorf("ticket of age %v resumed %v, want %v", test.age, got, test.want)
		}
	}
}

func TestRotateOrder(t *testing.T) {
	start := time.Now()
	k := NewTicketKeys(start)
	first, second := k.keys[currentKey], k.keys[nextKey]
	if k.held != 2 || first == second || first == (ticketKey{}) {
		t.Fatalf("held %d keys at the start, or keys that are not random", k.held)
	}
	if k.Rotate(start.Add(ticketKeyLifetime - 1)) {
		t.Error("rotated early")
	}
	if !k.Rotate(start.Add(ticketKeyLifetime)) {
		t.Fatal("not rotated after a lifetime")
	}
	if k.keys[currentKey] != second || k.keys[firstFormerKey] != first || k.held != 3 {
		t.Error("next did not become current, or current did not become former")
	}
	k.Rotate(start.Add(4 * ticketKeyLifetime))
	if k.keys[len(k.keys)-1] != second || k.held != len(k.keys) {
		t.Error("three steps more: the oldest kept key is not the second one")
	}
	for i, key := range k.keys {
		if key == (ticketKey{}) || key == first {
			t.Errorf("key %d is zero or should be gone", i)
		}
	}
	for i := range k.keys {
		for j := range i {
			if k.keys[i] == k.keys[j] {
				t.Errorf("keys %d and %d are the same", i, j)
			}
		}
	}
}

func TestRotateIgnoresTimeBefore(t *testing.T) {
	start := time.Now()
	k := NewTicketKeys(start)
	before := k.keys
	if k.Rotate(start.Add(-1000*time.Hour)) || k.keys != before {
		t.Error("a time in the past moved the set")
	}
}

func TestReplaceForgetsTickets(t *testing.T) {
	cert, err := SelfSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := NewTicketKeys(time.Now())
	p := newTicketPeers(t, cert, tls.VersionTLS13, keys)
	resumed(t, p.server, p.client)
	keys.Replace(time.Now())
	if resumed(t, p.server, p.client) {
		t.Error("a ticket of the forgotten keys was accepted")
	}
}

func TestTicketKeysUnderConcurrentHandshakes(t *testing.T) {
	cert, err := SelfSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	keys := NewTicketKeys(start)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p := newTicketPeers(t, cert, tls.VersionTLS13, keys)
			for range 5 {
				resumed(t, p.server, p.client)
			}
		})
	}
	for i := range 50 {
		keys.Rotate(start.Add(time.Duration(i) * ticketKeyLifetime))
	}
	wg.Wait()
}
