package h2

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/lazyctx"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// stream is one exchange: all the engine keeps for a request and its answer,
// in one block. By default a block is used once, since a handler may keep the
// request for ever; with Config.Recycle it comes back.
//
// c.mu guards everything but what is marked.
type stream struct {
	c  *Conn
	id uint32

	recvClosed bool // END_STREAM was received, or nothing more is wanted
	sendClosed bool // END_STREAM was framed
	gone       bool // closed, for the protocol
	kept       bool // in c.streams
	started    bool // its handler was called
	detached   bool // its handler leads no more
	returned   bool // its handler has returned
	exposed    bool // its context was asked for Done: it may outlive the handler
	err        error

	turn Turn // of the handler; set before it runs

	// The request, in its handler's hands.
	req   *http.Request
	url   url.URL
	ctx   lazyctx.Context
	body  body
	w     response
	given []string // the field values: one array for all
	array [12]string
	last  *last // with Recycle

	// Output that was not framed yet (send.go).
	out     *bufpool.Buffer
	off     int  // of out, framed
	outEnd  bool // END_STREAM comes with its last byte, unless a trailer follows
	trailer bool // a trailer section follows

	// Scheduling (sched.go).
	prio        semantics.Priority
	incremental bool // shares with its neighbours
	queued      bool
	next, prev  *stream

	sendWin   int
	stalledAt time.Duration // since when out waits for the peer; 0: it does not
	sentBytes int64         // of it since then
	connBytes int64         // c.dataBytes at that time

	room    chan struct{} // capacity 1, made at the first wait of a writer
	waiters *deadlines    // of ResponseController, made at the first
}

// last is what a recycled stream keeps of the request before.
type last struct {
	header http.Header   // the map; it is cleared for the next
	tmpl   *http.Request // carries the context; *req = *tmpl resets what http keeps in it
}

// pools are a Config's: an idle connection holds nothing of them.
type pools struct {
	streams sync.Pool // with Recycle
}

// newStream makes the block of the request that h describes.
func (c *Conn) newStream(id uint32) *stream {
	s := c.spare
	c.spare = nil
	if s == nil && c.cfg.Recycle {
		s, _ = c.cfg.pools.streams.Get().(*stream)
	}
	if s == nil {
		s = new(stream)
		s.given = s.array[:0]
		if c.cfg.Recycle {
			s.last = new(last)
		}
	}
	s.c, s.id = c, id
	s.sendWin = c.streamWin
	s.prio = semantics.DefaultPriority
	s.incremental = true
	return s
}

// recycle keeps a stream that is closed and whose handler has returned, for the
// next request. A detached one is left to the garbage collector, and one with
// deadlines: somebody may be telling it of a reset, or a timer fire, right now.
func (c *Conn) recycle(s *stream) {
	if !c.cfg.Recycle || !s.gone || s.detached || s.exposed || s.waiters != nil {
		return
	}
	s.reset()
	if c.spare == nil {
		c.spare = s
		return
	}
	s.free()
}

// free gives a recycled stream to the pool.
func (s *stream) free() {
	cfg := s.c.cfg
	s.c = nil
	cfg.pools.streams.Put(s)
}

// reset makes s new, but for what the next request uses again.
func (s *stream) reset() {
	s.ctx.Reset()
	s.w.reset()
	s.body.reset()
	s.recvClosed, s.sendClosed, s.gone, s.started, s.returned, s.err = false, false, false, false, false, nil
	s.turn = 0
	s.outEnd, s.trailer = false, false
	s.stalledAt, s.sentBytes = 0, 0
	s.room, s.waiters = nil, nil
}

// time is the present for budgets: the step's.
func (c *Conn) time() time.Time { return epoch.Add(c.now) }
