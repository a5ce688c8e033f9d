package h1

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// body is a request's body as its handler sees it. It is framed by its length
// for every method (H1-13). c.rmu guards it.
type body struct {
	c *Conn
	x *exchange

	left    int64 // of a body with Content-Length
	chunked bool
	expect  bool  // 100-continue is awaited
	shut    bool  // closed by the handler, or the request is over
	err     error // io.EOF at the end; final
	got     int64
	max     int64 // MaxBodyBytes; 0: none
	begun   time.Time

	until   time.Time // the handler's own deadline; c.deadlines guards it
	due     time.Time // of the last wait; likewise
	waiting bool      // likewise

	ended    atomic.Bool // everything was read: what comes now is not the body's
	watch    atomic.Bool // somebody wants to know of a hang-up then
	gone     atomic.Bool // the peer has closed its half, or more
	over     atomic.Bool // the request is over: a goroutine inside Read comes out
	noExpect atomic.Bool // the handler sent 100 itself
}

func (b *body) begin(c *Conn, x *exchange) {
	b.c, b.x = c, x
	h := &x.head
	b.max = x.cfg.MaxBodyBytes
	switch {
	case h.Chunked:
		b.chunked = true
		x.chunked.Reset(&x.cfg.Limits)
	case h.ContentLength > 0:
		b.left = h.ContentLength
		if b.max > 0 && b.left > b.max {
			b.err = &http.MaxBytesError{Limit: b.max} // none of it is asked for or read
		}
	default:
		b.err = io.EOF
		b.ended.Store(true)
		return
	}
	b.expect = h.Expect100
}

func (b *body) reset() {
	b.c = nil
	b.left, b.chunked, b.expect, b.shut, b.err = 0, false, false, false, nil
	b.got, b.begun, b.until, b.waiting = 0, time.Time{}, time.Time{}, false
	b.ended.Store(false)
	b.watch.Store(false)
	b.gone.Store(false)
	b.over.Store(false)
	b.noExpect.Store(false)
}

// Read reads the body. It waits when nothing is here: leadership is handed on,
// and what was gathered for the peer leaves first.
func (b *body) Read(p []byte) (int, error) {
	c := b.c
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if b.shut {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(p) == 0 || b.err != nil {
		return 0, b.err
	}
	if b.expect {
		b.expect = false
		if !b.noExpect.Load() {
			c.sendContinue(b.x)
		}
	}
	return b.read(p)
}

// read reads at least a byte, or the end, or fails. rmu is held.
func (b *body) read(p []byte) (int, error) {
	for b.err == nil && !b.over.Load() {
		n := b.take(p)
		if n > 0 || b.err != nil {
			return n, b.err
		}
		if !b.fill() {
			break
		}
	}
	if b.err == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return 0, b.err
}

// take moves what is buffered to p.
func (b *body) take(p []byte) (n int) {
	c := b.c
	if c.in == nil || c.off == len(c.in.B) {
		return 0
	}
	src := c.in.B[c.off:]
	if !b.chunked {
		n = copy(p[:min(int64(len(p)), b.left)], src)
		c.off += n
		b.left -= int64(n)
		n = b.count(n)
		if b.left == 0 {
			b.end(io.EOF)
		}
		return n
	}
	n, used, done, err := b.x.chunked.Decode(p, src)
	c.off += used
	n = b.count(n)
	switch {
	case err != nil:
		c.cfg.Counters.BadBody.Add(1)
		b.end(err)
	case done:
		b.setTrailer()
		b.end(io.EOF)
	}
	return n
}

// count notes n bytes more, and returns how many of them MaxBodyBytes lets pass.
func (b *body) count(n int) int {
	b.got += int64(n)
	if b.max > 0 && b.got > b.max {
		n = max(0, n-int(b.got-b.max))
		b.end(&http.MaxBytesError{Limit: b.max})
	}
	return n
}

// end is the body's last word.
func (b *body) end(err error) {
	if b.err != nil {
		return
	}
	b.err = err
	if err != io.EOF {
		return
	}
	b.ended.Store(true)
	if b.gone.Load() {
		b.x.ctx.Cancel(context.Canceled) // the peer has left behind its body
	}
	if b.watch.Load() && !b.over.Load() { // over: the body is drained behind its handler
		b.c.host.WatchHangup()
	}
}

// setTrailer gives the handler the announced trailer fields, and those that
// were not announced too, as net/http does.
func (b *body) setTrailer() {
	r := b.x.req
	b.x.chunked.Trailer(func(name, value []byte) {
		if r.Trailer == nil {
			r.Trailer = make(http.Header)
		}
		r.Trailer.Add(string(name), string(value))
	})
}

// fill reads from the connection, and waits if it must. False: b.err is set,
// or the request is over.
func (b *body) fill() bool {
	c := b.c
	for {
		if c.in == nil {
			c.in, c.off = bufpool.Get(readSize), 0
		} else {
			c.in.B, c.off = c.in.B[:0], 0
		}
		if c.blocks {
			b.beforeWait()
		}
		n, err := c.host.Read(c.in.B[:cap(c.in.B)])
		c.in.B = c.in.B[:n]
		if c.blocks {
			b.bound(false)
		}
		if n > 0 {
			return true
		}
		if err == ErrWouldBlock {
			err = b.wait()
		}
		switch {
		case b.over.Load():
			return false // WakeReader: the request is over
		case err == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded) && !b.late(time.Now()):
			continue // the portable form's read deadline was an earlier one
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.cfg.Counters.TimedOut.Add(1)
			b.end(errBodyTimeout)
		case err == io.EOF:
			b.end(io.ErrUnexpectedEOF)
			b.x.ctx.Cancel(context.Canceled) // nobody is there to answer, as net/http
		default:
			b.end(err)
			b.x.ctx.Cancel(context.Canceled)
		}
		return false
	}
}

// wait waits for the peer under the rules of S-2 and the handler's deadline.
func (b *body) wait() error {
	b.beforeWait()
	defer b.bound(false)
	return b.c.host.WaitReadable()
}

// beforeWait lets earlier answers leave, which must not wait for this body,
// and sets the deadline.
func (b *body) beforeWait() {
	if b.begun.IsZero() {
		b.begun = time.Now()
	}
	c := b.c
	if c.wmu.TryLock() {
		c.flushEarlier()
		c.wmu.Unlock()
	}
	b.bound(true)
}

// bound sets the deadline of a wait, and takes it away.
func (b *body) bound(waiting bool) {
	b.c.deadlines.Lock()
	defer b.c.deadlines.Unlock()
	b.waiting = waiting
	if !waiting {
		b.c.host.SetReadDeadline(time.Time{})
		return
	}
	b.due = b.deadline(time.Now())
	b.c.host.SetReadDeadline(b.due)
}

// deadline is the earliest of: no byte for BodyIdleTimeout, an average below
// BodyMinRate once the grace is over, the handler's own.
func (b *body) deadline(now time.Time) time.Time {
	cfg := b.c.cfg
	var due time.Time
	earlier := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	if cfg.BodyIdleTimeout > 0 {
		earlier(now.Add(cfg.BodyIdleTimeout))
	}
	if cfg.BodyMinRate > 0 {
		earned := time.Duration(float64(b.got) / float64(cfg.BodyMinRate) * float64(time.Second))
		earlier(b.begun.Add(max(earned, bodyRateGrace)))
	}
	if !b.until.IsZero() {
		earlier(b.until)
	}
	return due
}

// late tells whether the deadline of the last wait has really passed.
func (b *body) late(now time.Time) bool {
	b.c.deadlines.Lock()
	defer b.c.deadlines.Unlock()
	return !b.due.IsZero() && !now.Before(b.due)
}

// Close: the handler wants no more. What is left is drained after the answer.
func (b *body) Close() error {
	b.c.rmu.Lock()
	defer b.c.rmu.Unlock()
	b.shut = true
	return nil
}

// failed is the body's error that the answer must tell of, if it can: 0, none.
func (b *body) failed() int {
	if b.err == nil || b.err == io.EOF {
		return 0
	}
	var e *wire.Error
	var large *http.MaxBytesError
	switch {
	case b.err == errBodyTimeout:
		return http.StatusRequestTimeout
	case errors.As(b.err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.As(b.err, &e):
		return e.Status
	default:
		return http.StatusBadRequest
	}
}

// drainBody reads an unread body to its end, in steps, so that the next
// request can be found; too much of it, or too slow, ends the connection.
func (c *Conn) drainBody() bool {
	x := c.draining
	b := &x.body
	var p [4096]byte
	for b.err == nil {
		if n := b.take(p[:]); n > 0 {
			if c.spent += n; c.spent > maxDrainBytes {
				c.finishDrain(false)
				return true
			}
			continue
		}
		if b.err == nil && !c.read() {
			return false
		}
	}
	c.finishDrain(b.err == io.EOF)
	return c.state != stateOver
}

func (c *Conn) finishDrain(clean bool) {
	c.draining.recycle()
	c.draining = nil
	if clean {
		c.enter(stateHead)
	} else {
		c.startLinger()
	}
}
