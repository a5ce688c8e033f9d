package serve

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
)

// hellos returns the first bytes of a client's first and second connection.
func hellos(t *testing.T, version uint16) (fresh, resuming []byte) {
	t.Helper()
	cert, err := certs.SelfSigned([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	one := func() (first []byte) {
		a, b := net.Pipe()
		defer a.Close()
		tap := &tapped{Conn: b}
		var wg sync.WaitGroup
		wg.Go(func() {
			s := tls.Server(tap, server)
			s.Write([]byte("x"))
			s.Close()
		})
		c := tls.Client(a, client)
		a.SetDeadline(time.Now().Add(10 * time.Second))
		io.Copy(io.Discard, c)
		c.Close()
		wg.Wait()
		return tap.first
	}
	return one(), one()
}

type tapped struct {
	net.Conn
	first []byte
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if len(c.first) < helloPeek {
		c.first = append(c.first, p[:n]...)
	}
	return n, err
}

// Rule S-6: a hello that offers a ticket is known, in both versions of TLS.
func TestOffersResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		fresh, resuming := hellos(t, version)
		if offersResumption(fresh) {
			t.Errorf("%s: a first hello offers a ticket", tls.VersionName(version))
		}
		if !offersResumption(resuming) {
			t.Errorf("%s: the hello of a resuming client is not known", tls.VersionName(version))
		}
		for cut := range min(len(resuming), 200) { // no cut panics
			offersResumption(resuming[:cut])
		}
	}
	if offersResumption([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) {
		t.Error("a request in the clear offers a ticket")
	}
}

func FuzzOffersResumption(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 100, 1, 0, 0, 96})
	f.Fuzz(func(_ *testing.T, b []byte) { offersResumption(b) }) // it does not panic
}

// With all places taken, who resumes gets the next one, though it came last.
func TestHandshakeOrder(t *testing.T) {
	h := newHandshakeSlots()
	for range handshakePlaces() {
		h.enter(false)
	}
	order := make(chan string, 3)
	var wg sync.WaitGroup
	wait := func(name string, resuming bool, queued int) {
		wg.Go(func() {
			h.enter(resuming)
			order <- name
			h.leave()
		})
		for { // it stands in the queue before the next one comes
			h.mu.Lock()
			n := len(h.resuming) + len(h.full)
			h.mu.Unlock()
			if n == queued {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	wait("full", false, 1)
	wait("resuming", true, 2)
	h.leave()
	wg.Wait()
	if first := <-order; first != "resuming" {
		t.Errorf("first came %s", first)
	}
}
