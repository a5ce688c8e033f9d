package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/h1"
	"github.com/penstock-edge/penstock/serve/h2"
	"github.com/penstock-edge/penstock/serve/semantics"
	"github.com/penstock-edge/penstock/serve/shard"
)

// Server serves a Handler on any number of listeners; its methods may be called
// by any goroutine. Set the fields before the first Serve. A Server that was
// shut down or closed serves no more.
type Server struct {
	// Handler answers the requests. If nil, http.DefaultServeMux, as in net/http.
	Handler http.Handler
	// TLSConfig is the base of ServeTLS's configuration; it is cloned.
	TLSConfig *tls.Config
	// Options: see there. The zero value is good.
	Options ServerOptions

	mu       sync.Mutex
	started  bool
	stopping bool
	closed   bool
	shards   []*shard.Shard
	services []*service
	quics    []*quicService
	// packetPort is the UDP port of the HTTP/3 that answers over TLS tell of; 0:
	// for each listener the port of its own number. It is set before all is.
	packetPort int
	portables  registry

	emptyMu sync.Mutex
	empty   chan struct{} // closed when the last connection goes; nil: nobody waits

	date        semantics.DateCache
	keys        *certs.TicketKeys
	gate        *listener.Gate
	handshakes  *handshakeSlots
	handshaking atomic.Int64
	draining    atomic.Bool
	pressure    pressure
	stats       stats
	drainedFrom uint64   // requests answered before the stop
	past        Snapshot // counters of what was drained by itself; mu guards it
}

// service is one listener of a server.
type service struct {
	srv       *Server
	listener  net.Listener
	group     *listener.Group   // nil: portable form
	tlsConfig *tls.Config       // nil: clear
	policy    TLSPolicy         // nil: that of the options
	proxies   *listener.Proxies // nil: those of the options, if any
	base      context.Context   // nil before attach: what the options say
	altSvc    semantics.AltSvc  // of answers, while HTTP/3 is served beside it
	parts     []*part           // one a shard; the portable form has one
	done      chan struct{}     // closed when Serve is to return
	once      sync.Once         // finish
	leave     sync.Once         // stopListening
	err       error
	acceptEnd chan struct{} // closed when nothing more is accepted
	draining  atomic.Bool   // it leaves, whatever the server does
}

// part is a service's share of one shard.
type part struct {
	svc   *service
	h1    *h1.Config
	h2    *h2.Config
	shard *shard.Service
	speak [versions]atomic.Int64 // open connections of the shard, by what they speak
}

// Serve serves l until the server ends; it always answers an error, which is
// http.ErrServerClosed after Shutdown or Close. Groups of package listener,
// *net.TCPListener and *net.UnixListener are served by event loops, others by
// a goroutine a connection. l is closed.
func (s *Server) Serve(l net.Listener) error {
	svc, err := s.attach(l, nil)
	return s.await(l, svc, err)
}

// ServeTLS is Serve over TLS 1.2 and 1.3. With empty file names TLSConfig must
// hold a certificate.
func (s *Server) ServeTLS(l net.Listener, certFile, keyFile string) error {
	svc, err := s.attachTLS(l, certFile, keyFile)
	return s.await(l, svc, err)
}

// init makes what all listeners share. mu is held.
func (s *Server) init() {
	if s.started {
		return
	}
	s.started = true
	s.keys = certs.NewTicketKeys(time.Now())
	s.handshakes = newHandshakeSlots()
	s.gate = listener.NewGate(listener.GateConfig{
		Total: s.Options.MaxConnections, PerClient: s.Options.MaxConnectionsPerClient, Exempt: s.Options.ExemptClients,
	})
	s.pressure.start(s.shedLargest)
}

// LimitConnections changes MaxConnections, MaxConnectionsPerClient and ExemptClients
// of Options for connections from now on; those that are open stay, and count.
func (s *Server) LimitConnections(cfg listener.GateConfig) {
	s.mu.Lock()
	s.init()
	s.mu.Unlock()
	s.gate.Set(cfg)
}

// sharedKeys are the ticket keys of all listeners and HTTP/3: a session begun on
// one is resumed on any other.
func (s *Server) sharedKeys() *certs.TicketKeys {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	return s.keys
}

// await waits for the end of svc, the service of l, unless err kept it from
// beginning.
func (s *Server) await(l net.Listener, svc *service, err error) error {
	if err != nil {
		if l != nil {
			l.Close() // as net/http: a listener given to Serve is Serve's
		}
		return err
	}
	if svc.group == nil {
		svc.acceptPortable()
	}
	<-svc.done
	return svc.err
}

// attachTLS is attach over TLS.
func (s *Server) attachTLS(l net.Listener, certFile, keyFile string) (*service, error) {
	if l == nil {
		return nil, errNilListener
	}
	cfg, err := tlsConfig(s.TLSConfig, certFile, keyFile, s.Options.offered(), s.sharedKeys())
	if err != nil {
		return nil, err
	}
	return s.attach(l, cfg)
}

// attach registers a listener and starts to accept from it.
func (s *Server) attach(l net.Listener, cfg *tls.Config) (*service, error) {
	if l == nil {
		return nil, errNilListener
	}
	return s.attachService(&service{listener: l, tlsConfig: cfg})
}

// attachService is attach for a service that has its listener.
func (s *Server) attachService(svc *service) (*service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, ErrServerClosed
	}
	if s.Options.DisableHTTP1 && s.Options.DisableHTTP2 {
		return nil, errNoProtocol
	}
	s.init()
	l := svc.listener
	svc.srv, svc.done, svc.acceptEnd = s, make(chan struct{}), make(chan struct{})
	svc.base = s.base(l, svc.base)
	if svc.proxies == nil {
		svc.proxies = s.Options.Proxies
	}
	if shard.Supported && s.Options.EventLoop == EventLoopOn {
		svc.group, _ = listener.FromListener(l) // others take the portable form
	}
	if svc.group == nil {
		svc.parts = []*part{svc.newPart()}
		s.services = append(s.services, svc)
		s.announceHTTP3()
		return svc, nil
	}
	if err := s.startShards(); err != nil {
		return nil, err
	}
	if err := svc.spread(); err != nil {
		return nil, err
	}
	s.services = append(s.services, svc)
	s.announceHTTP3()
	return svc, nil
}

// base is the parent of requests' contexts on l; own, if not nil, is the listener's.
func (s *Server) base(l net.Listener, own context.Context) context.Context {
	switch f := s.Options.BaseContext; {
	case own != nil:
		return own
	case f != nil:
		return f(l)
	}
	return context.Background()
}

// startShards starts the event loops at the first listener that they can serve.
func (s *Server) startShards() error {
	for i := len(s.shards); i < s.Options.shards(); i++ {
		sh, err := shard.New(shard.Config{
			Index:            i,
			WriteIdleTimeout: s.Options.WriteIdleTimeout,
			WriteMinRate:     s.Options.WriteMinRate,
			Log:              s.Options.log(),
			Empty:            s.signalEmpty,
			Fatal:            s.acceptFailed,
		})
		if err != nil {
			return fmt.Errorf("start shard %d: %w", i, err)
		}
		sh.Start()
		s.shards = append(s.shards, sh)
	}
	return nil
}

// spread gives the group's sockets to the shards: socket i to shard i. Where there
// are fewer sockets, each deals its connections out: shards that have none of
// their own get their share.
func (svc *service) spread() error {
	s := svc.srv
	for _, sh := range s.shards {
		p := svc.newPart()
		p.shard = &shard.Service{
			Open: p.open, Gate: s.gate, Proxies: svc.proxies, Shared: svc.group.Shared,
			Listener: svc.listener, Shard: sh, ConnState: s.Options.ConnState,
		}
		svc.parts = append(svc.parts, p)
	}
	sockets := svc.group.Sockets()
	if n := len(sockets); n < len(svc.parts) {
		for i, p := range svc.parts {
			owner := svc.parts[i%n].shard
			owner.Spread = append(owner.Spread, p.shard)
		}
	}
	for i, k := range sockets {
		to := i % len(s.shards)
		if err := s.shards[to].AddSocket(k, svc.parts[to].shard); err != nil {
			return err
		}
	}
	return nil
}

func (svc *service) newPart() *part {
	s := svc.srv
	h := s.handler(svc.policy)
	face := s.face(svc.listener.Addr(), svc.tlsConfig)
	var alt *semantics.AltSvc
	if svc.tlsConfig != nil {
		alt = &svc.altSvc // an https origin's alternatives (RFC 7838 §2.1)
	}
	p := &part{svc: svc, h1: s.Options.h1Config(h, face, &s.date, alt), h2: s.Options.h2Config(h, face, &s.date, alt)}
	if svc.tlsConfig == nil && !s.Options.DisableHTTP2 {
		p.h1.Preface = switchToHTTP2
	}
	return p
}

// handler is what answers, behind the server's own guards. policy, if nil, is that
// of the options.
func (s *Server) handler(policy TLSPolicy) http.Handler {
	h := s.Handler
	if h == nil {
		h = http.DefaultServeMux
	}
	if policy == nil {
		policy = s.Options.TLSPolicy
	}
	return s.pressure.guard(directed(h, policy))
}

// face is the *http.Server that handlers find in their context: settings to
// look at, it never serves.
func (s *Server) face(addr net.Addr, cfg *tls.Config) *http.Server {
	return &http.Server{
		Addr: addr.String(), Handler: s.Handler, TLSConfig: cfg,
		ReadHeaderTimeout: s.Options.ReadHeadTimeout, IdleTimeout: s.Options.IdleTimeout, MaxHeaderBytes: s.Options.MaxHeaderBytes,
	}
}

// finish ends the service's Serve with err; the first call counts.
func (svc *service) finish(err error) {
	svc.once.Do(func() {
		svc.err = err
		close(svc.done)
	})
}

// acceptFailed ends the Serve calls when accepting has failed for good.
func (s *Server) acceptFailed(err error) {
	go func() { // the leader must not wait for mu
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, svc := range s.services {
			svc.finish(err)
		}
		for _, q := range s.quics {
			q.finish(err)
		}
	}()
}

// signalEmpty wakes everybody who waits for the last connection to go.
func (s *Server) signalEmpty() {
	s.emptyMu.Lock()
	defer s.emptyMu.Unlock()
	if s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// emptied is closed at the next signalEmpty.
func (s *Server) emptied() <-chan struct{} {
	s.emptyMu.Lock()
	defer s.emptyMu.Unlock()
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	return s.empty
}
