package handler

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A Stage is one concern of a Chain. It is shared by all requests at once.
//
// Begin is called with each request, in the order of the chain. False: the stage
// has answered; the stages behind it and the handler do not see the request.
type Stage interface {
	Begin(x *Exchange) bool
}

// A HeadStage looks at the final head before it leaves: it may still change the
// header map, not the status. Head comes once at most, in the reverse order of
// the chain.
//
// When an answer expires it comes from another goroutine, for the stages outside
// of Timeout alone, and with a copy of the record as Timeout's Begin has seen it:
// what a Head notes in that is lost.
type HeadStage interface {
	Stage
	Head(x *Exchange, status int)
}

// An EndStage is told of the end of each request whose Begin it has seen,
// whether that answered, the handler returned, or panicked. End comes in the
// reverse order of the chain; it must not write.
type EndStage interface {
	Stage
	End(x *Exchange)
}

// A PanicStage is asked what becomes of a panic behind it, before any End runs: it
// may answer by Instead, and settle the panic by Settle. Of several stages the
// innermost is asked first; the others are not asked once it is settled.
type PanicStage interface {
	Stage
	Panic(x *Exchange)
}

// A Chain runs stages around a handler, on one record for each request, without
// a closure, a copied request or another writer for each. Behind an engine that
// recycles requests it makes no allocation of its own if the handler promises to
// keep nothing (Recycler), or does so for this request (SomeRecycler).
type Chain struct {
	handler http.Handler
	stages  []Stage
	heads   []HeadStage // by the stage's place; nil: it is none
	ends    []EndStage
	recycle bool // the handler keeps nothing of any request
	some    bool // likewise, of those that it marks
	pool    sync.Pool
}

// NewChain makes a chain. The first stage is the outermost: it sees a request
// first and its answer last. Stages that are nil are left out.
func NewChain(h http.Handler, stages ...Stage) *Chain {
	c := &Chain{handler: h, recycle: recyclesAll(h), some: recyclesSome(h)}
	for _, s := range stages {
		if s == nil {
			continue
		}
		head, _ := s.(HeadStage)
		end, _ := s.(EndStage)
		c.stages, c.heads, c.ends = append(c.stages, s), append(c.heads, head), append(c.ends, end)
	}
	return c
}

// RecycleRequests is the handler's own promise: stages keep nothing.
func (c *Chain) RecycleRequests() bool { return c.recycle }

// RecyclesSomeRequests likewise. What a stage has answered is recycled too.
func (c *Chain) RecyclesSomeRequests() bool { return c.some }

// ServeHTTP runs the chain.
func (c *Chain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := c.take()
	x.begin(c, w, r, time.Now())
	defer x.leave()
	for i, s := range c.stages {
		x.entered = i + 1
		if !s.Begin(x) {
			x.ran, x.w.recycle = true, true
			return
		}
	}
	c.handler.ServeHTTP(&x.w, x.Request)
	x.ran = true
}

// take lends a record. One that a handler may keep is made anew each time.
func (c *Chain) take() *Exchange {
	if c.recycle || c.some {
		if x, ok := c.pool.Get().(*Exchange); ok {
			return x
		}
	}
	return new(Exchange)
}

// leave runs the ends, and lets the engine know of an answer that is not whole.
func (x *Exchange) leave() {
	x.failure = recover()
	c := x.chain
	if x.timeout != nil {
		x.timeout.settle(x)
	}
	if x.failure != nil {
		c.panicked(x)
	}
	if x.ran && x.failure == nil && x.w.status.Load() == 0 && !x.w.hijacked {
		x.w.WriteHeader(http.StatusOK) // as the engine would: the stages are to see it
	}
	x.w.finish()
	for i := x.entered - 1; i >= 0; i-- {
		if end := c.ends[i]; end != nil {
			end.End(x)
		}
	}
	failure, abort := x.failure, x.abort
	if x.settled {
		failure = nil
	}
	if x.mayRecycle() {
		if !c.recycle {
			MayRecycle(x.w.inner)
		}
		x.reset()
		c.pool.Put(x)
	}
	switch {
	case failure != nil:
		panic(failure)
	case abort:
		panic(http.ErrAbortHandler)
	}
}

// mayRecycle tells whether nobody keeps anything of the request. Without the promise
// for all requests nothing is risked: a handler that was late or has taken the
// connection may have goroutines that go on, whatever its route promises.
func (x *Exchange) mayRecycle() bool {
	if !x.ran || x.failure != nil {
		return false
	}
	return x.chain.recycle || x.w.recycle && !x.w.hijacked && !x.w.late.Load()
}

// panicked lets the stages decide about a panic, the innermost first.
func (c *Chain) panicked(x *Exchange) {
	for i := x.entered - 1; i >= 0 && !x.settled; i-- {
		if p, ok := c.stages[i].(PanicStage); ok {
			p.Panic(x)
		}
	}
}

// head lets the stages see the head, the innermost first.
func (c *Chain) head(x *Exchange, status int) {
	for i := x.entered - 1; i >= 0; i-- {
		if h := c.heads[i]; h != nil {
			h.Head(x, status)
		}
	}
}

// Values of fields that many answers share. They are put into header maps as
// they are, so that an answer allocates nothing; nobody may change them.
var (
	textPlain = []string{"text/plain; charset=utf-8"}
	textHTML  = []string{"text/html; charset=utf-8"}
	jsonType  = []string{"application/json"}
	nosniff   = []string{"nosniff"}
	noCache   = []string{"no-cache, private"}
	closeConn = []string{"close"}
)

// page is one answer made beforehand: sending it allocates nothing.
type page struct {
	status        int
	contentType   []string
	contentLength []string
	body          []byte
}

func newPage(status int, contentType []string, body []byte) *page {
	return &page{status, contentType, []string{strconv.Itoa(len(body))}, body}
}

// serve answers with the page. Fields the caller set before stay.
func (p *page) serve(w http.ResponseWriter, r *http.Request) { p.write(w, r.Method != http.MethodHead) }

func (p *page) write(w http.ResponseWriter, withBody bool) {
	h := w.Header()
	h["Content-Type"] = p.contentType
	h["Content-Length"] = p.contentLength
	h["X-Content-Type-Options"] = nosniff
	w.WriteHeader(p.status)
	if withBody {
		_, _ = w.Write(p.body) // a client that left is the engine's to notice
	}
}

// onlyGetAndHead answers 405 with Allow (RFC 9110 §15.5.6) for other methods
// and tells whether the request may go on.
func onlyGetAndHead(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	methodNotAllowed.serve(w, r)
	return false
}

var methodNotAllowed = newPage(http.StatusMethodNotAllowed, textPlain, []byte("405 method not allowed\n"))
