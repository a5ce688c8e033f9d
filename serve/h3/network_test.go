package h3

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// script runs f in a bubble of fake time, with a network that is part of it:
// what is waited for takes no time, and is exact.
func script(t *testing.T, name string, f func(t *testing.T, n *network)) {
	t.Helper()
	certificate()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { f(t, newNetwork(t)) })
	})
}

// network joins a server and clients. A packet takes latency.
type network struct {
	t               *testing.T
	server          net.PacketConn
	client, another net.PacketConn
	more            []net.PacketConn // in the same /24
	foreign         net.PacketConn   // in another one
}

const latency = 5 * time.Millisecond

func newNetwork(t *testing.T) *network {
	t.Helper()
	sim := &simnet.Simnet{Router: &simnet.PerfectRouter{}}
	socket := func(subnet, host byte) net.PacketConn {
		s := sim.NewEndpoint(&net.UDPAddr{IP: net.IPv4(192, 0, subnet, host), Port: 443}, simnet.NodeBiDiLinkSettings{Latency: latency})
		t.Cleanup(func() { s.Close() })
		return s
	}
	n := &network{t: t, server: socket(2, 1), client: socket(2, 2), another: socket(2, 3), foreign: socket(3, 1)}
	for i := range byte(4) {
		n.more = append(n.more, socket(2, 4+i))
	}
	servetest.Must(t, "the network", sim.Start())
	t.Cleanup(func() { sim.Close() })
	return n
}

func (n *network) listen(h http.HandlerFunc, tune ...func(*Config)) *site {
	n.t.Helper()
	return listenOn(n.t, n.server, h, tune...)
}

// connect is a client that keeps its connection alive, with a control stream.
func (n *network) connect(h http.HandlerFunc, tune ...func(*Config)) (*site, *client) {
	n.t.Helper()
	s := n.listen(h, tune...)
	c := s.dialFrom(n.client, keepAlive)
	c.control = c.openUni(kindControl, settings())
	return s, c
}

// wantOpen wants the connection open, once d has passed.
func (c *client) wantOpen(why string, d time.Duration) {
	c.t.Helper()
	time.Sleep(d)
	servetest.Want(c.t, why+": the connection is open", c.q.Context().Err(), nil)
}
