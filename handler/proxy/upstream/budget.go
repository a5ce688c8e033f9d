package upstream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// budgetSeconds is the window that requests and retries are counted over.
const budgetSeconds = 10

// budgetStripes keep cores apart that count at the same time: a request counts on
// the stripe of its endpoint, whose line its core writes anyway.
const budgetStripes = 8

// budget is the allowance for retries and hedges: a part of the requests of the
// last ten seconds, or a few in each second. It keeps a failing service from being
// asked several times as often as a sound one.
type budget struct {
	// Atomic.
	requests [budgetStripes]struct {
		window
		_ [cacheLine]byte
	}
	retries window // changed by who holds mu

	mu               sync.Mutex // guards the following
	granted, refused uint64
}

// window counts in each of the last ten seconds: a slot is a second and its count,
// of 32 bits each.
type window [budgetSeconds]atomic.Uint64

func second(t int64) uint64 { return uint64(t/int64(time.Second)) & (1<<32 - 1) }

func (w *window) add(s uint64) {
	slot := &w[s%budgetSeconds]
	for {
		v := slot.Load()
		if v>>32 >= s { // a clock that is read late counts for the newer second
			slot.Add(1)
			return
		}
		if slot.CompareAndSwap(v, s<<32|1) {
			return
		}
	}
}

// sum is the count of the ten seconds up to s.
func (w *window) sum(s uint64) (sum int) {
	for i := range w {
		if v := w[i].Load(); v>>32+budgetSeconds > s {
			sum += int(v & (1<<32 - 1))
		}
	}
	return sum
}

// of is the count of s alone.
func (w *window) of(s uint64) int {
	if v := w[s%budgetSeconds].Load(); v>>32 == s {
		return int(v & (1<<32 - 1))
	}
	return 0
}

// count counts a request.
func (b *budget) count(t int64, stripe int) { b.requests[stripe%budgetStripes].add(second(t)) }

// take takes a retry. False: the budget is empty.
func (b *budget) take(t int64, r *Retry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left(t, r) <= 0 {
		b.refused++
		return false
	}
	b.granted++
	b.retries.add(second(t))
	return true
}

// left is how many retries there may be now.
func (b *budget) left(t int64, r *Retry) int {
	s := second(t)
	requests := 0
	for i := range b.requests {
		requests += b.requests[i].sum(s)
	}
	return max(0, r.BudgetPercent*requests/100-b.retries.sum(s), r.PerSecond-b.retries.of(s))
}

// TryRetry takes a further attempt, or a hedge, from the budget. False: the budget
// is empty, and the first error goes out.
func (g *Group) TryRetry(now time.Time) bool {
	return g.budget.take(g.since(now), &g.view.Load().set.Retry)
}

// MayRepeat tells whether a request of this method may reach an upstream twice.
// (What certainly did not reach one may be repeated whatever its method.)
func (g *Group) MayRepeat(method string) bool {
	return slices.Contains(g.view.Load().set.Retry.Methods, method)
}

// Backoff is how long to wait before the next attempt after one that ended so:
// 25 to 250 ms at random, so that those who failed together do not come back
// together; nothing after a failed connect, which has cost the upstream nothing.
func (g *Group) Backoff(k Kind) time.Duration {
	if k == ConnectFailed {
		return 0
	}
	return g.random.within(minBackoff, maxBackoff)
}

const (
	minBackoff = 25 * time.Millisecond
	maxBackoff = 250 * time.Millisecond
)
