package shard

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// waiter is what the detached goroutines of one connection wait on: at most
// one reader and one writer at a time (the engine's locks see to it). It is
// made at the first wait, and lives as long as the connection.
type waiter struct {
	readable chan struct{} // capacity 1; a pending signal costs one extra look
	writable chan struct{}

	mu        sync.Mutex
	readTimer *time.Timer
	writeT    *time.Timer
	readLate  atomic.Bool
	writeLate atomic.Bool
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (w *waiter) signal(mask uint32) {
	if mask&(evIn|evRdhup|evHup|evErr) != 0 {
		signal(w.readable)
	}
	if mask&(evOut|evHup|evErr) != 0 {
		signal(w.writable)
	}
}

// waits returns the connection's waiter, made at first use by any goroutine.
func (c *Conn) waits() *waiter {
	if w := c.waiter.Load(); w != nil {
		return w
	}
	w := &waiter{readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
	if !c.waiter.CompareAndSwap(nil, w) {
		return c.waiter.Load()
	}
	return w
}

// WaitReadable hands leadership on, then waits until there may be bytes to
// read, WakeReader was called, or the read deadline has passed
// (os.ErrDeadlineExceeded). net.ErrClosed: the connection was cut.
func (c *Conn) WaitReadable() error {
	w := c.waits()
	c.Lead()
	if err := c.register(); err != nil {
		return err
	}
	// Events seen before the waiter stood are in the mask; later ones signal.
	if c.cut.Load() {
		return net.ErrClosed
	}
	if w.readLate.Load() {
		return os.ErrDeadlineExceeded
	}
	if !c.takeEvents(evIn | evRdhup | evHup | evErr) {
		<-w.readable
		c.takeEvents(evIn | evRdhup)
	}
	c.drained = false
	if c.cut.Load() {
		return net.ErrClosed
	}
	if w.readLate.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// takeEvents clears the bits of mask and tells whether one was set.
func (c *Conn) takeEvents(mask uint32) bool { return c.events.And(^mask)&mask != 0 }

// WakeReader ends another goroutine's WaitReadable.
func (c *Conn) WakeReader() {
	if w := c.waiter.Load(); w != nil {
		signal(w.readable)
	}
}

// WaitWritable hands leadership on, then waits until at most limit bytes are
// kept back; with none kept back (SendFile found the socket full) until the
// socket takes bytes again. It ends with os.ErrDeadlineExceeded when the write
// deadline has passed or the peer makes no progress (rule S-3).
func (c *Conn) WaitWritable(limit int) error {
	w := c.waits()
	c.Lead()
	if err := c.register(); err != nil {
		return err
	}
	full := c.Buffered() == 0
	for first := true; ; first = false {
		c.mu.Lock()
		err := c.flushLocked()
		kept, late := c.Buffered(), c.stalledLocked()
		c.mu.Unlock()
		switch {
		case c.cut.Load():
			return net.ErrClosed
		case err != nil:
			return err
		case late || w.writeLate.Load():
			return os.ErrDeadlineExceeded
		case !full && kept <= limit, full && (!first || c.takeEvents(evOut)):
			return nil
		}
		select {
		case <-w.writable:
		case <-time.After(writeLook):
		}
	}
}

// writeLook is how often a waiting writer looks at its peer's progress.
const writeLook = time.Second

// SetReadDeadline and SetWriteDeadline bound the waits of a running handler;
// zero: none. A deadline that has passed ends the waits until it is set anew.
func (c *Conn) SetReadDeadline(t time.Time) error {
	w := c.waits()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.setDeadline(&w.readTimer, &w.readLate, w.readable, t)
	return nil
}

// SetWriteDeadline: see SetReadDeadline.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	w := c.waits()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.setDeadline(&w.writeT, &w.writeLate, w.writable, t)
	return nil
}

// SetDeadline sets both.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// setDeadline replaces one of the two deadlines. mu is held.
func (w *waiter) setDeadline(timer **time.Timer, late *atomic.Bool, ch chan struct{}, t time.Time) {
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	late.Store(false)
	if t.IsZero() {
		return
	}
	d := time.Until(t)
	if d <= 0 {
		late.Store(true)
		signal(ch)
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if *timer != mine {
			return // replaced while it fired
		}
		late.Store(true)
		signal(ch)
	})
	*timer = mine
}
