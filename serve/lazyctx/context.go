package lazyctx

import (
	"context"
	"sync"
	"time"
)

// Owner is the request that a Context belongs to.
type Owner interface {
	// ContextValue answers the keys that the request knows itself, net/http's
	// two; ok false: the parent is asked. Any goroutine.
	ContextValue(key any) (value any, ok bool)
	// WatchContext begins to watch for what ends the request early, and calls
	// Cancel then. It is called once between Begin and Reset, when Done is
	// first asked for and the context has not ended; from any goroutine, and
	// without the context's lock: the owner may know already, and Cancel at once.
	WatchContext()
}

// Interruptible is what waits for a request, and is told when that has ended.
type Interruptible interface{ Interrupt() }

// Context is a context.Context that ends when its owner says so, its parent ends,
// or its deadline has come. Begin readies the zero value; after it any number of goroutines may
// use the methods, but for Reset. It must not be copied.
type Context struct {
	// Immutable from Begin to Reset.
	parent context.Context
	owner  Owner

	// mu guards the following.
	mu       sync.Mutex
	done     chan struct{}
	err      error
	funcs    map[*func()]struct{} // of AfterFunc
	stop     func() bool          // of the parent's AfterFunc
	notified Interruptible        // told when the context ends; nil: nobody
	deadline time.Time            // its own; zero: none
	timer    *time.Timer          // of the deadline, once done was made
}

// Begin readies a Context that is zero or Reset. Both arguments are required.
func (t *Context) Begin(parent context.Context, owner Owner) { t.parent, t.owner = parent, owner }

// SetDeadline ends the context at d, with context.DeadlineExceeded, unless it has
// an earlier deadline. It is called before the handler runs, and costs no timer
// until somebody asks for Done.
func (t *Context) SetDeadline(d time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.deadline.IsZero() && !d.Before(t.deadline) {
		return
	}
	t.deadline = d
	switch {
	case t.err != nil || t.done == nil:
	case t.timer != nil:
		t.timer.Reset(time.Until(d))
	default:
		t.setTimer()
	}
}

// setTimer lets the deadline end the context. mu is held.
func (t *Context) setTimer() {
	t.timer = time.AfterFunc(time.Until(t.deadline), func() { t.Cancel(context.DeadlineExceeded) })
}

// Deadline is the parent's or its own, the earlier one.
func (t *Context) Deadline() (time.Time, bool) {
	t.mu.Lock()
	own := t.deadline
	t.mu.Unlock()
	parent, ok := t.parent.Deadline()
	if own.IsZero() || ok && parent.Before(own) {
		return parent, ok
	}
	return own, true
}

// Value asks the owner, then the parent; a map is not made for either.
func (t *Context) Value(key any) any {
	if v, ok := t.owner.ContextValue(key); ok {
		return v
	}
	return t.parent.Value(key)
}

// Err tells why the context has ended; nil: it has not.
func (t *Context) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil && t.done == nil && t.parent != nil {
		// Nothing is watched yet.
		if err := t.parent.Err(); err != nil {
			return err
		}
		t.look()
	}
	return t.err
}

// look ends the context if its deadline has come; where there is a channel, the
// timer does. mu is held.
func (t *Context) look() {
	if !t.deadline.IsZero() && !time.Now().Before(t.deadline) {
		t.err = context.DeadlineExceeded
	}
}

// Done makes the channel, and begins to watch for what can end it.
func (t *Context) Done() <-chan struct{} {
	done, fresh := t.arm()
	if fresh {
		t.owner.WatchContext()
	}
	return done
}

// arm makes the channel. fresh: it is new, and open.
func (t *Context) arm() (done chan struct{}, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done != nil {
		return t.done, false
	}
	t.done = make(chan struct{})
	if t.err == nil {
		t.look()
	}
	if t.err != nil {
		close(t.done)
		return t.done, false
	}
	if !t.deadline.IsZero() {
		t.setTimer()
	}
	if t.parent.Done() != nil {
		parent := t.parent
		t.stop = context.AfterFunc(parent, func() { t.Cancel(parent.Err()) })
	}
	return t.done, true
}

// AfterFunc lets package context derive from this one without a goroutine: f
// runs in one of its own once the context has ended. stop tells whether it has
// kept f from running.
func (t *Context) AfterFunc(f func()) (stop func() bool) {
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

// Notify tells w, and nobody before it, when the context is cancelled, at once if
// it was: what Done does, without a channel and without exposing the context. A
// deadline that comes is for the caller to see, and until tells of it (zero: there
// is none). w must neither block nor use the context. nil: nobody. When it returns,
// whoever was told before is told no more.
func (t *Context) Notify(w Interruptible) (until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notified = w
	if w == nil {
		return time.Time{}
	}
	if t.err != nil {
		w.Interrupt()
	}
	if parent, ok := t.parent.Deadline(); ok && (t.deadline.IsZero() || parent.Before(t.deadline)) {
		return parent
	}
	return t.deadline
}

// Cancel ends the context; only the first call counts. It does not block, and
// tells what Exposed would.
func (t *Context) Cancel(err error) (exposed bool) {
	t.mu.Lock()
	exposed = t.done != nil
	if t.err != nil {
		t.mu.Unlock()
		return exposed
	}
	t.err = err
	if exposed {
		close(t.done)
	}
	if t.notified != nil {
		t.notified.Interrupt() // under the lock: see Notify
	}
	funcs, stop := t.funcs, t.stop
	t.funcs, t.stop = nil, nil
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.mu.Unlock()
	if stop != nil {
		stop()
	}
	for f := range funcs {
		go (*f)() // as context.AfterFunc does: in its own goroutine
	}
	return exposed
}

// Exposed tells whether somebody has asked for Done, as every derived context
// does. Such a Context must not be Reset: what was derived from it may outlive
// the request (a transport's, say) and would see the next one.
func (t *Context) Exposed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done != nil
}

// Reset makes the context zero, for the next request of a recycled owner.
// Nobody else may hold it.
func (t *Context) Reset() {
	t.parent, t.owner = nil, nil
	t.done, t.err, t.funcs, t.stop, t.notified = nil, nil, nil, nil, nil
	t.deadline, t.timer = time.Time{}, nil // a timer was stopped by Cancel, or Exposed forbids Reset
}

var _ context.Context = (*Context)(nil)
