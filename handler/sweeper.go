package handler

import (
	"sync"
	"sync/atomic"
	"time"
)

// sweepInterval is the least time between two walks over the running requests:
// how late an expiry can be, and what bounds the work that short deadlines cause.
const sweepInterval = 20 * time.Millisecond

// claimed is the due of a request that is being expired.
const claimed = -1

// sweeper lets requests of a Registry expire. Without deadlines it has no timer
// and no goroutine; with them, a timer for the earliest. Since most deadlines are
// equally far away, a new request's is hardly ever the earliest, and costs one
// load.
type sweeper struct {
	next atomic.Int64 // when the timer fires, in ns since the base; 0: it is not set

	// mu guards the following.
	mu    sync.Mutex
	timer *time.Timer
}

// expires tells that a request is due then, which its running.due says already.
func (g *Registry) expires(due int64) {
	if next := g.sweeper.next.Load(); next != 0 && next <= due {
		return
	}
	g.sweeper.mu.Lock()
	defer g.sweeper.mu.Unlock()
	at := max(due, g.since(time.Now())+int64(sweepInterval))
	if next := g.sweeper.next.Load(); next != 0 && next <= at {
		return
	}
	g.sweeper.next.Store(at)
	wait := time.Duration(at - g.since(time.Now()))
	if g.sweeper.timer == nil {
		g.sweeper.timer = time.AfterFunc(wait, g.sweep)
	} else {
		g.sweeper.timer.Reset(wait)
	}
}

// sweep lets all requests expire that are due, and sets the timer for the next.
func (g *Registry) sweep() {
	// First: a deadline that is set behind a shard's walk finds no timer, and sets it.
	g.sweeper.next.Store(0)
	now := g.since(time.Now())
	var first int64
	for i := range g.shards {
		if due := g.shards[i].sweep(now); due != 0 && (first == 0 || due < first) {
			first = due
		}
	}
	if first != 0 {
		g.expires(first)
	}
}

// sweep returns when the first of those is due that are not yet; 0: there is none.
func (s *registryShard) sweep(now int64) (first int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.oldest; x != nil; x = x.running.next {
		switch due := x.running.due.Load(); {
		case due <= 0:
		case due > now:
			if first == 0 || due < first {
				first = due
			}
		case x.running.due.CompareAndSwap(due, claimed):
			// A goroutine for each that is late: a client that takes nothing may
			// block one. The request's own waits for it, in letGo.
			go x.timeout.expire(x, s)
		}
	}
	return first
}

// unclaim ends an expiry; x may not be touched any more.
func (s *registryShard) unclaim(x *Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.running.due.Store(0)
	s.expired.Broadcast()
}

// letGo keeps x from expiring, and waits if it does so now. True: it was not late.
func (n *running) letGo(due int64) bool {
	if n.due.CompareAndSwap(due, 0) {
		return true
	}
	n.shard.mu.Lock()
	defer n.shard.mu.Unlock()
	for n.due.Load() == claimed {
		n.shard.expired.Wait()
	}
	return false
}
