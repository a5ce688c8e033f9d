package serve_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// wireSockets: more than the machine has cores, so that nothing hangs on GOMAXPROCS.
const wireSockets = 4

// A NAT that forgets gives the client another port, and what the server sends to
// the old one is lost. No connection ends by it, and all of a connection's
// packets come to one socket, whatever the kernel's hash says of the addresses.
func TestH3Rebinding(t *testing.T) {
	const clients, rebinds = 40, 25
	s := newWireServer(t, steeredSockets(t, wireSockets), serverTLS(), h3.Config{})
	relay := startRelay(t, &servetest.Relay{Server: s.addr})
	used := make(map[int]bool)
	var mu sync.Mutex
	var group sync.WaitGroup
	for range clients {
		c := newWireClient(t, relay.Addr())
		group.Go(func() {
			if err := rebindOften(c, relay, rebinds); err != nil {
				t.Error(err)
			}
			servetest.Want(t, "the connection was never dialled again", c.dials.Load(), 1)
			sockets := s.reached(relay.Vias(c.at()))
			servetest.Want(t, "all packets of a connection come to one socket; number of sockets", len(sockets), 1)
			mu.Lock()
			defer mu.Unlock()
			for _, i := range sockets {
				used[i] = true
			}
		})
	}
	group.Wait()
	servetest.Want(t, "the connections are spread over sockets", len(used) > 1, true)
	servetest.Want(t, "every packet comes to the socket its connection ID names; others", s.misrouted(), 0)
	servetest.Want(t, "connections", s.counters.Accepted.Load(), clients)
	servetest.Want(t, "all of them live", s.Live(), clients)
	servetest.WantSoon(t, "every request is counted, once", func() bool { return s.counters.Requests.Load() == clients*(1+2*rebinds) })
}

// rebindOften moves the client behind the relay n times. Since the old address
// is dead, an answer tells that the server has validated the new one, and the
// next request has to come from there.
func rebindOften(c *wireClient, relay *servetest.Relay, n int) error {
	was, err := c.where()
	if err != nil {
		return fmt.Errorf("first request: %w", err)
	}
	for i := range n {
		via, err := relay.Rebind(c.at())
		if err != nil {
			return err
		}
		first, err := c.where()
		if err != nil {
			return fmt.Errorf("first request after rebind %d: %w", i, err)
		}
		second, err := c.where()
		switch {
		case err != nil:
			return fmt.Errorf("second request after rebind %d: %w", i, err)
		case first != was && first != via:
			return fmt.Errorf("rebind %d: the handler sees %s, neither the old address %s nor the new one %s", i, first, was, via)
		case second != via:
			return fmt.Errorf("rebind %d: the handler sees %s after the answer came to %s", i, second, via)
		}
		was = via
	}
	return nil
}

func startRelay(t *testing.T, r *servetest.Relay) *servetest.Relay {
	t.Helper()
	servetest.Must(t, "start the relay", r.Start())
	t.Cleanup(func() { r.Close() })
	return r
}

// a forged address does not answer the server's challenge, so handlers
// never see it, and answers go on to the one that is validated.
func TestH3ForgedAddress(t *testing.T) {
	s := newWireServer(t, steeredSockets(t, wireSockets), serverTLS(), h3.Config{})
	var mu sync.Mutex
	var forged netip.AddrPort // nothing comes from there to the client
	challenged := 0
	relay := startRelay(t, &servetest.Relay{Server: s.addr, KeepOld: true, Tap: func(d servetest.Datagram) bool {
		mu.Lock()
		defer mu.Unlock()
		if !d.Up && d.Via == forged {
			challenged++
			return false
		}
		return true
	}})
	c := newWireClient(t, relay.Addr())
	proved, err := c.where()
	servetest.Must(t, "request", err)
	mu.Lock()
	via, err := relay.Rebind(c.at())
	forged = via
	mu.Unlock()
	servetest.Must(t, "rebind", err)
	for range 20 {
		got, err := c.where()
		servetest.Must(t, "request from a forged address", err)
		servetest.Want(t, "an address that is not validated is not seen", got, proved)
	}
	mu.Lock()
	servetest.Want(t, "the server has challenged it", challenged > 0, true)
	// RFC 9000 §8.2.1: quic-go pads a challenge to 1200 bytes, however little has
	// come from there. So what the address gets is bounded by their number alone.
	n := s.total()[forged]
	servetest.Want(t, "nothing but challenges went there; bytes", n.outBytes, 1200*n.out)
	servetest.Want(t, "they back off", n.out < n.in/2, true)
	t.Logf("the unvalidated path: %d datagrams, %d bytes from it; %d, %d to it", n.in, n.inBytes, n.out, n.outBytes)
	forged = netip.AddrPort{}
	mu.Unlock()
	servetest.WantSoon(t, "the address is seen once it answers", func() bool {
		got, err := c.where()
		servetest.Must(t, "request", err)
		return got == via
	})
	servetest.Want(t, "the connection was never dialled again", c.dials.Load(), 1)
}

// A client that moves by its own will probes the new way first, with one of the
// connection IDs the server has issued for that. An upload goes on through all
// of it.
func TestH3ActiveMigration(t *testing.T) {
	const clients, moves = 4, 5
	s := newWireServer(t, steeredSockets(t, wireSockets), serverTLS(), h3.Config{})
	for range clients {
		c := newWireClient(t, net.UDPAddrFromAddrPort(s.addr))
		at, err := c.where()
		servetest.Must(t, "first request", err)
		servetest.Want(t, "the handler sees the client's address", at, c.at())
		body, upload := io.Pipe()
		sum := make(chan string, 1)
		go func() {
			got, err := c.post("/take", body)
			if err != nil {
				got = err.Error()
			}
			sum <- got
		}()
		addrs := []netip.AddrPort{at}
		for range moves {
			at = moveClient(t, c, at, upload)
			addrs = append(addrs, at)
		}
		upload.Close()
		want := sha256.Sum256([]byte(strings.Repeat("x", moves)))
		servetest.Want(t, "the upload is whole", within(t, "answer to the upload", sum), hex.EncodeToString(want[:]))
		servetest.Want(t, "the connection was never dialled again", c.dials.Load(), 1)
		servetest.Want(t, "all packets of a connection come to one socket; number of sockets", len(s.reached(addrs)), 1)
	}
	servetest.Want(t, "every packet comes to the socket its connection ID names; others", s.misrouted(), 0)
}

// moveClient takes c's connection from the address was to a new one, and sends
// a byte of the upload from there.
func moveClient(t *testing.T, c *wireClient, was netip.AddrPort, upload io.Writer) netip.AddrPort {
	t.Helper()
	udp := &tellingSocket{UDPConn: wireUDP(t), used: make(chan struct{})}
	tr := &quic.Transport{Conn: udp}
	t.Cleanup(func() { tr.Close() })
	path, err := c.conn.Load().AddPath(tr)
	servetest.Must(t, "add a path", err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	servetest.Must(t, "probe", path.Probe(ctx))
	got, err := c.where()
	servetest.Must(t, "request", err)
	servetest.Want(t, "a probe does not move the connection", got, was)
	servetest.Must(t, "switch", path.Switch())
	_, err = io.WriteString(upload, "x")
	servetest.Must(t, "upload", err)
	within(t, "the client sends from the new address", udp.used)
	now := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	servetest.WantSoon(t, "the handler sees the new address", func() bool {
		got, err := c.where()
		servetest.Must(t, "request after the switch", err)
		return got == now
	})
	return now
}

// tellingSocket tells when more than probes, which are large, leaves through
// it: then the client's connection has switched. Before, quic-go's http3 must
// not begin a request, since it reads without a lock what the switch sets.
type tellingSocket struct {
	*net.UDPConn
	once sync.Once
	used chan struct{}
}

func (s *tellingSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if len(b) < 1000 {
		s.once.Do(func() { close(s.used) })
	}
	return s.UDPConn.WriteMsgUDP(b, oob, addr)
}
