package handler

import (
	"context"
	"maps"
	"math"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxLabelSets bounds the label sets of a ProfileLabels even if routes or
// upstreams are made of what clients send; what comes after them is labelled with
// its protocol alone (TestProfileLabelsBound).
const maxLabelSets = 2048

// ProfileLabels gives samples of CPU and goroutine profiles the labels of the
// request that the goroutine works for: "route", Exchange.Info's or "other",
// "protocol" ("h1", "h2", "h3"), and "upstream" if a proxy has told one. Only
// while somebody asks for it by Use: at other times a request pays two loads.
//
// It goes behind RequestInfo. What the stages outside and the engine do has no
// labels, and neither has a request that was there before Use. Goroutines that the
// handler starts inherit them, as always. Afterwards the goroutine has the labels
// of its request's context, as pprof.Do would leave them.
//
// It allocates nothing for a label set that exists.
//
// # Limitations
//
// A goroutine that the engine starts from a handler's, to lead in its place,
// inherits as well, and is wrong about the route until its first request ends.
// Labels that the goroutine had from outside are hidden meanwhile.
type ProfileLabels struct {
	// Immutable.
	base time.Time

	// Atomic.
	on    atomic.Bool  // requests that begin now are labelled
	until atomic.Int64 // those received up to now may have labels, in ns since base
	sets  atomic.Pointer[map[labelKey]context.Context]

	// mu guards users, and serialises the copying of sets.
	mu    sync.Mutex
	users int
}

// labelKey is a label set.
type labelKey struct {
	route, upstream string
	protocol        int // place in protocolNames
}

// NewProfileLabels makes the stage. It labels nothing until Use.
func NewProfileLabels() *ProfileLabels {
	s := &ProfileLabels{base: time.Now()}
	s.until.Store(math.MinInt64)
	sets := make(map[labelKey]context.Context)
	for protocol := range protocolNames {
		k := labelKey{protocol: protocol}
		sets[k] = k.context()
	}
	s.sets.Store(&sets)
	return s
}

// Use labels the requests that begin from now on, until release is called; it may
// be called more than once. Several uses at once are one.
func (s *ProfileLabels) Use() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
	s.until.Store(math.MaxInt64) // before on: each label has an End that takes it away
	s.on.Store(true)
	return sync.OnceFunc(s.release)
}

func (s *ProfileLabels) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	s.on.Store(false)
	s.until.Store(int64(time.Since(s.base))) // behind on: whoever has seen it was received before
}

// Begin labels the goroutine of x.
func (s *ProfileLabels) Begin(x *Exchange) bool {
	if s.on.Load() {
		s.label(x, "")
	}
	return true
}

// Upstream adds the server that x is passed on to, from now to the end of x. It is
// called on the goroutine of x, with one of few names.
func (s *ProfileLabels) Upstream(x *Exchange, name string) {
	if s.on.Load() {
		s.label(x, name)
	}
}

// End takes the labels away, from a request that may have them.
func (s *ProfileLabels) End(x *Exchange) {
	if int64(x.Received.Sub(s.base)) <= s.until.Load() {
		pprof.SetGoroutineLabels(x.Request.Context())
	}
}

func (s *ProfileLabels) label(x *Exchange, upstream string) {
	k := labelKey{x.Info.Route, upstream, protocolOf(x.Request)}
	set := (*s.sets.Load())[k]
	if set == nil {
		set = s.add(k)
	}
	pprof.SetGoroutineLabels(set)
}

// add makes the set of k, which is new.
func (s *ProfileLabels) add(k labelKey) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.sets.Load()
	switch set := known[k]; {
	case set != nil: // another was faster
		return set
	case len(known) >= maxLabelSets:
		return known[labelKey{protocol: k.protocol}]
	}
	k.route, k.upstream = strings.Clone(k.route), strings.Clone(k.upstream) // they may be pieces of a request
	sets := maps.Clone(known)
	sets[k] = k.context()
	s.sets.Store(&sets)
	return sets[k]
}

// context is the form in which runtime/pprof keeps labels.
func (k labelKey) context() context.Context {
	if k.route == "" {
		k.route = otherRoute
	}
	labels := pprof.Labels("protocol", protocolNames[k.protocol], "route", k.route)
	if k.upstream != "" {
		labels = pprof.Labels("protocol", protocolNames[k.protocol], "route", k.route, "upstream", k.upstream)
	}
	return pprof.WithLabels(context.Background(), labels)
}
