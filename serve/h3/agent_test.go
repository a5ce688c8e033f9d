package h3

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// service is a server on the loopback, for clients that are not scripted.
type service struct {
	*Server
	tb   testing.TB
	addr net.Addr
	log  *logged
}

// logged is what a server has logged.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a server, which is closed at the end of the test.
func serve(tb testing.TB, h http.HandlerFunc, tune ...func(*Config)) *service {
	tb.Helper()
	log := new(logged)
	cfg := Config{Handler: h, ErrorLog: slog.New(slog.NewTextHandler(log, nil))}
	for _, f := range tune {
		f(&cfg)
	}
	socket := socketFor(tb)
	s, err := Listen([]net.PacketConn{socket}, &tls.Config{Certificates: []tls.Certificate{certificate()}}, Complete(cfg))
	servetest.Must(tb, "Listen", err)
	tb.Cleanup(func() { servetest.WantErr(tb, "Close", s.Close(), nil) })
	return &service{s, tb, socket.LocalAddr(), log}
}

// socketFor is a UDP socket that is closed at the end of the test.
func socketFor(tb testing.TB) net.PacketConn {
	tb.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	servetest.Must(tb, "a socket", err)
	tb.Cleanup(func() { socket.Close() })
	return socket
}

// agent is a client as quic-go has it, with one connection at a time.
type agent struct {
	tb   testing.TB
	addr net.Addr
	quic *quic.Transport
	cfg  *quic.Config

	// mu guards the following.
	mu   sync.Mutex
	q    *quic.Conn // nil: the next request dials
	http *http3.ClientConn
}

// agent makes a client with a socket of its own.
func (s *service) agent(tune ...func(*quic.Config)) *agent { return agentTo(s.tb, s.addr, tune...) }

func agentTo(tb testing.TB, addr net.Addr, tune ...func(*quic.Config)) *agent {
	tb.Helper()
	cfg := &quic.Config{MaxIdleTimeout: 5 * time.Minute}
	for _, f := range tune {
		f(cfg)
	}
	a := &agent{tb: tb, addr: addr, cfg: cfg, quic: &quic.Transport{Conn: socketFor(tb)}}
	tb.Cleanup(func() {
		a.leave()
		a.quic.Close()
	})
	return a
}

// dial opens the connection, unless it is open.
func (a *agent) dial(ctx context.Context) (*http3.ClientConn, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.q == nil {
		q, err := a.quic.Dial(ctx, a.addr, clientTLS(), a.cfg)
		if err != nil {
			return nil, err
		}
		a.q, a.http = q, (&http3.Transport{DisableCompression: true}).NewClientConn(q)
	}
	return a.http, nil
}

// RoundTrip asks on the connection, and nowhere else.
func (a *agent) RoundTrip(r *http.Request) (*http.Response, error) {
	conn, err := a.dial(r.Context())
	if err != nil {
		return nil, err
	}
	return conn.RoundTrip(r)
}

// conn is the connection.
func (a *agent) conn() *quic.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.q
}

// leave closes the connection; the next request has a new one.
func (a *agent) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.q != nil {
		a.q.CloseWithError(0x100, "")
	}
	a.q, a.http = nil, nil
}

// ended waits for the connection's end, and tells why.
func (a *agent) ended() error {
	a.tb.Helper()
	wait(a.tb, "the connection's end", a.conn().Context().Done())
	return context.Cause(a.conn().Context())
}

// request makes one. A body of no length is given as a reader.
func (a *agent) request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	a.tb.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "https://localhost"+path, body)
	servetest.Must(a.tb, "a request", err)
	return r
}

// reply is an answer that was read to its end.
type reply struct {
	*http.Response
	body string
	err  error // of reading it, or of the request: Response is nil then
}

// do asks and reads the answer. It may be called from any goroutine.
func (a *agent) do(r *http.Request) reply {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	resp, err := a.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp, string(b), err}
}

func (a *agent) get(path string) reply {
	a.tb.Helper()
	return a.do(a.request(context.Background(), "GET", path, nil))
}

// wantHello asks for a path that is answered hello.
func (a *agent) wantHello(why, path string) {
	a.tb.Helper()
	a.get(path).want(a.tb, why, 200, "hello")
}

// want fails the test unless the answer is whole, and this one.
func (r reply) want(tb testing.TB, why string, status int, body string) {
	tb.Helper()
	if r.err != nil {
		tb.Errorf("%s: %v", why, r.err)
		return
	}
	if r.StatusCode != status || r.body != body {
		tb.Errorf("%s: got %d and %d bytes, %.40q; want %d and %d bytes, %.40q", why, r.StatusCode, len(r.body), r.body, status, len(body), body)
	}
}

// only is the connection that a server has.
func (s *service) only() *conn {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) != 1 {
		s.tb.Fatalf("%d connections, want one", len(s.conns))
	}
	for c := range s.conns {
		return c
	}
	return nil
}

// wantDrained waits for the end of a drain.
func (s *service) wantDrained(why string) {
	s.tb.Helper()
	select {
	case <-s.Drained():
	case <-time.After(patience):
		s.tb.Fatalf("%s: not drained in %v", why, patience)
	}
	servetest.Want(s.tb, why+": connections", s.Live(), 0)
	servetest.Want(s.tb, why+": connections counted", s.cfg.Counters.Open.Load(), 0)
}

// wait waits for a channel to be closed.
func wait(tb testing.TB, why string, ch <-chan struct{}) {
	tb.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		tb.Errorf("%s: not in %v", why, patience)
	}
}
