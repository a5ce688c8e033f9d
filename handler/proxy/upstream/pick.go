package upstream

import (
	"slices"
	"time"
)

// maxRaces bounds how often Pick chooses again since another request was faster:
// each time one more endpoint is full, and the queue is there for that.
const maxRaces = 4

// Tried are the endpoints that a request has been at. The zero value is empty. It
// is for one goroutine at a time.
type Tried struct {
	list [MaxAttempts]*Endpoint
	n    int
}

// Add adds e. There is room for MaxAttempts; later ones are not remembered.
func (s *Tried) Add(e *Endpoint) {
	if s.n < len(s.list) {
		s.list[s.n] = e
		s.n++
	}
}

func (s *Tried) empty() bool { return s == nil || s.n == 0 }

func (s *Tried) has(e *Endpoint) bool {
	return s != nil && slices.Contains(s.list[:s.n], e)
}

// Pick chooses the endpoint for a request, or for a further attempt at one, and
// takes a place there, which End gives back. key is what HashKey balances by, from
// Key; zero: the request has none. tried are the endpoints to avoid; nil: none.
// A request whose tried is empty counts for the budget of retries.
//
// The errors are ErrNoneUp, ErrTried, and ErrFull, after which Wait may be called.
// Pick neither allocates nor locks.
func (g *Group) Pick(now time.Time, key uint64, tried *Tried) (*Endpoint, error) {
	t := g.since(now)
	v := g.view.Load()
	if t >= v.until {
		v = g.refresh(t)
	}
	// Who waits was here before.
	if g.waiting.Load() > 0 && len(v.members) > 0 {
		return nil, ErrFull
	}
	return g.pick(v, t, key, tried)
}

func (g *Group) pick(v *view, t int64, key uint64, tried *Tried) (*Endpoint, error) {
	if len(v.members) == 0 {
		return nil, v.refuse
	}
	for range maxRaces {
		m := g.choose(v, t, key, tried)
		if m == nil {
			return v.lastResort(tried)
		}
		if m.Begin() {
			if tried.empty() {
				g.budget.count(t, m.stripe)
			}
			return m.Endpoint, nil
		}
	}
	return nil, ErrFull
}

// Hedge is Pick for a second attempt beside one that is late. It goes to an endpoint
// that is up and none of tried, and takes from the budget of retries only when there
// is one: ErrBudget, if that is empty. No ejected endpoint is its last resort, for
// the first attempt may still be answered.
func (g *Group) Hedge(now time.Time, key uint64, tried *Tried) (*Endpoint, error) {
	t := g.since(now)
	v := g.view.Load()
	if t >= v.until {
		v = g.refresh(t)
	}
	switch {
	case len(v.members) == 0:
		return nil, v.refuse
	case g.waiting.Load() > 0: // they were here before
		return nil, ErrFull
	}
	m := g.choose(v, t, key, tried)
	switch {
	case m == nil:
		return nil, v.whyNone(tried)
	case !g.budget.take(t, &v.set.Retry):
		return nil, ErrBudget
	case !m.Begin():
		return nil, ErrFull // another request was faster
	}
	return m.Endpoint, nil
}

// choose is the policy. nil: every member is tried or full.
func (g *Group) choose(v *view, t int64, key uint64, tried *Tried) *member {
	switch {
	case len(v.members) == 1:
		if m := &v.members[0]; m.free(tried) {
			return m
		}
		return nil
	case v.set.Balance == RoundRobin:
		return v.inTurn(g, t, tried)
	case v.set.Balance == LeastRequest:
		return v.least(t, tried, g.random.next(), 0)
	case v.set.Balance == HashKey && key != 0:
		return v.byKey(t, key, tried)
	}
	return v.twoChoices(g, t, tried)
}

// lastResort is an ejected endpoint for a retry that has tried all others: ejection
// is a guess, and a request that fails for certain is worse than one that may.
func (v *view) lastResort(tried *Tried) (*Endpoint, error) {
	err := v.whyNone(tried)
	if err == ErrTried {
		for _, e := range v.reserve {
			if !tried.has(e) && e.Begin() {
				return e, nil
			}
		}
	}
	return nil, err
}

func (v *view) whyNone(tried *Tried) error {
	for i := range v.members {
		if !tried.has(v.members[i].Endpoint) {
			return ErrFull
		}
	}
	return ErrTried
}

// free tells whether m may be picked.
func (m *member) free(tried *Tried) bool {
	return m.inFlight.Load() < m.limit.Load() && !tried.has(m.Endpoint)
}
