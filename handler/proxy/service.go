package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// Service is a named set of upstreams that requests are passed on to, with the
// connections to them. Several routes may share one. All methods are for any
// goroutine.
//
// A Service outlives reloads: Update changes what it is made of, and requests that
// run end on what they began with.
type Service struct {
	name string // immutable

	now     atomic.Pointer[generation] // read by every request
	stats   serviceStats
	tunnels tunnels
	pipes   link.Pipes
	logs    logLimit

	// mu is held while the generation changes, and guards the following.
	mu      sync.Mutex
	started context.Context // nil: not yet
	cancel  context.CancelFunc
	closed  bool
	sweeper sync.WaitGroup
}

// generation is what a request asks of a service. It never changes.
type generation struct {
	*fleet
	headTimeout time.Duration
	idleTimeout time.Duration
	attempts    int            // further ones
	hash        *upstream.Hash // nil: the balance has no use for a key
	hedge       time.Duration  // when a second attempt goes out beside the first; 0: never
	grace       time.Duration  // of tunnels whose target has gone
}

// fleet are the upstreams that are reached in one way.
type fleet struct {
	// Immutable.
	group     *upstream.Group
	transport transportOptions

	mu       sync.Mutex // guards the following
	backends map[*backend]struct{}
}

// NewService makes a service. It connects to nothing before a request does; its
// checks of health begin with Start.
func NewService(name string, opts ServiceOptions) (*Service, error) {
	s := &Service{name: name}
	f, err := s.newFleet(&opts)
	if err != nil {
		return nil, err
	}
	s.now.Store(newGeneration(f, &opts))
	return s, nil
}

func (s *Service) newFleet(opts *ServiceOptions) (*fleet, error) {
	f := &fleet{transport: opts.transport(), backends: make(map[*backend]struct{})}
	var err error
	f.group, err = upstream.New(s.name, opts.Options, upstream.Hooks{
		OnNew:  func(e *upstream.Endpoint) { e.Pool = f.add(newBackend(e, opts)) },
		OnGone: func(e *upstream.Endpoint) { f.drop(e.Pool.(*backend)) },
		Prober: upstream.HTTPProber{TLS: opts.TLS},
	})
	return f, err
}

// newGeneration reads the options of f.group, which are complete.
func newGeneration(f *fleet, opts *ServiceOptions) *generation {
	o := f.group.Options()
	g := &generation{
		fleet:       f,
		headTimeout: max(0, o.HeadTimeout), idleTimeout: limit(opts.IdleTimeout, defaultIdleTimeout),
		attempts: min(max(0, o.Retry.Attempts), upstream.MaxAttempts-1),
		hedge:    max(0, o.Hedge.After), grace: limit(opts.TunnelGrace, defaultTunnelGrace),
	}
	if o.Balance == upstream.HashKey {
		g.hash = &o.Hash
	}
	return g
}

func (f *fleet) add(b *backend) *backend {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends[b] = struct{}{}
	return b
}

// drop lets an upstream go that has left the group: its idle connections close, and
// busy ones are not reused.
func (f *fleet) drop(b *backend) {
	b.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.backends, b)
}

func (f *fleet) sweep(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for b := range f.backends {
		b.sweep(now)
	}
}

// Name is the name that logs and metrics have.
func (s *Service) Name() string { return s.name }

// sweepInterval is how late an idle connection may be closed.
const sweepInterval = time.Second

// Start begins look-ups of names, checks of health, and the closing of connections
// that were idle for too long. ctx ends them; so does Close. A second call does
// nothing.
func (s *Service) Start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started != nil || s.closed {
		return
	}
	s.started, s.cancel = context.WithCancel(ctx)
	s.now.Load().group.Start(s.started)
	s.sweeper.Go(func() { s.keepSweeping(s.started) })
}

func (s *Service) keepSweeping(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.now.Load().sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

// Update gives the service other options. Upstreams that stay keep their
// connections, health and latencies, unless connections are made in another way
// now: then all are new, and requests that run end on the old ones. Tunnels to targets
// that go have TunnelGrace. False: the options were equal. On an error nothing has
// changed.
func (s *Service) Update(opts ServiceOptions) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, ErrClosed
	}
	if err := opts.Validate(); err != nil {
		return false, err
	}
	old := s.now.Load()
	if opts.transport() == old.transport {
		change, err := old.group.Update(opts.Options)
		if err != nil {
			return false, err
		}
		next := newGeneration(old.fleet, &opts)
		changed = change != nil || next.idleTimeout != old.idleTimeout
		s.now.Store(next)
		s.ageTunnels()
		return changed, nil
	}
	f, err := s.newFleet(&opts)
	if err != nil {
		return false, err
	}
	if s.started != nil {
		f.group.Start(s.started)
	}
	s.now.Store(newGeneration(f, &opts))
	s.ageTunnels()
	old.group.Close() // and with it the idle connections
	return true, nil
}

// WaitTunnels waits until no tunnel is open, or ctx ends.
func (s *Service) WaitTunnels(ctx context.Context) error { return s.tunnels.wait(ctx) }

// Shutdown ends the tunnels, waits for them until ctx ends, and closes the service.
func (s *Service) Shutdown(ctx context.Context) error {
	s.EndTunnels()
	err := s.tunnels.wait(ctx)
	s.Close()
	return err
}

// Close ends look-ups and checks and closes the idle connections. Requests that run,
// and those that still come, are served, on connections of their own. It may be
// called twice.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.cancel != nil {
		s.cancel()
	}
	s.sweeper.Wait()
	s.now.Load().group.Close()
	s.pipes.Close()
}
