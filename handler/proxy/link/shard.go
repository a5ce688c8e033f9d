package link

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/lazyctx"
	"github.com/penstock-edge/penstock/serve/shard"
)

// HomeOf tells where the request of ctx runs; p where no shard serves it.
func HomeOf(ctx context.Context, p *Portable) Home {
	t, ok := ctx.Value(shard.TaskKey{}).(*shard.Task)
	if !ok {
		return p
	}
	return (*shardHome)(t)
}

// shardHome is the shard of a task.
type shardHome shard.Task

func (h *shardHome) task() *shard.Task { return (*shard.Task)(h) }

// Index is the shard's number in the process, from 1 on.
func (h *shardHome) Index() int { return h.task().Shard().ID() }

// Dial: connecting is rare and may ask a resolver, so Go's own dialer does it,
// while others lead.
func (h *shardHome) Dial(ctx context.Context, network, address string) (Conn, error) {
	t := h.task()
	t.Lead()
	nc, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	u, err := t.Adopt(nc)
	if err != nil {
		return nil, err
	}
	c := &shardConn{Client: u}
	c.watch(ctx, t)
	return c, c.SetReadDeadline(time.Time{})
}

// Waiter: see Home.
func (h *shardHome) Waiter(ctx context.Context) Waiter {
	w := &shardWaiter{task: h.task()}
	w.watch(ctx, w.task)
	return w
}

// Lead: see Home.
func (h *shardHome) Lead() { h.task().Lead() }

// Go: see Home.
func (h *shardHome) Go(ctx context.Context, f func(context.Context)) {
	ok := h.task().Shard().Go(func(t *shard.Task) {
		f(context.WithValue(ctx, shard.TaskKey{}, t))
	})
	if !ok { // the shard has ended: f learns it, and cleans up
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(net.ErrClosed)
		go f(ctx)
	}
}

// watcher sees to it that a task is told when its request ends.
type watcher struct {
	ctx      context.Context
	stop     func() bool // of a context that is not an engine's
	deadline time.Time   // the context's
}

// watch begins. The engine's own context tells without a channel; another one
// costs a registration.
func (w *watcher) watch(ctx context.Context, t *shard.Task) {
	w.ctx = ctx
	if lc, ok := ctx.(*lazyctx.Context); ok {
		w.deadline = lc.Notify(t)
		return
	}
	w.deadline, _ = ctx.Deadline()
	// Not t.Interrupt: a context that its request's own end cancels tells of that when
	// the task may be another request's.
	w.stop = context.AfterFunc(ctx, t.Interrupter())
}

func (w *watcher) unwatch() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	w.ctx, w.deadline = nil, time.Time{}
}

// bound is the earlier of until and the request's own deadline, which an
// engine's context tells nobody of by itself.
func (w *watcher) bound(until time.Time) time.Time {
	if !w.deadline.IsZero() && (until.IsZero() || w.deadline.Before(until)) {
		return w.deadline
	}
	return until
}

// cause turns the end of a wait into the reason for the request's end, if it
// has ended.
func (w *watcher) cause(err error) error {
	if err != shard.ErrInterrupted && err != os.ErrDeadlineExceeded || w.ctx == nil {
		return err
	}
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if err == shard.ErrInterrupted {
		return context.Canceled
	}
	return err
}

// shardConn is a connection in the shard's epoll set.
type shardConn struct {
	*shard.Client
	watcher
}

// Attach: see Conn.
func (c *shardConn) Attach(ctx context.Context) {
	t := ctx.Value(shard.TaskKey{}).(*shard.Task)
	c.unwatch()
	c.Client.Attach(t)
	c.watch(ctx, t)
	c.SetReadDeadline(time.Time{})
}

// Detach: see Conn.
func (c *shardConn) Detach() {
	c.unwatch()
	c.Client.Detach()
}

func (c *shardConn) Read(p []byte) (int, error) {
	n, err := c.Client.Read(p)
	if err != nil {
		err = c.cause(err)
	}
	return n, err
}

func (c *shardConn) TryRead(p []byte) (int, error) {
	n, err := c.Client.TryRead(p)
	if err == shard.ErrWouldBlock {
		err = ErrWouldBlock
	}
	return n, err
}

// ReadPipe: see PipeReader.
func (c *shardConn) ReadPipe(fd int, n int64) (int64, error) {
	m, err := c.Client.ReadPipe(fd, n)
	if err != nil {
		err = c.cause(err)
	}
	return m, err
}

func (c *shardConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *shardConn) SetReadDeadline(t time.Time) error {
	c.Client.SetReadDeadline(c.bound(t))
	return nil
}

func (c *shardConn) SetWriteDeadline(t time.Time) error {
	c.Client.SetWriteDeadline(t)
	return nil
}

// shardWaiter waits as the task does.
type shardWaiter struct {
	watcher
	task *shard.Task
	up   atomic.Bool
}

// Wait: see Waiter.
func (w *shardWaiter) Wait(until time.Time) error {
	until = w.bound(until)
	if !until.IsZero() {
		defer w.task.WakeAt(time.Until(until))()
	}
	for {
		switch {
		case w.up.Swap(false):
			return nil
		case w.task.Interrupted():
			return w.cause(shard.ErrInterrupted)
		case !until.IsZero() && !time.Now().Before(until):
			return w.cause(os.ErrDeadlineExceeded)
		}
		w.task.Wait()
	}
}

// Wake: see Waiter.
func (w *shardWaiter) Wake() {
	w.up.Store(true)
	w.task.Wake()
}
