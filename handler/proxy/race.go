package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// race is a request of a service with hedging: a second attempt, the hedge, goes out
// beside one that is late, and the first final head that arrives is the answer.
//
//	handler   start ──── wait ──── late: hedge ──── wait ──── adopt the winner ──── join
//	attempt     └─ Do ..........................................┘ head
//	hedge                            └─ Do ......................... cancelled, closed
//
// Each attempt runs beside the handler, as a task of its own on the same shard or as
// a goroutine (link.Home.Go), for what waits in Do is one task alone. The handler
// waits for both with one Waiter, and takes the exchange of the winner over
// (message.Exchange.Attach). Other requests never come here: those that may not be
// repeated, those of other services.
//
// Every attempt holds a place at its endpoint from Pick to its own end: so the limits
// count both. One that has lost tells its endpoint how long it was waited for, which
// counts as a peak of latency and is no failure (upstream.Abandoned); one that has
// failed of itself counts as any other.
type race struct {
	// Immutable.
	t      *transaction
	waiter link.Waiter // the handler's

	// Owned by the handler.
	runs   []*run
	open   int  // of runs, those whose end was not looked at
	hedged bool // there is one hedge, or none could be had

	mu       sync.Mutex // guards the following
	live     int        // of runs, those that have not ended
	over     bool       // one has won, or nobody waits any more
	ended    []*run     // and not looked at
	interims []interim
	teller   *run          // whose informational answers are passed on; nil: no one's yet
	none     chan struct{} // closed when live is 0; nil: nobody waits for that
}

// run is one attempt of a race.
type run struct {
	// Immutable.
	race     *race
	endpoint *upstream.Endpoint
	backend  *backend
	began    time.Time
	hedge    bool
	cancel   context.CancelFunc

	// Owned by the attempt until it has ended, then by the handler.
	req message.Request
	x   message.Exchange // nil: it has failed
	err *message.Error
}

// interim is an informational answer on its way to the handler.
type interim struct {
	status int
	fields []message.Field
}

// mayHedge tells whether the request may have two attempts at a time: what may be
// repeated, and has no content or one that is here whole.
func (t *transaction) mayHedge() bool {
	return t.upgrade == "" && !t.grpc && t.gen.group.MayRepeat(t.r.Method) &&
		(t.body == nil || t.body.whole)
}

// compete is attempt for a request that may be hedged.
func (t *transaction) compete() *failure {
	r := &race{t: t, waiter: t.home.Waiter(t.ctx)}
	t.race = r
	var last *failure
	for {
		now := time.Now()
		if t.endpoint == nil {
			if f := t.pick(now); f != nil {
				if last != nil {
					return last
				}
				return f
			}
		}
		r.start(t.endpoint, now, false)
		t.endpoint = nil
		a, f := r.await()
		switch {
		case f != nil:
			return f
		case a.x != nil:
			t.adopt(a)
			return nil
		}
		t.endpoint = a.endpoint
		last = &failure{Error: a.err, upstream: a.backend.name}
		if !t.again(a.err) {
			return last
		}
		t.p.opts.Service.stats.retries.Add(1)
	}
}

// start begins an attempt at e, whose place is its own from here on.
func (r *race) start(e *upstream.Endpoint, now time.Time, hedge bool) {
	t := r.t
	t.attempts++
	a := &run{race: r, endpoint: e, backend: e.Pool.(*backend), began: now, hedge: hedge, req: t.req}
	a.req.Scheme, a.req.Now = a.backend.scheme, now
	if t.p.opts.HostUpstream || t.r.Host == "" {
		a.req.Authority = e.Authority
	}
	if t.body != nil {
		a.req.Body = t.body.copy()
	}
	if t.req.Informational != nil {
		a.req.Informational = a.tell
	}
	client, portable := a.backend.client(false), &t.p.portable
	ctx, cancel := context.WithCancel(t.ctx)
	a.cancel = cancel
	r.runs = append(r.runs, a)
	r.open++
	r.mu.Lock()
	r.live++
	r.mu.Unlock()
	t.home.Go(ctx, func(ctx context.Context) { a.do(ctx, client, portable) })
}

// do is the attempt.
func (a *run) do(ctx context.Context, c client, portable *link.Portable) {
	if err := ctx.Err(); err != nil { // also: the shard has ended
		a.end(nil, &message.Error{Kind: message.Cancelled, Unsent: true, Err: err})
		return
	}
	x, err := c.Do(ctx, link.HomeOf(ctx, portable), &a.req)
	if err == nil {
		a.end(x, nil)
		return
	}
	e, ok := errors.AsType[*message.Error](err)
	if !ok {
		e = &message.Error{Kind: message.ResetEarly, Err: err}
	}
	a.end(nil, e)
}

// end hands over what came of the attempt. If nobody asks for it any more, all is
// given back before the handler may return: what an attempt holds is the request's.
func (a *run) end(x message.Exchange, e *message.Error) {
	a.x, a.err = x, e
	r := a.race
	r.mu.Lock()
	lost := r.over
	if lost {
		r.mu.Unlock()
		a.giveUp()
		r.mu.Lock()
	} else {
		r.ended = append(r.ended, a)
	}
	if r.live--; r.live == 0 && r.none != nil {
		close(r.none)
	}
	r.mu.Unlock()
	r.waiter.Wake()
}

// giveUp ends an attempt that has lost.
func (a *run) giveUp() {
	now := time.Now()
	o := upstream.Outcome{Kind: upstream.Abandoned, Latency: now.Sub(a.began)}
	if a.x != nil { // a moment too late
		o.Kind = upstream.KindOf(a.x.Response().Status)
		a.x.Close()
	} else if a.err.Kind != message.Cancelled {
		o = outcome(a.err, o.Latency)
	}
	a.endpoint.Observe(now, o)
	a.endpoint.End(now)
}

// tell passes an informational answer to the handler. Only one attempt's go to the
// client: those of the first that has any.
func (a *run) tell(status int, fields []message.Field) {
	r := a.race
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.teller != nil && r.teller != a {
		return
	}
	r.teller = a
	copied := make([]message.Field, len(fields))
	for i, f := range fields {
		copied[i] = message.Field{Name: slices.Clone(f.Name), Value: slices.Clone(f.Value)}
	}
	r.interims = append(r.interims, interim{status, copied})
	r.waiter.Wake()
}

// await waits until an attempt has answered, which has won, or the last one has
// failed. A failure: the request has ended before.
func (r *race) await() (*run, *failure) {
	t := r.t
	for {
		if a := r.look(); a != nil {
			return a, nil
		}
		last := r.runs[len(r.runs)-1]
		var until time.Time
		if !r.hedged {
			until = last.began.Add(t.gen.hedge)
		}
		err := r.waiter.Wait(until)
		switch {
		case err == nil:
		case t.ctx.Err() == nil && isTimeout(err) && !until.IsZero() && !time.Now().Before(until):
			r.hedge(last)
		default:
			kind := message.Cancelled
			if isTimeout(err) { // the request's own time: its context is to notice
				kind = message.HeadTimeout
			}
			return nil, &failure{Error: &message.Error{Kind: kind, Err: err}, upstream: last.backend.name}
		}
	}
}

// look looks at what has come since. nil: the handler waits on.
func (r *race) look() *run {
	r.mu.Lock()
	told, ended := r.interims, r.ended
	r.interims, r.ended = nil, nil
	r.mu.Unlock()
	for i := range told {
		r.t.passInterim(told[i].status, told[i].fields)
	}
	for i, a := range ended {
		r.open--
		if a.x != nil {
			r.finish(ended[i+1:])
			return a
		}
		now := time.Now()
		a.endpoint.Observe(now, outcome(a.err, now.Sub(a.began)))
		if r.open == 0 {
			return a
		}
		// The other one is the further attempt.
		r.t.tried.Add(a.endpoint)
		a.endpoint.End(now)
	}
	return nil
}

// hedge starts a second attempt beside a, at another endpoint, if there is one that
// takes it and the budget of retries lets it.
func (r *race) hedge(a *run) {
	t := r.t
	r.hedged = true
	tried := t.tried
	tried.Add(a.endpoint)
	now := time.Now()
	stats := &t.p.opts.Service.stats
	e, err := t.gen.group.Hedge(now, t.key(), &tried)
	switch {
	case errors.Is(err, upstream.ErrBudget):
		stats.hedgesRefused.Add(1)
	case err == nil:
		stats.hedges.Add(1)
		r.start(e, now, true)
	}
}

// adopt makes the attempt that has won the transaction's own.
func (t *transaction) adopt(a *run) {
	t.endpoint, t.x, t.began = a.endpoint, a.x, a.began
	a.x.Attach(t.ctx)
	t.observe(a.x.Response())
	for _, other := range t.race.runs {
		if other != a {
			other.cancel()
		}
	}
	if a.hedge {
		t.p.opts.Service.stats.hedgesWon.Add(1)
	}
}

// finish lets all others lose. left have ended already.
func (r *race) finish(left []*run) {
	r.mu.Lock()
	r.over = true
	left = append(slices.Clip(left), r.ended...)
	r.ended, r.interims = nil, nil
	r.mu.Unlock()
	for _, a := range left {
		a.giveUp()
	}
}

// join ends the race. When it returns no attempt runs any more, and none holds
// anything of the request; the winner's exchange was closed before.
func (r *race) join() {
	r.finish(nil)
	for _, a := range r.runs {
		a.cancel()
	}
	r.mu.Lock()
	var none chan struct{}
	if r.live > 0 {
		none = make(chan struct{})
		r.none = none
	}
	r.mu.Unlock()
	if none == nil {
		return
	}
	for {
		select {
		case <-none:
			return
		default:
		}
		if r.waiter.Wait(time.Time{}) != nil { // the request has ended, and its task waits no more
			r.t.home.Lead()
			<-none
			return
		}
	}
}
