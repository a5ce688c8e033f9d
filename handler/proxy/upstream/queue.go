package upstream

import (
	"context"
	"errors"
	"os"
	"time"
)

// Waiter lets one request wait, where it runs. NewWaiter makes a plain one.
type Waiter interface {
	// Wait returns nil after Wake (also one before Wait; several count as one),
	// os.ErrDeadlineExceeded at until, or the cause of the request's end.
	Wait(until time.Time) error
	// Wake ends a Wait, or the next one. It is called from any goroutine, under the
	// group's lock: it must not block, nor call the group.
	Wake()
}

// queue are the requests that wait for a place, the first in front. Group.mu
// guards it. Retries do not wait: so each may have any place.
type queue struct {
	first, last *waiting
	served      uint64
	refused     uint64
	late        uint64
}

// waiting is a request in the queue. Once done it is out, with a place or an error.
type waiting struct {
	waiter     Waiter
	key        uint64
	next, prev *waiting
	done       bool
	endpoint   *Endpoint
	err        error
}

// Wait waits for a place after Pick said ErrFull, in the order of arrival, at most
// ConnectTimeout. It returns an endpoint as Pick does, ErrQueueFull at once,
// ErrQueueTimeout, ErrNoneUp as soon as nobody is up, or the cause with which w
// ended. Afterwards w may hold a Wake, and is not to be used again.
//
// It is for first attempts only: a retry that meets ErrFull is not made.
func (g *Group) Wait(w Waiter, now time.Time, key uint64) (*Endpoint, error) {
	q := &waiting{waiter: w, key: key}
	timeout, served, err := g.enqueue(q, g.since(now))
	if err != nil {
		return nil, err
	}
	for until := now.Add(timeout); !served; {
		served = g.leave(q, w.Wait(until))
	}
	if q.endpoint != nil && q.err != nil { // served, but its request has ended
		q.endpoint.End(time.Now())
		return nil, q.err
	}
	return q.endpoint, q.err
}

// enqueue adds q, and serves whom it can: a place may have come free since Pick
// looked, and who gave it back saw nobody waiting.
func (g *Group) enqueue(q *waiting, t int64) (timeout time.Duration, served bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting.Load() >= int64(g.set.Limits.Queue) { // negative: nobody may wait
		g.queue.refused++
		return 0, false, ErrQueueFull
	}
	g.queue.push(q)
	g.waiting.Add(1)
	g.refreshLocked(t)
	g.dispatchLocked(t, q)
	return g.set.queueTimeout, q.done, nil
}

// leave ends the wait of q. False: it was woken for nothing, and waits on.
func (g *Group) leave(q *waiting, ended error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	late := errors.Is(ended, os.ErrDeadlineExceeded)
	switch {
	case q.done:
		if ended != nil && !late {
			q.err = ended
		}
		return true
	case ended == nil:
		return false
	case late:
		g.queue.late++
		q.err = ErrQueueTimeout
	default:
		q.err = ended
	}
	g.remove(q)
	return true
}

// dispatch gives places to those who wait.
func (g *Group) dispatch(t int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refreshLocked(t)
	g.dispatchLocked(t, nil)
}

// dispatchLocked does it with mu held. self is not woken: it is the caller's.
func (g *Group) dispatchLocked(t int64, self *waiting) {
	v := g.view.Load()
	for q := g.queue.first; q != nil; q = g.queue.first {
		e, err := g.pick(v, t, q.key, nil)
		if errors.Is(err, ErrFull) {
			return
		}
		g.remove(q)
		g.queue.served++
		q.endpoint, q.err, q.done = e, err, true
		if q != self {
			q.waiter.Wake()
		}
	}
}

// remove takes q out. mu is held.
func (g *Group) remove(q *waiting) {
	g.queue.remove(q)
	g.waiting.Add(-1)
}

func (u *queue) push(q *waiting) {
	q.prev = u.last
	if u.last == nil {
		u.first = q
	} else {
		u.last.next = q
	}
	u.last = q
}

func (u *queue) remove(q *waiting) {
	if q.prev == nil {
		u.first = q.next
	} else {
		q.prev.next = q.next
	}
	if q.next == nil {
		u.last = q.prev
	} else {
		q.next.prev = q.prev
	}
	q.next, q.prev = nil, nil
}

// NewWaiter makes a Waiter that parks the goroutine, and ends with ctx.
func NewWaiter(ctx context.Context) Waiter {
	return &plainWaiter{ctx: ctx, woken: make(chan struct{}, 1)}
}

type plainWaiter struct {
	ctx   context.Context
	woken chan struct{}
}

func (w *plainWaiter) Wait(until time.Time) error {
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case <-w.woken:
		return nil
	case <-late.C:
		return os.ErrDeadlineExceeded
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (w *plainWaiter) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}
