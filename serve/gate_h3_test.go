package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// gatePatience bounds every wait of the gate's tests.
const gatePatience = 20 * time.Second

// serveGated serves HTTP/3 behind a gate that does not exempt loopback.
func serveGated(t *testing.T, perClient int) (*Server, string) {
	t.Helper()
	cert, err := certs.SelfSigned(nil)
	servetest.Must(t, "certificate", err)
	s := &Server{
		Handler: http.NotFoundHandler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Options: ServerOptions{ErrorLog: slog.New(slog.NewTextHandler(io.Discard, nil))},
	}
	s.sharedKeys() // makes the gate, which is replaced before anybody looks
	s.gate = listener.NewGate(listener.GateConfig{PerClient: perClient, LimitLoopback: true})
	g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: "127.0.0.1:0", ErrorLog: s.Options.ErrorLog})
	servetest.Must(t, "bind", err)
	ended := make(chan error, 1)
	go func() { ended <- s.ServeHTTP3(g, "", "") }()
	t.Cleanup(func() {
		s.Close()
		servetest.WantErr(t, "ServeHTTP3", <-ended, http.ErrServerClosed)
	})
	return s, g.Addr().String()
}

func dialGated(t *testing.T, addr string) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), gatePatience)
	defer cancel()
	q, err := quic.DialAddr(ctx, addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { q.CloseWithError(0x100, "") })
	return q
}

// TestGateH3: a client's connections over HTTP/3 count with its others, and what
// has gone counts no more, however it went.
func TestGateH3(t *testing.T) {
	servetest.CheckLeaks(t)
	const perClient = 4
	s, addr := serveGated(t, perClient)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	ended := make(chan error, 1)
	go func() { ended <- s.ServeTLS(l, "", "") }()
	open := func(n int) func() bool { return func() bool { return s.gate.Open() == n } }
	for range 25 { // a hundred connections
		var conns []*quic.Conn
		for range perClient {
			conns = append(conns, dialGated(t, addr))
		}
		servetest.WantSoon(t, "all are admitted", open(perClient))
		for _, q := range conns {
			q.CloseWithError(0x100, "")
		}
		servetest.WantSoon(t, "none is left", open(0))
	}
	servetest.Want(t, "none was refused", s.Stats().Refused, 0)
	for range perClient {
		dialGated(t, addr)
	}
	servetest.WantSoon(t, "all are admitted", open(perClient))
	wantExcessive(t, dialGated(t, addr))
	servetest.Want(t, "the one above is counted as refused", s.Stats().Refused, 1)
	servetest.Want(t, "and nowhere else", s.gate.Open(), perClient)
	c, err := net.Dial("tcp", l.Addr().String())
	servetest.Must(t, "TCP", err)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(gatePatience))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection over TCP above the client's ceiling: %v, want its end", err)
	}
	servetest.Must(t, "Close", s.Close())
	servetest.WantSoon(t, "the stop leaves none", open(0))
	servetest.WantErr(t, "ServeTLS", <-ended, http.ErrServerClosed)
}

// wantExcessive waits for the end that a connection above the ceiling is told.
func wantExcessive(t *testing.T, q *quic.Conn) {
	t.Helper()
	const excessiveLoad = 0x107 // RFC 9114 §8.1
	select {
	case <-q.Context().Done():
	case <-time.After(gatePatience):
		t.Fatal("the connection above the client's ceiling does not end")
	}
	end, ok := errors.AsType[*quic.ApplicationError](context.Cause(q.Context()))
	if !ok || !end.Remote || end.ErrorCode != excessiveLoad {
		t.Errorf("the connection above the client's ceiling: %v", context.Cause(q.Context()))
	}
}
