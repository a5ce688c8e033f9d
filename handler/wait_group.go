package handler

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// minEndRate is the least number of long-running requests that are ended in a
	// second of their grace: their clients come back at once, elsewhere.
	minEndRate = 200
	// endTick is how often some of them are.
	endTick = 5 * time.Millisecond
)

// ErrShuttingDown is the cause with which the context of a long-running request
// ends when its server stops.
var ErrShuttingDown = errors.New("server is shutting down")

// WaitGroupOptions shapes a WaitGroup.
type WaitGroupOptions struct {
	// LongRunningGrace is what long-running requests have to end, from the begin
	// of Wait: their contexts end one after the other, at 200 a second or at what
	// the grace takes if that is more. If zero, they are not waited for: their
	// contexts end when the others have gone.
	LongRunningGrace time.Duration
	// Retry has the Retry-After of refusals: Busy.
	Retry RetryOptions
}

// WaitGroup counts requests for the drain. Once Wait was called, new ones are
// answered 503; exempt ones (Info.Exempt) are always served and never waited for.
type WaitGroup struct {
	registry *Registry
	grace    time.Duration
	refused  *refusal
}

// NewWaitGroup makes the stage. All chains of a server share its registry: the
// first Wait closes it for all of them.
func NewWaitGroup(registry *Registry, opts WaitGroupOptions) *WaitGroup {
	return &WaitGroup{
		registry, opts.LongRunningGrace,
		newRefusal(http.StatusServiceUnavailable, "ServiceUnavailable", "server is shutting down", opts.Retry.busy()),
	}
}

// Begin counts x, or refuses it.
func (g *WaitGroup) Begin(x *Exchange) bool {
	if !g.registry.join(x, true) {
		return g.refused.serve(x)
	}
	if x.running.kind == runningLong {
		g.watch(x)
	}
	return true
}

// watch lets the drain end x.
func (g *WaitGroup) watch(x *Exchange) {
	ctx, cancel := context.WithCancelCause(x.Request.Context())
	x.endContext = func() { cancel(nil) }
	x.Request = x.Request.WithContext(ctx)
	s := x.running.shard
	s.mu.Lock()
	x.running.cancel = cancel
	s.mu.Unlock()
}

// End lets go of x.
func (g *WaitGroup) End(x *Exchange) {
	g.registry.leave(x)
	if x.endContext != nil {
		x.endContext()
	}
}

// Wait refuses what comes from now on, and returns nil once no request that is
// waited for runs any more. Long-running ones are those whose grace is not over.
// It may be called again, and by many.
func (g *WaitGroup) Wait(ctx context.Context) error {
	r := g.registry
	r.close()
	if g.grace > 0 {
		g.endLongRunning(ctx)
	}
	select {
	case <-r.short.gone:
	default:
		select {
		case <-r.short.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.cancelLongRunning(math.MaxInt) // those that came late, or have no grace
	return nil
}

// endLongRunning ends the contexts of long-running requests at an even rate, and
// waits for them while the grace lasts.
func (g *WaitGroup) endLongRunning(ctx context.Context) {
	r := g.registry
	rate := max(minEndRate, float64(r.Counts().LongRunning)/g.grace.Seconds())
	over := time.NewTimer(g.grace)
	defer over.Stop()
	tick := time.NewTicker(endTick)
	defer tick.Stop()
	begin, ended := time.Now(), 0
	for {
		due := 1 + int(rate*time.Since(begin).Seconds())
		ended += r.cancelLongRunning(due - ended)
		select {
		case <-r.long.gone:
			return
		case <-over.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// leaving counts the requests of a closed registry down.
type leaving struct {
	running atomic.Int64
	gone    chan struct{} // closed when none is left
}

// begin holds gone open until all shards are closed.
func (l *leaving) begin() {
	l.gone = make(chan struct{})
	l.running.Store(1)
}

// left counts one down.
func (l *leaving) left() {
	if l.running.Add(-1) == 0 {
		close(l.gone)
	}
}

// leftClosed counts one down that was there at close.
func (g *Registry) leftClosed(k runningKind) {
	switch k {
	case runningRead, runningMutating:
		g.short.left()
	case runningLong:
		g.long.left()
	default: // exempt ones were not counted
	}
}

// close refuses requests that come from now on, and begins to count the others down.
func (g *Registry) close() {
	g.closing.Do(func() {
		for i := range g.shards {
			s := &g.shards[i]
			s.mu.Lock()
			s.closed = true
			g.short.running.Add(int64(s.counts[runningRead] + s.counts[runningMutating]))
			g.long.running.Add(int64(s.counts[runningLong]))
			s.mu.Unlock()
		}
		g.short.left()
		g.long.left()
	})
}

// cancelLongRunning ends the contexts of n requests at most, and tells of how many.
func (g *Registry) cancelLongRunning(n int) int {
	var list []context.CancelCauseFunc
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for x := s.oldest; x != nil && len(list) < n; x = x.running.next {
			if x.running.cancel != nil {
				list = append(list, x.running.cancel)
				x.running.cancel = nil
			}
		}
		s.mu.Unlock()
	}
	for _, cancel := range list {
		cancel(ErrShuttingDown)
	}
	return len(list)
}
