package h2

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// body is a request's body as its handler sees it. What was received lies in
// shared buffers, not in one for each frame (H2-7). c.mu guards it.
type body struct {
	s *stream

	bufs []*bufpool.Buffer // in order; bytes before off of the first were read
	off  int
	n    int // unread bytes in bufs

	left   int64 // of the declared length, to be received; -1: none was declared
	max    int64 // MaxBodyBytes; 0: none
	got    int64 // bytes received
	window int   // what the peer may still send
	target int   // what the window grows to, less what is unread
	tiny   int   // spent of the connection's budget for tiny frames (H2-7)

	low    bool  // the peer has used up three quarters of its window since the reader had all
	expect bool  // 100-continue is awaited
	shut   bool  // closed by its handler, or the request is over
	err    error // behind what is unread; io.EOF at the end
	late   bool  // the handler's own deadline has passed

	trailer http.Header   // what the trailer section brought
	begun   time.Time     // when a reader waited first
	readAt  time.Duration // of the last read, or of the first unread byte
	data    chan struct{} // capacity 1, made at the first wait of a reader
}

// begin readies the body of a request. ended: there is none.
func (b *body) begin(s *stream, length int64, ended bool) {
	b.s, b.left = s, length
	b.window, b.target = s.c.cfg.StreamWindow, s.c.cfg.StreamWindow
	b.readAt = s.c.now
	b.max = s.c.cfg.MaxBodyBytes
	switch {
	case ended:
		b.err = io.EOF
	case b.max > 0 && length > b.max:
		b.err = &http.MaxBytesError{Limit: b.max} // none of it is asked for or read
	}
}

func (b *body) reset() {
	bufs := b.bufs[:0]
	*b = body{bufs: bufs}
}

// Read reads the body. It waits when nothing is here: leadership is handed on.
func (b *body) Read(p []byte) (int, error) {
	b.s.c.mu.Lock()
	defer b.s.unlock()
	for {
		switch {
		case b.shut:
			return 0, http.ErrBodyReadAfterClose
		case b.late:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case b.n > 0:
			return b.take(p), nil
		case b.err != nil:
			if b.err == io.EOF && b.trailer != nil {
				b.giveTrailer()
			}
			return 0, b.err
		}
		if b.expect {
			b.expect = false
			b.s.w.sendContinue()
		}
		if err := b.wait(); err != nil {
			return 0, err
		}
	}
}

// take moves unread bytes to p, and gives the peer credit for them.
func (b *body) take(p []byte) (n int) {
	for n < len(p) && b.n > 0 {
		first := b.bufs[0]
		m := copy(p[n:], first.B[b.off:])
		n += m
		b.off += m
		b.n -= m
		if b.off == len(first.B) {
			b.off = 0
			b.bufs = slices.Delete(b.bufs, 0, 1) // few, and the array is used again
			first.Release()
		}
	}
	s := b.s
	b.readAt = s.c.clock()
	s.c.unread -= n
	if b.n == 0 {
		s.c.budget.tiny -= b.tiny
		b.tiny = 0
		b.grow()
	}
	b.credit()
	s.c.creditConn()
	return n
}

// giveTrailer lets the handler see the trailer section, and what was announced.
func (b *body) giveTrailer() {
	r := b.s.req
	if r.Trailer == nil {
		r.Trailer = make(http.Header, len(b.trailer))
	}
	maps.Copy(r.Trailer, b.trailer)
	b.trailer = nil
}

// Close: the handler wants no more. What is left is thrown away.
func (b *body) Close() error {
	b.s.c.mu.Lock()
	defer b.s.unlock()
	b.close()
	return nil
}

// close gives the buffers back; what still comes is not kept.
func (b *body) close() {
	b.shut = true
	b.throwAway()
	b.signal()
}

// throwAway drops what is unread.
func (b *body) throwAway() {
	for _, buf := range b.bufs {
		buf.Release()
	}
	clear(b.bufs)
	b.bufs = b.bufs[:0]
	c := b.s.c
	c.unread -= b.n
	c.budget.tiny -= b.tiny
	b.n, b.off, b.tiny = 0, 0, 0
	c.creditConn()
}

// abort ends the body early: what is unread is lost.
func (b *body) abort(why error) {
	if b.err == nil || b.n > 0 {
		b.err = why
		b.throwAway()
	}
	b.signal()
}

// end is the body's clean end.
func (b *body) end() {
	if b.err == nil {
		b.err = io.EOF
	}
	b.signal()
}

// signal wakes a reader that waits.
func (b *body) signal() {
	if b.data != nil {
		select {
		case b.data <- struct{}{}:
		default:
		}
	}
}

// wait waits for the peer under the rules of S-2, without the lock: the
// connection goes on under another leader.
func (b *body) wait() error {
	s := b.s
	c := s.c
	if b.data == nil {
		b.data = make(chan struct{}, 1)
	}
	now := time.Now()
	if b.begun.IsZero() {
		b.begun = now
	}
	due := b.deadline(now)
	data := b.data
	c.unlockToWait(s)
	defer c.mu.Lock()
	if due.IsZero() {
		<-data
		return nil
	}
	timer := time.NewTimer(due.Sub(now))
	defer timer.Stop()
	select {
	case <-data:
		return nil
	case <-timer.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case b.err != nil || b.n > 0: // it came just now
	case b.deadline(time.Now()).IsZero(): // the answer has begun meanwhile
	case c.starved():
		b.begun = time.Now() // its neighbours had the credit: it is not the peer who is slow
	default:
		c.cfg.Counters.TimedOut.Add(1)
		b.err = errTimeout
	}
	return nil // Read looks again
}

// unlock ends a call of the handler of s. What it has gathered leaves: with the
// step, while its turn leads, else here.
func (s *stream) unlock() {
	c := s.c
	if c.out != nil {
		switch {
		case !c.host.Leading(s.turnNow()):
			c.flush()
		case s.parked:
			c.wake = true // no step is under way
		}
	}
	c.end()
}

// turnNow is the turn that the handler runs in.
func (s *stream) turnNow() Turn {
	if s.task != nil {
		return Turn(s.task.CurrentTurn())
	}
	return s.turn
}

// unlockToWait releases the lock and leadership: s is about to wait. Whatever
// was gathered leaves, with the step that goes on, or here.
func (c *Conn) unlockToWait(s *stream) {
	if !c.host.Leading(s.turnNow()) {
		c.flush()
	}
	wake := c.wake || s.parked && c.out != nil
	c.wake = false
	c.mu.Unlock()
	c.host.LeadTurn(s.turnNow())
	if wake {
		c.host.Wake()
	}
}

// starved tells whether credit was kept back so lately that a body could not
// have come.
func (c *Conn) starved() bool {
	return c.withheldAt != 0 || c.releasedAt != 0 && c.clock()-c.releasedAt < bodyRateGrace
}

// deadline is the earlier of: no byte for BodyIdleTimeout, an average below
// BodyMinRate once the grace is over. Zero: none. It is for a request that is
// being sent. A tunnel, and a peer that is being answered meanwhile or whose
// handler asked for full duplex, converse, and may be silent.
func (b *body) deadline(now time.Time) (due time.Time) {
	if w := &b.s.w; w.connect || w.duplex || w.headDone {
		return time.Time{}
	}
	cfg := b.s.c.cfg
	if cfg.BodyIdleTimeout > 0 {
		due = now.Add(cfg.BodyIdleTimeout)
	}
	if cfg.BodyMinRate > 0 {
		earned := time.Duration(float64(b.got) / float64(cfg.BodyMinRate) * float64(time.Second))
		if t := b.begun.Add(max(earned, bodyRateGrace)); due.IsZero() || t.Before(due) {
			due = t
		}
	}
	return due
}

// failed is the body's error that the answer must tell of, if it can: 0, none.
func (b *body) failed() int {
	switch {
	case b.err == nil || b.err == io.EOF:
		return 0
	case b.err == errTimeout:
		return http.StatusRequestTimeout
	case isTooLarge(b.err):
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusBadRequest
	}
}

// isTooLarge is a function of its own since its variable is on the heap.
func isTooLarge(err error) bool {
	var large *http.MaxBytesError
	return errors.As(err, &large)
}
