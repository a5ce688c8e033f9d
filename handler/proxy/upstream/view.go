package upstream

import (
	"math"
	"slices"
	"time"
)

// view is what Pick chooses from. It never changes: whatever does change which
// endpoints may be picked (health, ejection, look-ups, reloads) makes a new one
// under the lock and swaps it in, so that the way of a request has no lock.
type view struct {
	set     *settings
	members []member
	reserve []*Endpoint // ejected ones: for a retry that has tried all members
	equal   bool        // all weights are the same
	refuse  error       // why there are no members
	until   int64       // when the first ejection ends: then it is to be made again

	// What the rules of ejection ask.
	total   int // endpoints that do not drain
	usable  int // of these, neither down nor ejected
	ejected int
}

// member is an endpoint that may be picked.
type member struct {
	*Endpoint
	weight float64
	stride uint64 // weight on a scale where the heaviest has maxStride
}

// maxStride is the resolution of weights in turns.
const maxStride = 1 << 16

const never = math.MaxInt64

// rebuild makes the view. mu is held.
func (g *Group) rebuild(t int64) {
	v := &view{set: g.set, until: never, refuse: ErrNoneUp}
	now := g.base.Add(time.Duration(t))
	for _, e := range g.endpoints {
		v.count(e)
		if s := e.state(); s != e.shown {
			e.shown, e.since = s, now
			e.outside.Store(s == stateEjected)
		}
	}
	v.choose(g.endpoints, func(e *Endpoint) bool { return e.shown == stateUp })
	if len(v.members) == 0 {
		// Ejection is a guess from single failures. Before nobody serves, all that no
		// active check has seen down do.
		v.choose(g.endpoints, func(e *Endpoint) bool { return e.shown == stateEjected })
	}
	if len(v.members) > 0 {
		v.keepReserve(g.endpoints)
	}
	if len(v.members) == 0 && g.unresolved() {
		v.refuse = ErrFull // wait for the names
	}
	v.setWeights()
	g.view.Store(v)
}

// keepReserve notes the ejected endpoints while others serve.
func (v *view) keepReserve(endpoints []*Endpoint) {
	if v.members[0].shown == stateEjected {
		return // they serve already
	}
	for _, e := range endpoints {
		if e.shown == stateEjected {
			v.reserve = append(v.reserve, e)
		}
	}
}

// count is for the rules of ejection.
func (v *view) count(e *Endpoint) {
	if e.draining {
		return
	}
	v.total++
	if e.ejection.until != 0 {
		v.ejected++
		v.until = min(v.until, e.ejection.until)
	} else if !e.check.down {
		v.usable++
	}
}

// choose takes the endpoints that may be picked, of the first priority that has any
// (RFC 2782: a client must use the lowest-numbered priority it can reach).
func (v *view) choose(endpoints []*Endpoint, may func(*Endpoint) bool) {
	best := math.MaxInt
	for _, e := range endpoints {
		if may(e) {
			best = min(best, int(e.priority))
		}
	}
	for _, e := range endpoints {
		if may(e) && int(e.priority) == best {
			v.members = append(v.members, member{Endpoint: e, weight: e.weight})
		}
	}
}

func (v *view) setWeights() {
	v.equal = true
	var heaviest float64
	for i := range v.members {
		w := v.members[i].weight
		v.equal = v.equal && w == v.members[0].weight
		heaviest = max(heaviest, w)
	}
	for i := range v.members {
		m := &v.members[i]
		m.stride = max(1, uint64(math.Round(m.weight/heaviest*maxStride)))
	}
}

// refresh ends the ejections whose time is over, and returns the new view.
func (g *Group) refresh(t int64) *view {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refreshLocked(t)
	return g.view.Load()
}

func (g *Group) refreshLocked(t int64) {
	if t < g.view.Load().until {
		return
	}
	for _, e := range g.endpoints {
		if e.ejection.until != 0 && e.ejection.until <= t {
			e.ejection.until = 0
			e.ejection.ended = t
			g.readmit(e, t)
		}
	}
	g.rebuild(t)
	g.dispatchLocked(t, nil)
}

// readmit lets an endpoint start anew after it was down or ejected: with the
// median of the others, and slowly. mu is held.
func (g *Group) readmit(e *Endpoint, t int64) {
	e.inRow.Store(0)
	e.latency.set(t, g.medianBut(e))
	if g.set.SlowStart > 0 {
		e.ramp.Store(max(1, t))
	}
}

// unresolved tells whether a name was not looked up yet. mu is held.
func (g *Group) unresolved() bool {
	return slices.ContainsFunc(g.sources, func(s *source) bool { return !s.tried })
}
