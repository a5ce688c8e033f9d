package serve

import (
	"math"
	"net/http"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// Shares of the memory limit at which load is shed (rule S-7).
const (
	shedKeepAliveAt = 0.85 // answers carry Connection: close
	shedRequestsAt  = 0.92 // new requests get 503 with Retry-After
	shedStreamsAt   = 0.95 // the connections that hold most are cut

	pressurePeriod = 500 * time.Millisecond
	retryAfter     = "5"
)

// pressure watches the process's memory against GOMEMLIMIT. Without a limit it
// does nothing and costs nothing.
type pressure struct {
	level atomic.Int32
	quit  chan struct{} // nil: no limit, nobody watches
	done  sync.WaitGroup
}

// start watches if the process has a memory limit. shed cuts what holds most.
func (p *pressure) start(shed func()) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		return
	}
	p.quit = make(chan struct{})
	p.done.Go(func() { p.watch(shed) })
}

func (p *pressure) stop() {
	if p.quit != nil {
		close(p.quit)
		p.done.Wait()
	}
}

func (p *pressure) watch(shed func()) {
	tick := time.NewTicker(pressurePeriod)
	defer tick.Stop()
	// What the collector may still free does not count, or a busy heap between
	// two collections would shed: live objects do, and stacks.
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for {
		select {
		case <-tick.C:
		case <-p.quit:
			return
		}
		metrics.Read(sample)
		used := float64(sample[0].Value.Uint64() + sample[1].Value.Uint64())
		limit := float64(debug.SetMemoryLimit(-1)) // which may be changed at any time
		p.level.Store(levelOf(used / limit))
		if p.level.Load() >= 3 {
			shed()
		}
	}
}

// levelOf is how many of the steps a share has passed.
func levelOf(share float64) int32 {
	switch {
	case share >= shedStreamsAt:
		return 3
	case share >= shedRequestsAt:
		return 2
	case share >= shedKeepAliveAt:
		return 1
	}
	return 0
}

func (p *pressure) shedKeepAlive() bool { return p.level.Load() >= 1 }

// guard answers 503 in place of h while memory is short. Without a limit h is
// left alone.
func (p *pressure) guard(h http.Handler) http.Handler {
	if p.quit == nil {
		return h
	}
	g := &guarded{h, p}
	if r, ok := h.(recycler); ok {
		return &guardedRecycler{g, r} // its own word counts, not that of ServerOptions
	}
	return g
}

// recycler is a handler's own word on ServerOptions.RecycleRequests.
type recycler interface{ RecycleRequests() bool }

// someRecycler likewise, for some requests.
type someRecycler interface{ RecyclesSomeRequests() bool }

func recyclesSome(h http.Handler) bool {
	r, ok := h.(someRecycler)
	return ok && r.RecyclesSomeRequests()
}

// RecyclesSomeRequests passes the handler's word on.
func (g *guarded) RecyclesSomeRequests() bool { return recyclesSome(g.Handler) }

type guardedRecycler struct {
	*guarded
	recycler
}

type guarded struct {
	http.Handler
	p *pressure
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.p.level.Load() < 2 {
		g.Handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", retryAfter)
	http.Error(w, "out of memory for new requests; try again", http.StatusServiceUnavailable)
}

// shedLargest cuts, on each shard, the connection that keeps most bytes back.
func (s *Server) shedLargest() {
	s.mu.Lock()
	shards := s.shards
	s.mu.Unlock()
	for _, sh := range shards {
		sh.CutLargest()
	}
}
