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
// request for ever; if it promises not to (Config.Recycle) the block comes back.
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
	parked     bool // the task that its handler runs as has waited
	err        error

	turn Turn // of the handler; set before it runs
	task Task // that it runs as; nil: none. Set before it runs

	// The request, in its handler's hands.
	req   *http.Request
	url   url.URL
	ctx   lazyctx.Context
	body  body
	w     response
	given []string // the field values: one array for all
	array [12]string

	// Of the request before, in a stream that has come back.
	header http.Header   // the map; it is cleared for the next
	tmpl   *http.Request // carries the context; *req = *tmpl resets what http keeps in it

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

// pools are a Config's: an idle connection holds nothing of them.
type pools struct {
	streams sync.Pool // with Recycle
}

// newStream makes the block of the request that h describes.
func (c *Conn) newStream(id uint32) *stream {
	s := c.spare
	c.spare = nil
	if s == nil && c.cfg.recycles() {
		s, _ = c.cfg.pools.streams.Get().(*stream)
	}
	if s == nil {
		s = new(stream)
		s.given = s.array[:0]
	}
	s.c, s.id = c, id
	s.sendWin = c.streamWin
	s.prio = semantics.DefaultPriority
	s.incremental = true
	return s
}

// recycle keeps a stream that is closed and whose handler has returned, for the
// next request. One that was overtaken is left to the garbage collector, and one with
// deadlines: somebody may be telling it of a reset, or a timer fire, right now.
func (c *Conn) recycle(s *stream) {
	if !s.mayRecycle() || !s.gone || s.detached && !s.parked || s.exposed || s.waiters != nil {
		return
	}
	bufpool.PoisonRequest(s.req, &s.url, s.header)
	s.reset()
	if c.spare == nil {
		c.spare = s
		return
	}
	s.free()
}

// mayRecycle tells whether nobody keeps anything of the request.
func (s *stream) mayRecycle() bool {
	cfg := s.c.cfg
	return cfg.Recycle || cfg.recycleSome && s.w.recycle && !s.w.aborted
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
	s.turn, s.task, s.parked = 0, nil, false
	s.outEnd, s.trailer = false, false
	s.stalledAt, s.sentBytes = 0, 0
	s.room, s.waiters = nil, nil
}

// time is the present for budgets: the step's.
func (c *Conn) time() time.Time { return epoch.Add(c.now) }
