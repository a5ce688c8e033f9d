package h2

import (
	"time"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// Receiving. A stream's credit follows its reader: what it has read may come
// again. The connection's credit is given back on receipt, or a slow reader
// would stall the uploads beside it (golang/go#54330), as long as the unread
// bytes of all streams stay below the connection's window; above it is kept
// back, and a stream that makes its neighbours wait so without reading is
// reset after withholdTimeout (expire).
//
// Sending: see send.go.

// creditFraction of a window is given back at once; less waits, so that
// WINDOW_UPDATE frames stay few.
const creditFraction = 4

// credit gives the peer what the stream's window lacks.
func (b *body) credit() {
	s := b.s
	if s.recvClosed || s.gone || b.shut {
		return
	}
	give := b.target - b.n - b.window
	if give < b.target/creditFraction {
		return
	}
	b.window += give
	out := s.c.gather(headRoom)
	out.B = frame.AppendWindowUpdate(out.B, s.id, uint32(give))
}

// grow doubles the window of a handler that has read all there was, if the peer
// had used up most of what it might send: a quarter may wait for its credit.
func (b *body) grow() {
	if b.low && b.target < b.s.c.cfg.MaxStreamWindow {
		b.target = min(2*b.target, b.s.c.cfg.MaxStreamWindow)
	}
	b.low = false
}

// creditConn gives the peer what the connection's window lacks, unless too much
// is unread.
func (c *Conn) creditConn() {
	give := c.cfg.ConnWindow - c.recvWin
	if c.unread > c.cfg.ConnWindow {
		if c.withheldAt == 0 && give > 0 {
			c.withheldAt = c.clock()
		}
		return
	}
	if c.withheldAt != 0 {
		c.withheldAt, c.releasedAt = 0, c.clock()
	}
	if give < c.cfg.ConnWindow/creditFraction || c.phase > phaseOpen {
		return
	}
	c.recvWin += give
	out := c.gather(headRoom)
	out.B = frame.AppendWindowUpdate(out.B, 0, uint32(give))
}

// expireWithheld resets the streams that keep their neighbours' credit.
func (c *Conn) expireWithheld() {
	if c.withheldAt == 0 || c.now-c.withheldAt < withholdTimeout {
		return
	}
	for _, s := range c.streams {
		if s.body.n > 0 && c.now-s.body.readAt >= withholdTimeout {
			c.cfg.Counters.Withheld.Add(1)
			c.reset(s, frame.Cancel)
		}
	}
	if c.withheldAt != 0 {
		c.withheldAt = c.now - withholdTimeout/2 // some have read meanwhile: look again
	}
}

// clock is the present for those who are in no step.
func (c *Conn) clock() time.Duration { return time.Since(epoch) }
