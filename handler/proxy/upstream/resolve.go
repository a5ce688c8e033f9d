package upstream

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// resolveTimeout bounds a look-up: as long as Go's resolver waits for one server.
const resolveTimeout = 5 * time.Second

// source is a target with its addresses.
type source struct {
	// Immutable.
	url     string
	query   Query
	fixed   bool // nothing is looked up
	resolve Resolve

	// change guards the following.
	target *target
	stop   context.CancelFunc

	// change and mu are held to write the following, either to read it.
	addresses []Address // sorted
	tried     bool      // the first look-up has ended
	failed    error     // why the last one failed
	at        time.Time
}

var errNoAddress = errors.New("no address was found")

// reuseSource makes the source of t, with what an old one of the same target knows.
func reuseSource(old []*source, t *target, r Resolve) *source {
	s := &source{url: t.url, target: t, resolve: r, query: t.query(r.Network)}
	if a, ok := t.fixed(); ok {
		s.fixed, s.tried = true, true
		s.addresses = []Address{a}
		return s
	}
	i := slices.IndexFunc(old, func(o *source) bool { return o.url == t.url })
	switch {
	case i < 0:
		return s
	case old[i].resolve == r:
		old[i].target = t
		return old[i]
	}
	s.addresses, s.tried, s.failed, s.at = old[i].addresses, old[i].tried, old[i].failed, old[i].at
	return s
}

// startResolver begins to look s up, unless that is done already. change is held.
func (g *Group) startResolver(s *source) {
	if s.fixed || s.stop != nil || g.started == nil || g.closed {
		return
	}
	ctx, cancel := context.WithCancel(g.started)
	s.stop = cancel
	g.running.Go(func() {
		defer cancel()
		g.lookAfter(ctx, s)
	})
}

// lookAfter looks s up again and again until ctx ends.
func (g *Group) lookAfter(ctx context.Context, s *source) {
	for wait := time.Duration(0); sleep(ctx, wait); {
		found, ttl, err := lookUp(ctx, g.hooks.Discovery, s.query)
		if ctx.Err() != nil {
			return
		}
		known := g.resolved(s, found, err)
		switch {
		case !known:
			wait = g.random.jitter(minResolveInterval)
		case s.resolve.Interval < 0:
			return
		case ttl > 0:
			wait = clampInterval(ttl)
		default:
			wait = g.random.jitter(clampInterval(s.resolve.Interval))
		}
	}
}

func lookUp(ctx context.Context, d Discovery, q Query) ([]Address, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, ttl, err := d.Resolve(ctx, q)
	if err == nil && len(found) == 0 {
		err = errNoAddress
	}
	return found, ttl, err
}

func clampInterval(d time.Duration) time.Duration {
	return min(max(d, minResolveInterval), maxResolveInterval)
}

// resolved takes the result of a look-up. After a failure the last good addresses
// stay: a name server that fails is no reason to fail too. known: there are some.
func (g *Group) resolved(s *source, found []Address, err error) (known bool) {
	g.change.Lock()
	defer g.change.Unlock()
	if g.closed || !slices.Contains(g.sources, s) {
		return true
	}
	found = orderly(found)
	if err != nil && len(s.addresses) > 0 {
		found = s.addresses
	}
	changed := !slices.Equal(found, s.addresses)
	g.mu.Lock()
	s.addresses = found
	first := !s.tried
	s.tried, s.failed, s.at = true, err, time.Now()
	if first && !changed { // who waits for the name need not wait any more
		t := g.since(s.at)
		g.rebuild(t)
		g.dispatchLocked(t, nil)
	}
	g.mu.Unlock()
	if changed {
		g.apply(g.set, g.sources)
	}
	return len(s.addresses) > 0
}

// orderly sorts addresses, takes doubles out, and keeps as many as there may be: of
// more always the same ones.
func orderly(addresses []Address) []Address {
	addresses = slices.Clone(addresses)
	slices.SortFunc(addresses, func(a, b Address) int {
		return cmp.Or(
			cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Authority, b.Authority),
			cmp.Compare(a.Address, b.Address), cmp.Compare(b.Weight, a.Weight),
		)
	})
	seen := make(map[endpointID]bool, len(addresses))
	addresses = slices.DeleteFunc(addresses, func(a Address) bool {
		id := endpointID{authority: a.Authority, address: a.Address}
		double := seen[id]
		seen[id] = true
		return double
	})
	return addresses[:min(len(addresses), maxAddresses)]
}
