package h3

import (
	"net/http"
	"net/url"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/lazyctx"
)

// stream is one exchange: all the engine keeps for a request and its answer,
// in one block. By default a block is used once, since a handler may keep the
// request for ever; if it promises not to (Config.Recycle) the block comes back.
type stream struct {
	c    *conn
	str  *quic.Stream
	at   int  // in c.active; c.mu guards it
	turn turn // of its run; zero: a goroutine of its own

	in    input
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
}

// pools are a Config's: an idle connection holds nothing of them.
type pools struct {
	streams sync.Pool // with Recycle
	caches  sync.Pool // of encoded fields
}

// cache lends the encoder's memory of fields.
func (p *pools) cache() *qpack.Cache {
	if c, ok := p.caches.Get().(*qpack.Cache); ok {
		return c
	}
	return new(qpack.Cache)
}

// newStream makes the block of a request.
func (c *conn) newStream(str *quic.Stream) *stream {
	var s *stream
	if c.srv.cfg.recycles() {
		s, _ = c.srv.cfg.pools.streams.Get().(*stream)
	}
	if s == nil {
		s = new(stream)
		s.given = s.array[:0]
	}
	s.c, s.str = c, str
	s.in.str = (*arrival)(s)
	s.w.s = s
	return s
}

// serve runs a request from its head to the end of its answer. False: this
// goroutine leads no more.
func (s *stream) serve() (leads bool) {
	if s.readHead() {
		s.handle()
	}
	return s.finish()
}

// finish ends an exchange whose answer is complete, and tells whether this
// goroutine leads.
func (s *stream) finish() (leads bool) {
	c := s.c
	exposed := s.ctx.Cancel(errCanceled)
	if s.body.s == nil {
		s.stopReading() // it has no content, or no head that was taken
	}
	s.body.end()
	s.in.release()
	c.leave(s)
	leads = s.turn != 0 && c.endTurn(s.turn)
	// One that was overtaken, or whose context somebody holds, is left to the
	// garbage collector: others may look at it still.
	if s.mayRecycle() && leads && !exposed && !s.w.timed.Load() {
		if s.req != nil {
			bufpool.PoisonRequest(s.req, &s.url, s.header)
		}
		s.reset()
		c.srv.cfg.pools.streams.Put(s)
	}
	return leads
}

// mayRecycle tells whether nobody keeps anything of the request. One that was never
// given to a handler is nobody's.
func (s *stream) mayRecycle() bool {
	cfg := s.c.srv.cfg
	return cfg.Recycle || cfg.recycleSome && s.w.recycle
}

// reset makes s new, but for what the next request uses again.
func (s *stream) reset() {
	s.ctx.Reset()
	s.w.reset()
	s.body.reset()
	s.c, s.str, s.turn = nil, nil, 0
	s.in.err = nil
}
