package serve_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Why packets are steered: where the hash of the addresses alone chooses the
// socket, one that does not know the connection answers a client that has moved
// with a stateless reset, which is valid, since all sockets share the key. That
// a connection outlives this many moves has the odds of one to 4^30.
func TestH3UnsteeredRebinding(t *testing.T) {
	s := newWireServer(t, hashedSockets(t, wireSockets), serverTLS(), h3.Config{})
	relay := startRelay(t, &servetest.Relay{Server: s.addr})
	c := newWireClient(t, relay.Addr())
	err := rebindOften(c, relay, 30)
	servetest.Want(t, "without steering a moving client loses its connection", err != nil || c.dials.Load() > 1, true)
	servetest.Want(t, "for its packets came to the wrong sockets", s.misrouted() > 0, true)
	t.Logf("lost, as it must be: %v (%d dials)", err, c.dials.Load())
}

// hashedSockets are n sockets in one group of SO_REUSEPORT, and nothing more.
func hashedSockets(t *testing.T, n int) []*net.UDPConn {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var optErr error
		err := raw.Control(func(fd uintptr) {
			optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, optErr)
	}}
	var conns []*net.UDPConn
	address := "127.0.0.1:0"
	for range n {
		c, err := lc.ListenPacket(t.Context(), "udp", address)
		servetest.Must(t, "bind", err)
		t.Cleanup(func() { c.Close() })
		address = c.LocalAddr().String()
		conns = append(conns, c.(*net.UDPConn))
	}
	return conns
}
