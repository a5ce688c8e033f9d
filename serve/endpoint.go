package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/h3"
)

// EndpointConfig says what an Endpoint serves, and how.
type EndpointConfig struct {
	// Listener is where connections come from; Packets are UDP sockets of HTTP/3,
	// which answers over TLS on the same port tell of (Alt-Svc). One of both.
	Listener net.Listener
	Packets  *listener.PacketGroup
	// TLSConfig is what the endpoint's connections are under; it is cloned. With
	// GetConfigForClient it follows changes of certificates. Packets need one. If
	// nil, connections are clear.
	TLSConfig *tls.Config
	// TLSPolicy is ServerOptions.TLSPolicy for this endpoint. If nil, that.
	TLSPolicy TLSPolicy
	// Proxies is ServerOptions.Proxies for this endpoint, of a Listener. If nil,
	// that.
	Proxies *listener.Proxies
	// Context is the parent of the requests' contexts. If nil, what
	// ServerOptions.BaseContext says.
	Context context.Context
}

// An Endpoint is one address of a server, which comes and goes while others are
// served: Config.Endpoints are opened at the start, others by Open, and Drain ends
// one alone. It is opened once. Its methods may be called by any goroutine.
type Endpoint struct {
	// Immutable after NewEndpoint.
	cfg EndpointConfig

	// mu guards the following.
	mu     sync.Mutex
	srv    *Server // nil: not opened
	svc    *service
	quic   *quicService
	leave  sync.Once
	ending chan struct{} // closed when the last connection has gone after Retire
}

var (
	errEndpointForm   = errors.New("an endpoint has either a Listener or Packets, and Packets need a TLSConfig")
	errEndpointTwice  = errors.New("the endpoint was opened before")
	errEndpointClosed = errors.New("the server does not run; give it the endpoint by Config.Endpoints")
)

// NewEndpoint makes an endpoint that is not served yet. The sockets are the
// endpoint's from Open on, and until then the caller's to close.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	if (cfg.Listener == nil) == (cfg.Packets == nil) || cfg.Packets != nil && cfg.TLSConfig == nil {
		return nil, errEndpointForm
	}
	if cfg.TLSConfig != nil && !hasCertificate(cfg.TLSConfig) {
		return nil, errNoCert
	}
	return &Endpoint{cfg: cfg, ending: make(chan struct{})}, nil
}

// Addr is the address, with the port that was picked.
func (e *Endpoint) Addr() net.Addr {
	if e.cfg.Packets != nil {
		return e.cfg.Packets.Addr()
	}
	return e.cfg.Listener.Addr()
}

// Open serves e until the server ends, or e is drained. After an error nothing of
// it is served, and its sockets are the caller's to close. A group of package
// listener must listen already.
func (s *Server) Open(e *Endpoint) error {
	if err := s.open(e); err != nil {
		return err
	}
	if svc := e.svc; svc != nil && svc.group == nil {
		go svc.acceptPortable() // ends with the listener
	}
	return nil
}

// open is Open but for the accept loop of the portable form.
func (s *Server) open(e *Endpoint) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.srv != nil {
		return errEndpointTwice
	}
	alpn := s.Options.offered()
	if e.cfg.Packets != nil {
		alpn = []string{h3.ALPN}
	}
	var cfg *tls.Config
	if e.cfg.TLSConfig != nil {
		if cfg, err = tlsConfig(e.cfg.TLSConfig, "", "", alpn, s.sharedKeys()); err != nil {
			return err
		}
	}
	if e.cfg.Packets != nil {
		e.quic, err = s.serveHTTP3(e.cfg.Packets, cfg, e.cfg.TLSPolicy, e.cfg.Context)
	} else {
		e.svc, err = s.attachService(&service{
			listener: e.cfg.Listener, tlsConfig: cfg, policy: e.cfg.TLSPolicy, proxies: e.cfg.Proxies, base: e.cfg.Context,
		})
	}
	if err == nil {
		e.srv = s
	}
	return err
}

// done is closed when the endpoint takes nothing new for good, and err tells why.
func (e *Endpoint) done() (done <-chan struct{}, err func() error) {
	if e.quic != nil {
		return e.quic.done, func() error { return e.quic.err }
	}
	return e.svc.done, func() error { return e.svc.err }
}

// Live counts its connections; those of others, and hijacked ones, are none.
func (e *Endpoint) Live() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.quic != nil:
		return int64(e.quic.engine.Live())
	case e.svc != nil:
		return e.svc.live()
	}
	return 0
}

// Drain ends the endpoint as Shutdown ends a server, and leaves all others alone:
// what the kernel has completed is accepted, the sockets close, connections finish
// what they do and go. Of HTTP/3, answers over TCP take back what they told of it.
// When ctx ends first the rest is cut; cut is how many connections with a request
// under way that were. Calls after the first one wait for the same end.
func (e *Endpoint) Drain(ctx context.Context) (cut int64) {
	e.Retire()
	e.mu.Lock()
	srv, svc, quic := e.srv, e.svc, e.quic
	e.mu.Unlock()
	if srv == nil {
		return 0
	}
	select {
	case <-e.ending:
		return 0
	case <-ctx.Done():
	}
	if quic != nil {
		return int64(quic.engine.Cut())
	}
	return svc.cut()
}

// Retire begins Drain, and returns when nothing new is taken: a round trip later.
// Sockets of TCP are closed then; those of UDP carry the connections to their end.
func (e *Endpoint) Retire() {
	e.mu.Lock()
	srv, svc, quic := e.srv, e.svc, e.quic
	e.mu.Unlock()
	if srv == nil {
		return
	}
	e.leave.Do(func() {
		if quic != nil {
			srv.retireHTTP3(quic)
		} else {
			srv.retire(svc)
		}
		go func() { // ends when the last connection has gone
			srv.awaitGone(context.Background(), quic, svc)
			srv.forget(quic, svc)
			close(e.ending)
		}()
	})
}

// Drained is closed when nothing of the endpoint is left after Retire or Drain.
func (e *Endpoint) Drained() <-chan struct{} { return e.ending }

// awaitGone waits until one of the two has no connection left.
func (s *Server) awaitGone(ctx context.Context, quic *quicService, svc *service) {
	for {
		emptied := s.emptied() // before the look: what goes after it signals
		if quic != nil && quic.live() == 0 || svc != nil && svc.live() == 0 {
			return
		}
		select {
		case <-emptied:
		case <-ctx.Done():
			return
		}
	}
}

// live counts the connections of one listener.
func (svc *service) live() (n int64) {
	if svc.group == nil {
		return int64(svc.srv.portables.openOf(svc))
	}
	for _, p := range svc.parts {
		n += p.shard.Live()
	}
	return n
}

// retire begins the end of one listener, and returns when it takes nothing new.
func (s *Server) retire(svc *service) {
	svc.draining.Store(true)
	if svc.group == nil {
		s.portables.drain(svc)
		svc.stopListening()
		s.portables.drain(svc) // those that came meanwhile
		return
	}
	for i, p := range svc.parts {
		s.shards[i].Retire(p.shard)
	}
	svc.stopListening()
	// What one shard has accepted for another one is opened by now.
	var dealt sync.WaitGroup
	for i := range svc.parts {
		dealt.Add(1)
		if !s.shards[i].Do(func(time.Time) { dealt.Done() }) {
			dealt.Done()
		}
	}
	dealt.Wait()
}

// cut ends what is left of one listener.
func (svc *service) cut() (n int64) {
	if svc.group == nil {
		return int64(svc.srv.portables.cut(svc))
	}
	all := make(chan int, len(svc.parts))
	for i, p := range svc.parts {
		svc.srv.shards[i].CutService(p.shard, func(cut int) { all <- cut })
	}
	for range svc.parts {
		n += int64(<-all)
	}
	return n
}

// retireHTTP3 begins the end of HTTP/3 on one address: answers over TCP tell of it
// no more, and take back what they have told.
func (s *Server) retireHTTP3(q *quicService) {
	s.mu.Lock()
	q.leaving = true
	s.announceHTTP3()
	s.mu.Unlock()
	q.engine.Drain()
}

// forget takes one that has gone out of the server; its counters stay.
func (s *Server) forget(quic *quicService, svc *service) {
	if quic != nil {
		quic.end()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Others read the lists without the lock: they are replaced, not changed.
	if svc != nil {
		s.past.addService(svc)
		s.services = without(s.services, svc)
	}
	if quic != nil {
		s.past.addHTTP3(quic.counters)
		s.quics = without(s.quics, quic)
	}
}

func without[T comparable](list []T, gone T) []T {
	rest := make([]T, 0, len(list))
	for _, e := range list {
		if e != gone {
			rest = append(rest, e)
		}
	}
	return rest
}

// Open serves one more endpoint of a server that runs, until the server stops or
// Endpoint.Drain; see Server.Open. When it fails later, the server does, as with
// the listeners of the start.
func (s *GenericServer) Open(e *Endpoint) error {
	r := s.run.Load()
	if r == nil {
		return errEndpointClosed
	}
	return r.open(e)
}

// LimitConnections is that of Server, for one that runs; before it does nothing.
func (s *GenericServer) LimitConnections(cfg listener.GateConfig) {
	if r := s.run.Load(); r != nil {
		r.http.LimitConnections(cfg)
	}
}

func (r *genericRun) open(e *Endpoint) error {
	r.opening.Lock()
	defer r.opening.Unlock()
	if r.ended {
		return ErrServerClosed
	}
	if err := r.http.open(e); err != nil {
		return err
	}
	if e.svc != nil {
		r.accept(e.svc)
		return nil
	}
	done, err := e.done()
	r.watch(done, err, e.Addr())
	return nil
}

// close closes the sockets of one that was not opened, or whose server has ended.
func (e *Endpoint) close() {
	if e.cfg.Packets != nil {
		_ = e.cfg.Packets.Close() // closing twice is no matter
		return
	}
	_ = e.cfg.Listener.Close()
}
