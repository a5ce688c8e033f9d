package serve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// serveProxied serves by one loop to one loopback proxy, behind a gate that does not
// exempt loopback.
func serveProxied(t *testing.T, perClient int, loop EventLoopMode) (*Server, string) {
	t.Helper()
	s := &Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }),
		Options: ServerOptions{
			Shards: 1, EventLoop: loop, ErrorLog: slog.New(slog.NewTextHandler(io.Discard, nil)),
			Proxies: listener.NewProxies(listener.ProxyConfig{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: gatePatience}),
		},
	}
	s.sharedKeys() // makes the gate, which is replaced before anybody looks
	s.gate = listener.NewGate(listener.GateConfig{PerClient: perClient, LimitLoopback: true})
	g, err := listener.Listen(t.Context(), listener.Config{Address: "127.0.0.1:0"})
	servetest.Must(t, "listen", err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(g) }()
	t.Cleanup(func() {
		s.Close()
		servetest.WantErr(t, "Serve", <-ended, http.ErrServerClosed)
	})
	return s, g.Addr().String()
}

// proxyFor opens a connection for a client, and tells whether it is served.
func proxyFor(t *testing.T, addr, header string) (net.Conn, bool) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(gatePatience))
	io.WriteString(c, header+"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	servetest.Must(t, "body", errors.Join(err, resp.Body.Close()))
	return c, true
}

// TestProxiedGate: behind a proxy the ceiling of a client is the client's; that of
// the proxy's own address does not hold. What goes is counted no more (S-4).
func TestProxiedGate(t *testing.T) {
	for _, loop := range []EventLoopMode{EventLoopOn, EventLoopOff} {
		t.Run(fmt.Sprintf("loop=%d", loop), func(t *testing.T) { testProxiedGate(t, loop) })
	}
}

func testProxiedGate(t *testing.T, loop EventLoopMode) {
	servetest.CheckLeaks(t)
	s, addr := serveProxied(t, 2, loop)
	header := func(client int) string { return fmt.Sprintf("PROXY TCP4 192.0.2.%d 198.51.100.7 1 2\r\n", client) }
	conns := make(map[int][]net.Conn)
	for client := 1; client <= 5; client++ {
		for range 2 {
			c, ok := proxyFor(t, addr, header(client))
			servetest.Want(t, "up to the ceiling", ok, true)
			conns[client] = append(conns[client], c)
		}
		_, ok := proxyFor(t, addr, header(client))
		servetest.Want(t, "above the ceiling", ok, false)
	}
	servetest.WantSoon(t, "refused ones do not count", func() bool { return s.gate.Open() == 10 })
	servetest.Want(t, "refused", s.Stats().Refused, 5)
	for range 4 {
		c, ok := proxyFor(t, addr, "PROXY UNKNOWN\r\n")
		servetest.Want(t, "the proxy itself", ok, true)
		defer c.Close()
	}
	conns[1][0].Close()
	servetest.WantSoon(t, "one has gone", func() bool { return s.gate.Open() == 13 })
	_, ok := proxyFor(t, addr, header(1))
	servetest.Want(t, "in its place", ok, true)

	// Connections without a header count, as nobody's, until they end.
	c, err := net.Dial("tcp", addr)
	servetest.Must(t, "dial", err)
	servetest.WantSoon(t, "it counts", func() bool { return s.gate.Open() == 15 && s.handshaking.Load() == 1 })
	c.Close()
	servetest.WantSoon(t, "and no more", func() bool { return s.gate.Open() == 14 && s.handshaking.Load() == 0 })
	s.Close()
	servetest.WantSoon(t, "after the end", func() bool { return s.gate.Open() == 0 })
}

// TestPortableCeiling: the ceilings hold without an event loop, too (S-4).
func TestPortableCeiling(t *testing.T) {
	servetest.CheckLeaks(t)
	s := &Server{
		Handler: http.NotFoundHandler(),
		Options: ServerOptions{EventLoop: EventLoopOff, MaxConnections: 2, ErrorLog: slog.New(slog.NewTextHandler(io.Discard, nil))},
	}
	g, err := listener.Listen(t.Context(), listener.Config{Address: "127.0.0.1:0"})
	servetest.Must(t, "listen", err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(g) }()
	first, ok := proxyFor(t, g.Addr().String(), "")
	servetest.Want(t, "the first", ok, true)
	_, ok = proxyFor(t, g.Addr().String(), "")
	servetest.Want(t, "the second", ok, true)
	_, ok = proxyFor(t, g.Addr().String(), "")
	servetest.Want(t, "the third", ok, false)
	servetest.Want(t, "refused", s.Stats().Refused, 1)
	first.Close()
	servetest.WantSoon(t, "its place is free", func() bool { return s.gate.Open() == 1 })
	_, ok = proxyFor(t, g.Addr().String(), "")
	servetest.Want(t, "in its place", ok, true)
	servetest.Must(t, "close", s.Close())
	servetest.WantErr(t, "Serve", <-ended, http.ErrServerClosed)
	servetest.WantSoon(t, "after the end", func() bool { return s.gate.Open() == 0 })
}
