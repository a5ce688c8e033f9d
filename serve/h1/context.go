package h1

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// requestContext ends when the peer goes away, the server cuts the connection,
// or the handler returns. It costs nothing until somebody asks for Done.
type requestContext struct {
	x    *exchange
	conn *Conn

	mu    sync.Mutex
	done  chan struct{}
	err   error
	funcs map[*func()]struct{} // of AfterFunc
	stop  func() bool          // of the parent's AfterFunc
}

func (t *requestContext) Deadline() (time.Time, bool) { return t.conn.ctx.Deadline() }

// Value answers net/http's two keys itself; a map is not made for them.
func (t *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return t.x.cfg.Server
	case http.LocalAddrContextKey:
		return t.conn.host.LocalAddr()
	}
	return t.conn.ctx.Value(key)
}

func (t *requestContext) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil && t.done == nil && t.conn != nil {
		return t.conn.ctx.Err() // the parent is not watched yet
	}
	return t.err
}

// Done makes the channel, and begins to watch for what can end it.
func (t *requestContext) Done() <-chan struct{} {
	done, fresh := t.arm()
	if fresh {
		t.x.watch() // without the lock: the host may know already, and cancel
	}
	return done
}

// arm makes the channel. fresh: it is new, and open.
func (t *requestContext) arm() (done chan struct{}, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done != nil {
		return t.done, false
	}
	t.done = make(chan struct{})
	if t.err != nil {
		close(t.done)
		return t.done, false
	}
	if t.conn.ctx.Done() != nil {
		parent := t.conn.ctx
		t.stop = context.AfterFunc(parent, func() { t.cancel(parent.Err()) })
	}
	return t.done, true
}

// AfterFunc lets package context derive from this one without a goroutine.
func (t *requestContext) AfterFunc(f func()) (stop func() bool) {
	t.Done() // package context has called it; others may not have
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		go f()
		return func() bool { return false }
	}
	if t.funcs == nil {
		t.funcs = make(map[*func()]struct{})
	}
	t.funcs[&f] = struct{}{}
	return func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, waiting := t.funcs[&f]
		delete(t.funcs, &f)
		return waiting
	}
}

// cancel ends the context once. Any goroutine; it does not block.
func (t *requestContext) cancel(err error) {
	t.mu.Lock()
	if t.err != nil {
		t.mu.Unlock()
		return
	}
	t.err = err
	if t.done != nil {
		close(t.done)
	}
	funcs, stop := t.funcs, t.stop
	t.funcs, t.stop = nil, nil
	t.mu.Unlock()
	if stop != nil {
		stop()
	}
	for f := range funcs {
		go (*f)() // as context.AfterFunc does: in its own goroutine
	}
}

// exposed tells whether somebody has asked for Done, as every derived context does.
func (t *requestContext) exposed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done != nil
}

// reset makes the context new for the next request of a recycled exchange.
func (t *requestContext) reset() {
	t.done, t.err, t.funcs, t.stop, t.conn = nil, nil, nil, nil, nil
}

// watch asks the host to tell when the peer goes away, once the body is read:
// before that, its bytes and its end are the body's business.
func (x *exchange) watch() {
	x.body.watch.Store(true) // first: the body's end looks at it
	if x.body.ended.Load() {
		x.ctx.conn.host.WatchHangup()
	}
}
