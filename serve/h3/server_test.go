package h3

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestListen(t *testing.T) {
	t.Run("no sockets", func(t *testing.T) {
		_, err := Listen(nil, new(tls.Config), Complete(Config{}))
		servetest.WantErr(t, "Listen", err, errNoSockets)
	})
	t.Run("a socket that fails", func(t *testing.T) {
		servetest.CheckLeaks(t)
		good, closed := socketFor(t), socketFor(t)
		closed.Close()
		_, err := Listen([]net.PacketConn{good, closed}, &tls.Config{Certificates: []tls.Certificate{certificate()}}, Complete(Config{Handler: http.NotFoundHandler()}))
		servetest.WantErr(t, "Listen", err, net.ErrClosed)
	})
	t.Run("two sockets", func(t *testing.T) {
		a, b := socketFor(t), socketFor(t)
		s, err := Listen([]net.PacketConn{a, b}, &tls.Config{Certificates: []tls.Certificate{certificate()}}, Complete(Config{Handler: http.HandlerFunc(hello)}))
		servetest.Must(t, "Listen", err)
		defer s.Close()
		for _, socket := range []net.PacketConn{a, b} {
			agentTo(t, socket.LocalAddr()).wantHello("each serves", "/")
		}
		servetest.Want(t, "both connections are the server's", s.Live(), 2)
	})
	t.Run("closed before anybody came, twice", func(t *testing.T) {
		servetest.CheckLeaks(t)
		s := serve(t, hello)
		servetest.WantErr(t, "Close", s.Close(), nil)
		servetest.WantErr(t, "Close again", s.Close(), nil)
		s.wantDrained("closed")
	})
}

// TestCIDsNameTheirSocket: whatever the random byte, the ID steers to its socket.
func TestCIDsNameTheirSocket(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 200, 256} {
		for index := range n {
			g := &cidGenerator{index: index, sockets: n, issued: newIssuedIDs()}
			for b := range 256 {
				if got := int(g.steer(byte(b))) % n; got != index {
					t.Fatalf("%d sockets: byte %d steers to %d, want %d", n, b, got, index)
				}
			}
			id, err := g.GenerateConnectionID()
			servetest.Must(t, "an ID", err)
			servetest.Want(t, "its length", id.Len(), g.ConnectionIDLen())
			servetest.Want(t, "its first byte names the socket", int(id.Bytes()[SteerByte])%n, index)
		}
	}
}

// TestConnState: a connection's states come in order, and none behind StateClosed,
// though a handler outlives it.
func TestConnState(t *testing.T) {
	var mu sync.Mutex
	var states []http.ConnState
	seen := func() []http.ConnState {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(states)
	}
	g := make(chan struct{})
	running := make(chan struct{})
	returned := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			defer close(returned)
			close(running)
			<-g
		}
		hello(w, r)
	}, func(cfg *Config) {
		cfg.ConnState = func(_ net.Addr, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, state)
		}
	})
	a := s.agent()
	a.wantHello("the first request", "/")
	servetest.WantSoon(t, "it is idle again", func() bool { return len(seen()) == 3 })
	go a.get("/stuck")
	<-running
	a.leave()
	servetest.WantSoon(t, "the server sees the end", func() bool { return s.Live() == 0 })
	close(g)
	<-returned
	servetest.WantErr(t, "Close", s.Close(), nil)
	want := []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed}
	if got := seen(); !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

// TestAdmit: one that is not admitted is closed, one that is counts until its end.
func TestAdmit(t *testing.T) {
	servetest.CheckLeaks(t)
	var mu sync.Mutex
	held := 0
	s := serve(t, hello, func(cfg *Config) {
		cfg.Admit = func(addr netip.Addr) bool {
			mu.Lock()
			defer mu.Unlock()
			if addr.String() != "127.0.0.1" || held == 1 {
				return false
			}
			held++
			return true
		}
		cfg.Release = func(netip.Addr) {
			mu.Lock()
			defer mu.Unlock()
			held--
		}
	})
	a, b := s.agent(), s.agent()
	a.wantHello("admitted", "/")
	var app *quic.ApplicationError
	b.get("/")
	if err := b.ended(); !errors.As(err, &app) || !app.Remote {
		t.Errorf("one too many got %v, want its connection closed", err)
	}
	servetest.Want(t, "refused", s.cfg.Counters.Refused.Load(), 1)
	servetest.Want(t, "both handshakes are done", s.cfg.Counters.Handshakes.Load(), 2)
	servetest.Want(t, "none has failed", s.cfg.Counters.HandshakeErrors.Load(), 0)
	a.leave()
	servetest.WantSoon(t, "its place is free again", func() bool { mu.Lock(); defer mu.Unlock(); return held == 0 })
	b.leave()
	b.wantHello("then the next is admitted", "/")
}

// stockTLS is what quic-go's server wants to know.
func stockTLS() *tls.Config {
	return http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate()}})
}
