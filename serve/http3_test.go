package serve_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestStatsH3: connections and requests are counted, with those of the other
// protocols and apart.
func TestStatsH3(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, release := make(chan struct{}), make(chan struct{})
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			close(entered)
			<-release
		case "/panic":
			panic("handler's")
		}
	}, serve.ServerOptions{})
	p, other := dialH3(t, r.addr), dialH3(t, r.addr)
	tcp := dialH2(t, r.addr, true)
	tcp.want("over HTTP/2", tcp.get("/"), "200", "")
	for range 3 {
		p.get("/").want("over HTTP/3", "200", "")
	}
	servetest.Want(t, "a panic", p.get("/panic").outcome(), "reset H3_INTERNAL_ERROR")
	servetest.Want(t, "a malformed request", p.open(true, ":method: GET", ":scheme: https", ":path: /").outcome(), "reset H3_MESSAGE_ERROR")
	slow := other.get("/slow")
	within(t, "the slow handler runs", entered)
	r.wantCounted(t, 4)
	now := r.Stats()
	servetest.Want(t, "connections over HTTP/3", now.HTTP3Connections, 2)
	servetest.Want(t, "connections", now.Connections, 3)
	servetest.Want(t, "accepted", now.Accepted, 3)
	servetest.Want(t, "handshakes", now.Handshakes, 3)
	servetest.Want(t, "failed handshakes", now.HandshakeErrors, 0)
	servetest.Want(t, "panics", now.Panics, 1)
	servetest.Want(t, "malformed", now.Malformed, 1)
	servetest.Want(t, "violations", now.ProtocolErrors, 0)
	close(release)
	slow.want("the slow handler", "200", "")
	r.wantCounted(t, 5)
	p.Close()
	servetest.WantSoon(t, "a connection that has gone is not counted", func() bool { return r.Stats().HTTP3Connections == 1 })
	r.stop(t)
	now = r.Stats()
	servetest.Want(t, "requests in the end", now.Requests, 5)
	servetest.Want(t, "connections in the end", now.Connections+now.HTTP3Connections, 0)
	servetest.Want(t, "accepted in the end", now.Accepted, 3)
	servetest.Want(t, "finished in the stop", r.DrainReport(), serve.DrainReport{})
}

// TestCeilingH3: MaxConnections counts those of HTTP/3, with the others.
func TestCeilingH3(t *testing.T) {
	servetest.CheckLeaks(t)
	r := startAll(t, func(http.ResponseWriter, *http.Request) {}, serve.ServerOptions{MaxConnections: 3})
	p, tcp := dialH3(t, r.addr), dialH2(t, r.addr, true)
	p.get("/").want("the first connection", "200", "")
	dialH3(t, r.addr).get("/").want("the third connection", "200", "")
	over, err := quicDial(t, r.addr, nil)
	servetest.Must(t, "the handshake comes before", err)
	within(t, "the fourth connection ends", over.Context().Done())
	servetest.Want(t, "refused", r.Stats().Refused, 1)
	servetest.Want(t, "open", r.Stats().HTTP3Connections, 2)
	p.Close()
	servetest.WantSoon(t, "one has gone", func() bool { return r.Stats().HTTP3Connections == 1 })
	dialH3(t, r.addr).get("/").want("in the place that one left", "200", "")
	tcp.want("HTTP/2 goes on", tcp.get("/"), "200", "")
	r.stop(t)
}

// sessions is a client's cache that tells when a ticket has come.
type sessions struct {
	tls.ClientSessionCache
	mu  sync.Mutex
	got int
}

func newSessions() *sessions { return &sessions{ClientSessionCache: tls.NewLRUClientSessionCache(8)} }

func (s *sessions) Put(key string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put(key, state)
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != nil {
		s.got++
	}
}

func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// resumesH3 connects over QUIC, waits for a ticket, and tells whether the
// session was resumed.
func (s *sessions) resumesH3(t *testing.T, addr string) bool {
	t.Helper()
	cfg := clientTLS()
	cfg.ClientSessionCache = s
	before := s.count()
	q, err := quicDial(t, addr, cfg)
	servetest.Must(t, "dial", err)
	servetest.WantSoon(t, "a ticket over QUIC", func() bool { return s.count() > before })
	q.CloseWithError(quic.ApplicationErrorCode(0x100), "")
	return q.ConnectionState().TLS.DidResume
}

// resumesH2 is resumesH3 over TCP.
func (s *sessions) resumesH2(t *testing.T, addr string) bool {
	t.Helper()
	cfg := clientTLS()
	cfg.ClientSessionCache, cfg.NextProtos = s, []string{"h2"}
	before := s.count()
	c, err := tls.Dial("tcp", addr, cfg)
	servetest.Must(t, "dial", err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	_, err = io.ReadFull(c, make([]byte, 9)) // the server's SETTINGS; with them the ticket is read
	servetest.Must(t, "read", err)
	servetest.WantSoon(t, "a ticket over TCP", func() bool { return s.count() > before })
	return c.ConnectionState().DidResume
}

// TestResumptionH3: a session goes on over another group of sockets, and over
// the other transport as well: a ticket of TLS 1.3 is bound to no ALPN name but
// for 0-RTT (RFC 8446 §4.2.10), and to no transport.
func TestResumptionH3(t *testing.T) {
	servetest.CheckLeaks(t)
	r := startAll(t, func(http.ResponseWriter, *http.Request) {}, serve.ServerOptions{})
	more := bindPackets(t, "127.0.0.1:0")
	ended := make(chan error, 1)
	go func() { ended <- r.ServeHTTP3(more, "", "") }()
	other := more.Addr().String()

	s := newSessions()
	servetest.Want(t, "a first session", s.resumesH3(t, r.addr), false)
	servetest.Want(t, "on the same sockets", s.resumesH3(t, r.addr), true)
	servetest.Want(t, "on other sockets", s.resumesH3(t, other), true)
	servetest.Want(t, "from QUIC to TCP", s.resumesH2(t, r.addr), true)
	servetest.Want(t, "and back", s.resumesH3(t, r.addr), true)

	s = newSessions()
	servetest.Want(t, "a first session over TCP", s.resumesH2(t, r.addr), false)
	servetest.Want(t, "from TCP to QUIC", s.resumesH3(t, other), true)
	r.stop(t)
	servetest.WantErr(t, "the other ServeHTTP3", within(t, "ServeHTTP3 returns", ended), http.ErrServerClosed)
}

// TestTicketKeysH3: the set of keys is asked at each handshake: a key that was
// replaced as current still opens, one that was thrown away does not.
func TestTicketKeysH3(t *testing.T) {
	servetest.CheckLeaks(t)
	now := time.Now()
	keys := certs.NewTicketKeys(now)
	cfg := serverTLS()
	keys.Apply(cfg)
	var addrs []string
	for range 2 {
		addrs = append(addrs, listenH3(t, cfg))
	}
	s := newSessions()
	servetest.Want(t, "a first session", s.resumesH3(t, addrs[0]), false)
	servetest.Want(t, "the keys move on", keys.Rotate(now.Add(13*time.Hour)), true)
	servetest.Want(t, "a ticket of the former key, on the other socket", s.resumesH3(t, addrs[1]), true)
	servetest.Want(t, "a ticket of the new key, on the first", s.resumesH3(t, addrs[0]), true)
	keys.Replace(now)
	servetest.Want(t, "a ticket of a key that is no more", s.resumesH3(t, addrs[0]), false)
}

// listenH3 runs an engine until the test ends.
func listenH3(t *testing.T, cfg *tls.Config) (addr string) {
	t.Helper()
	g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: "127.0.0.1:0", Sockets: 1, ErrorLog: quiet()})
	servetest.Must(t, "bind", err)
	s, err := h3.Listen([]net.PacketConn{g.Conns()[0]}, cfg, h3.Complete(h3.Config{Handler: http.NotFoundHandler()}))
	servetest.Must(t, "listen", err)
	t.Cleanup(func() {
		s.Close()
		g.Close()
	})
	return g.Addr().String()
}

// A group that steers by another byte than the engine issues would lose the
// packets of each connection to other sockets.
func TestHTTP3WantsItsSteerByte(t *testing.T) {
	g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: "127.0.0.1:0", Sockets: 2, SteerByte: 3})
	servetest.Must(t, "bind", err)
	if !g.Steered() {
		g.Close()
		t.Skip("packets cannot be steered on this system")
	}
	pair, err := certs.SelfSigned([]string{"localhost"})
	servetest.Must(t, "certificate", err)
	srv := &serve.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	err = srv.ServeHTTP3(g, "", "")
	if err == nil || !strings.Contains(err.Error(), "SteerByte") {
		t.Errorf("got %v, want an error that names SteerByte", err)
	}
	servetest.Must(t, "close", srv.Close())
}
