package serve_test

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// thousands of first packets from many ports. Above a few handshakes
// each costs a Retry and no memory, and a good client connects meanwhile.
func TestH3InitialFlood(t *testing.T) {
	const ports, least, most, retryAbove = 100, 5_000, 1_000_000, 8
	s := newWireServer(t, steeredSockets(t, wireSockets), chainTLS(9_000), h3.Config{
		RetryAbove: retryAbove, RetryRate: -1, MaxHandshakes: 4 * retryAbove,
		HandshakeTimeout: time.Minute, // none of them ends before the test does
	})
	flood := newFlood(t, s, ports)
	before := runtime.NumGoroutine()
	good := make(chan error, 1)
	c := newWireClient(t, net.UDPAddrFromAddrPort(s.addr))
	sent := flood.send(t, least/5)
	go func() {
		var err error
		for i := 0; i < 20 && err == nil; i++ {
			_, err = c.where()
		}
		good <- err
	}()
	done := false
	var err error
	for sent < least || !done && sent < most { // the good client lives through it all
		sent += flood.send(t, 10)
		select {
		case err = <-good:
			done = true
		default:
		}
	}
	if !done {
		err = within(t, "the good client is answered", good)
	}
	servetest.Must(t, "the good client", err)
	servetest.Want(t, "the good client was never dialled again", c.dials.Load(), 1)
	servetest.Want(t, "no handshake was refused", s.counters.Refused.Load(), 0)
	servetest.Want(t, "Retry was asked for", s.counters.Retries.Load() > 0, true)
	servetest.WantSoon(t, "a Retry has come", flood.gotRetry)
	// The open handshakes, the good client and the test's own.
	grown := runtime.NumGoroutine() - before
	servetest.Want(t, "goroutines do not grow with the flood", grown < 20*retryAbove, true)
	t.Logf("%d Initials, %d Retries, %d goroutines more", sent, s.counters.Retries.Load(), grown)
	wantHandshakes(t, s, retryAbove, retryAbove+wireSockets-1) // every socket asks for itself
}

// Above the last ceiling handshakes are refused.
func TestH3HandshakeCeiling(t *testing.T) {
	const ceiling = 16
	s := newWireServer(t, steeredSockets(t, 1), chainTLS(9_000), h3.Config{
		RetryAbove: -1, RetryRate: -1, MaxHandshakes: ceiling, HandshakeTimeout: time.Minute,
	})
	newFlood(t, s, 50).send(t, 500)
	servetest.WantSoon(t, "handshakes are refused", func() bool { return s.counters.Refused.Load() > 0 })
	wantHandshakes(t, s, ceiling, ceiling)
}

// wantHandshakes stops the server, which ends all handshakes: so many there were.
func wantHandshakes(t *testing.T, s *wireServer, least, most uint64) {
	t.Helper()
	servetest.Must(t, "close", s.Close())
	servetest.WantSoon(t, "all handshakes have ended", func() bool { return s.counters.HandshakeErrors.Load() >= least })
	in, out := 0, 0
	for _, c := range s.total() {
		in, out = in+c.inBytes, out+c.outBytes
	}
	servetest.Want(t, "the server has sent less than it got", out < in, true)
	servetest.Want(t, "no more handshakes than may be open", s.counters.HandshakeErrors.Load() <= most, true)
}

// flood sends Initials of ever new handshakes from many ports.
type flood struct {
	server *wireServer
	craft  *initialCrafter
	ports  []*net.UDPConn
	next   int
}

func newFlood(t *testing.T, s *wireServer, ports int) *flood {
	t.Helper()
	f := &flood{server: s, craft: newInitialCrafter(t)}
	for range ports {
		f.ports = append(f.ports, wireUDP(t))
	}
	return f
}

func (f *flood) send(t *testing.T, n int) int {
	t.Helper()
	for range n {
		udp := f.ports[f.next%len(f.ports)]
		f.next++
		_, err := udp.WriteToUDPAddrPort(f.craft.datagram(1200, nil), f.server.addr)
		servetest.Must(t, "send", err)
	}
	return n
}

// gotRetry tells whether any port has received a Retry packet.
func (f *flood) gotRetry() bool {
	buf := make([]byte, 2048)
	for _, udp := range f.ports {
		udp.SetReadDeadline(time.Now().Add(time.Millisecond))
		for {
			n, _, err := udp.ReadFromUDPAddrPort(buf)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err == nil && longType(buf[:n]) == longRetry {
				return true
			}
		}
	}
	return false
}
