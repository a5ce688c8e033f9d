package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// Proxy passes requests on to a service. It is an http.Handler for any engine;
// where a shard serves the request, nothing is handed to Go's scheduler while it
// waits (ServerOptions.Tasks).
type Proxy struct {
	opts     Options // immutable
	portable link.Portable
	pool     sync.Pool // of *transaction
}

// New makes a proxy.
func New(opts Options) (*Proxy, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	p := &Proxy{opts: opts.complete()}
	p.pool.New = func() any {
		t := &transaction{p: p}
		t.trailer, t.interim = t.requestTrailer, t.passInterim
		return t
	}
	return p, nil
}

// RecycleRequests promises that nothing of a request is kept when ServeHTTP has
// returned.
func (p *Proxy) RecycleRequests() bool { return true }

// transaction is a request on its way to an upstream and its answer on the way
// back. It belongs to the goroutine that runs the handler.
type transaction struct {
	p *Proxy // immutable

	w    http.ResponseWriter
	r    *http.Request
	ctx  context.Context
	home link.Home
	gen  *generation

	req     message.Request
	fields  fieldSet
	body    *replay // nil: there is none
	grpc    bool
	upgrade string // the protocol that is asked for; empty: none
	trailer func() []message.Field
	interim func(status int, fields []message.Field)
	late    []message.Field // request trailers

	// The present attempt.
	endpoint *upstream.Endpoint // holds a place; nil: none
	x        message.Exchange   // nil: no answer yet, or no more
	began    time.Time
	seen     time.Time // the last that was looked at
	tried    upstream.Tried
	attempts int
	stale    bool  // a connection has shown to be closed already
	race     *race // of a request that may be hedged; nil: of any other

	begun  bool               // the final head went to the client
	cancel context.CancelFunc // of a deadline of our own; nil: there is none
}

// ServeHTTP passes a request on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := p.pool.Get().(*transaction)
	t.w, t.r, t.ctx = w, r, r.Context()
	defer t.end()
	if !t.prepare() {
		return
	}
	var e *failure
	if t.gen.hedge > 0 && t.mayHedge() {
		e = t.compete()
	} else {
		e = t.attempt()
	}
	if e != nil {
		t.fail(e)
		return
	}
	if t.upgrade != "" {
		t.passUpgrade()
		return
	}
	t.pass()
}

// end gives everything back, also when the handler panics.
func (t *transaction) end() {
	if t.x != nil {
		t.x.Close()
	}
	if t.race != nil {
		t.race.join()
	}
	if t.endpoint != nil {
		t.leave(t.seen)
	}
	if t.body != nil {
		t.endBody()
	}
	if t.cancel != nil {
		t.cancel()
	}
	t.fields.reset()
	clear(t.late)
	*t = transaction{p: t.p, fields: t.fields, trailer: t.trailer, interim: t.interim, late: t.late[:0]}
	t.p.pool.Put(t)
}

// endBody makes sure that nobody reads the request's content any more: the engine
// may use the request again. Who is in Read comes out with its deadline.
func (t *transaction) endBody() {
	w := t.home.Waiter(context.WithoutCancel(t.ctx))
	out := make(chan struct{})
	if t.body.close(func() { close(out); w.Wake() }) {
		return
	}
	_ = http.NewResponseController(t.w).SetReadDeadline(time.Unix(1, 0)) // or it comes out with its bytes
	for {
		select {
		case <-out:
			return
		default:
		}
		if w.Wait(time.Time{}) != nil { // the task was told to end before
			<-out
			return
		}
	}
}

// backend is that of the present attempt.
func (t *transaction) backend() *backend { return t.endpoint.Pool.(*backend) }

// leave gives the place at the upstream back.
func (t *transaction) leave(now time.Time) {
	t.endpoint.End(now)
	t.endpoint = nil
}
