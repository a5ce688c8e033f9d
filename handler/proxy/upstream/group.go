package upstream

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Hooks are what a group needs from the proxy. All may be left out.
type Hooks struct {
	// Prober makes the active checks. If nil, HTTPProber.
	Prober Prober
	// Discovery looks names up. If nil, DNS.
	Discovery Discovery
	// OnNew is called with each endpoint before anybody else sees it, to set its
	// Pool. OnGone is called once for each that has left: idle connections are to be
	// closed, busy ones not to be reused. Both are called one at a time for a group,
	// and must not call it.
	OnNew, OnGone func(e *Endpoint)
	// Seed makes the random choices of each group the same in every run. If zero,
	// they are the runtime's, and cores share nothing.
	Seed uint64
}

// Group is one named service: the endpoints that its requests go to. Any goroutine
// may use it. A closed group still picks, from what it last knew, so that requests
// which began before a reload end as they began.
type Group struct {
	// Immutable after New.
	name  string
	hooks Hooks
	base  time.Time // of all times in ns

	// Atomic; read by every request, written seldom.
	view     atomic.Pointer[view]
	waiting  atomic.Int64  // length of the queue
	median   atomic.Uint64 // bits of a float64: latency of a usual endpoint; 0: unknown
	medianAt atomic.Int64

	random random // on a line of its own
	turn   atomic.Uint64
	_      [cacheLine]byte

	budget  budget
	running sync.WaitGroup // resolvers and checks

	// change is held while the endpoints change, hooks included. It comes before mu.
	change  sync.Mutex
	started context.Context // nil: not yet. change guards it and the two following.
	cancel  context.CancelFunc
	closed  bool
	serial  int // of endpoints
	// change and mu are held to write the following, either to read it.
	set       *settings
	sources   []*source
	endpoints []*Endpoint

	// mu guards the following, and the guarded part of each endpoint.
	mu      sync.Mutex
	queue   queue
	leaving []*Endpoint // gone, with requests in flight
	scratch []float64   // of medianBut
}

// settings are options, complete and understood. They never change.
type settings struct {
	Options
	targets        []target
	queueTimeout   time.Duration
	failureLatency time.Duration
}

func newSettings(o Options) (*settings, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &settings{Options: o.complete()}
	for _, t := range o.Targets {
		parsed, err := parseTarget(t)
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, parsed)
	}
	s.queueTimeout, s.failureLatency = s.ConnectTimeout, s.HeadTimeout
	setPositive(&s.queueTimeout, defaultConnectTimeout)
	setPositive(&s.failureLatency, defaultHeadTimeout)
	return s, nil
}

// New makes a group. It does not look names up and checks nothing before Start;
// targets that are addresses serve at once.
func New(name string, opts Options, hooks Hooks) (*Group, error) {
	set, err := newSettings(opts)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", name, err)
	}
	if hooks.Prober == nil {
		hooks.Prober = HTTPProber{}
	}
	if hooks.Discovery == nil {
		hooks.Discovery = DNS{}
	}
	g := &Group{name: name, hooks: hooks, base: time.Now()}
	g.random.seed(hooks.Seed, name)
	g.change.Lock()
	defer g.change.Unlock()
	g.configure(set)
	return g, nil
}

// Name is that of the service.
func (g *Group) Name() string { return g.name }

// Options are those of New or the last Update, with the defaults filled in. The
// slices are not to be written to.
func (g *Group) Options() Options { return g.view.Load().set.Options }

// Start begins to look names up and to check. ctx ends that, as Close does. The
// second call does nothing.
func (g *Group) Start(ctx context.Context) {
	g.change.Lock()
	defer g.change.Unlock()
	if g.started != nil || g.closed {
		return
	}
	g.started, g.cancel = context.WithCancel(ctx)
	for _, s := range g.sources {
		g.startResolver(s)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.endpoints {
		g.startCheck(e)
	}
}

// Close ends all look-ups and checks, and waits for them. Then all endpoints are
// gone, though requests that still hold the group are served. It may be called
// twice, and before Start; not from a hook.
func (g *Group) Close() {
	g.change.Lock()
	first := !g.closed
	g.closed = true
	if g.cancel != nil {
		g.cancel()
	}
	g.change.Unlock()
	// Without change: what ends may wait for it.
	g.running.Wait()
	if !first {
		return
	}
	g.change.Lock()
	defer g.change.Unlock()
	g.mu.Lock()
	part(g.endpoints)
	g.mu.Unlock()
	g.tellGone(g.endpoints)
}

// Change is what Update did.
type Change struct {
	Name string
	// Added and Removed are endpoints; a name that is new adds its own later, when
	// it was looked up.
	Added, Removed []*Endpoint
}

// Update changes the options. Endpoints that the new ones have too stay as they
// are, with connections, latencies and health. Nil: the options are equal, or the
// group is closed. Only options that Validate refuses are an error; they change
// nothing.
func (g *Group) Update(opts Options) (*Change, error) {
	set, err := newSettings(opts)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", g.name, err)
	}
	g.change.Lock()
	defer g.change.Unlock()
	if g.closed || reflect.DeepEqual(set, g.set) {
		return nil, nil
	}
	added, removed := g.configure(set)
	return &Change{g.name, added, removed}, nil
}

// HasTarget tells whether the target, as Endpoint.Target names it, is one of the
// options now. Any goroutine.
func (g *Group) HasTarget(url string) bool {
	set := g.view.Load().set
	return slices.ContainsFunc(set.targets, func(t target) bool { return t.url == url })
}

// since is the time of the group's own clock, in ns: monotonic, and small.
func (g *Group) since(now time.Time) int64 { return int64(now.Sub(g.base)) }

// configure makes set the settings. change is held.
func (g *Group) configure(set *settings) (added, removed []*Endpoint) {
	old := g.sources
	sources := make([]*source, len(set.targets))
	for i := range set.targets {
		sources[i] = reuseSource(old, &set.targets[i], set.Resolve)
	}
	added, removed = g.apply(set, sources)
	for _, s := range old {
		if s.stop != nil && !slices.Contains(sources, s) {
			s.stop()
		}
	}
	for _, s := range sources {
		g.startResolver(s)
	}
	return added, removed
}

// apply makes the endpoints those of the addresses of sources. change is held.
func (g *Group) apply(set *settings, sources []*source) (added, removed []*Endpoint) {
	list, added := g.assemble(sources)
	endpoints := make([]*Endpoint, len(list))
	kept := make(map[*Endpoint]bool, len(list))
	for i := range list {
		endpoints[i] = list[i].endpoint
		kept[endpoints[i]] = true
	}
	for _, e := range g.endpoints {
		if !kept[e] {
			removed = append(removed, e)
		}
	}
	now := time.Now()
	t := g.since(now)

	g.mu.Lock()
	checksChanged := g.set != nil && !reflect.DeepEqual(g.set.Health, set.Health)
	g.welcome(added, set, t)
	g.set, g.sources, g.endpoints = set, sources, endpoints
	for i := range list {
		list[i].write(set)
	}
	for _, e := range endpoints {
		if checksChanged {
			e.check.end()
		}
		g.startCheck(e)
	}
	part(removed)
	g.leaving = append(g.leaving, removed...)
	g.forgetFinished()
	g.rebuild(t)
	g.dispatchLocked(t, nil)
	g.mu.Unlock()

	g.tellGone(removed)
	return added, removed
}

// welcome gives endpoints that are new what they start with: the group's median,
// and a slow start where there are others to leave the load to. Those that come
// soon after New are of the first set, whose names are still being looked up. mu
// is held.
func (g *Group) welcome(added []*Endpoint, set *settings, t int64) {
	late := len(g.endpoints) > 0 && set.SlowStart > 0 && t >= int64(set.SlowStart)
	median := g.medianBut(nil)
	for _, e := range added {
		e.latency.set(t, median)
		if late {
			e.ramp.Store(max(1, t))
		}
	}
}

// part makes endpoints gone. mu is held.
func part(endpoints []*Endpoint) {
	for _, e := range endpoints {
		e.check.end()
		e.gone.Store(true)
	}
}

// tellGone tells the proxy. change is held, and mu is not.
func (g *Group) tellGone(endpoints []*Endpoint) {
	if g.hooks.OnGone == nil {
		return
	}
	for _, e := range endpoints {
		g.hooks.OnGone(e)
	}
}

// forgetFinished drops those that have left and have no requests any more. mu is
// held.
func (g *Group) forgetFinished() {
	kept := g.leaving[:0]
	for _, e := range g.leaving {
		if e.inFlight.Load() > 0 {
			kept = append(kept, e)
		}
	}
	clear(g.leaving[len(kept):])
	g.leaving = kept
}

// listed is an endpoint with what its source says about it now.
type listed struct {
	endpoint *Endpoint
	weight   float64
	priority uint16
	draining bool
}

// write takes effect. group.mu is held.
func (p *listed) write(set *settings) {
	e := p.endpoint
	e.weight, e.priority, e.draining = p.weight, p.priority, p.draining
	e.limit.Store(limitOf(&set.Limits, e.streams.Load()))
}

// assemble lists the endpoints of sources, old ones and new ones. change is held.
func (g *Group) assemble(sources []*source) (list []listed, added []*Endpoint) {
	have := make(map[endpointID]*Endpoint, len(g.endpoints))
	for _, e := range g.endpoints {
		have[e.id] = e
	}
	for _, s := range sources {
		for _, a := range s.addresses {
			id := endpointID{s.target.url, a.Authority, a.Address}
			if id.authority == "" {
				id.authority = s.target.authority()
			}
			e := have[id]
			if e == nil {
				e = newEndpoint(g, s.target, id)
				e.stripe = g.serial
				e.since = time.Now()
				g.serial++
				if g.hooks.OnNew != nil {
					g.hooks.OnNew(e)
				}
				added = append(added, e)
			}
			list = append(list, listed{
				e, float64(s.target.weight) * float64(max(1, a.Weight)), a.Priority, s.target.drains,
			})
		}
	}
	return list, added
}
