package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// attempt sends the request until an upstream answers, or none is to be asked any
// more. The failure of the last attempt comes back, or why there was none.
func (t *transaction) attempt() *failure {
	var last *failure
	for {
		now := time.Now()
		if t.endpoint == nil {
			if e := t.pick(now); e != nil {
				if last != nil {
					return last
				}
				return e
			}
		}
		e := t.send(now)
		if e == nil {
			return nil
		}
		last = &failure{Error: e, upstream: t.backend().name}
		if !t.again(e) {
			return last
		}
		t.p.opts.Service.stats.retries.Add(1)
	}
}

// pick takes a place at an upstream.
func (t *transaction) pick(now time.Time) *failure {
	group := t.gen.group
	key := t.key()
	e, err := group.Pick(now, key, &t.tried)
	if errors.Is(err, upstream.ErrFull) && t.attempts == 0 {
		e, err = group.Wait(t.home.Waiter(t.ctx), now, key)
	}
	if err != nil {
		return &failure{refused: err}
	}
	t.endpoint = e
	return nil
}

// key is what the balance goes by; 0: it does not ask.
func (t *transaction) key() uint64 {
	h := t.gen.hash
	if h == nil {
		return 0
	}
	v := ""
	switch h.By {
	case "path":
		v = t.r.URL.Path
	case "header":
		v = first(t.r.Header[http.CanonicalHeaderKey(h.Name)])
	case "cookie":
		if c, err := t.r.Cookie(h.Name); err == nil {
			v = c.Value
		}
	default:
		if addr := t.p.opts.Forwarded.Client(t.r); addr.IsValid() {
			v = addr.String()
		}
	}
	if v == "" {
		return 0
	}
	return upstream.Key(v)
}

// send makes one attempt.
func (t *transaction) send(now time.Time) *message.Error {
	b := t.backend()
	t.began, t.seen = now, now
	t.attempts++
	t.req.Scheme, t.req.Now = b.scheme, now
	if t.p.opts.HostUpstream || t.r.Host == "" {
		t.req.Authority = t.endpoint.Authority
	}
	if t.body != nil {
		t.req.Body = t.body.reader()
	}
	x, err := b.client(t.grpc).Do(t.ctx, t.home, &t.req)
	if err == nil {
		t.x = x
		t.observe(x.Response())
		return nil
	}
	e, ok := errors.AsType[*message.Error](err)
	if !ok {
		e = &message.Error{Kind: message.ResetEarly, Err: err}
	}
	t.observeFailure(e)
	return e
}

// observe tells the balance of an answer.
func (t *transaction) observe(a *message.Response) {
	now := a.Received
	if now.IsZero() {
		now = time.Now()
	}
	t.seen = now
	o := upstream.Outcome{Kind: upstream.KindOf(a.Status), Latency: now.Sub(t.began)}
	if t.upgrade != "" || t.grpc || a.Length < 0 && isEventStream(a.Fields) {
		if o.Kind == upstream.Answered {
			o.Kind = upstream.Streaming
		}
	}
	t.endpoint.Observe(now, o)
}

// observeFailure tells the balance what came of an attempt.
func (t *transaction) observeFailure(e *message.Error) {
	now := time.Now()
	t.seen = now
	t.endpoint.Observe(now, outcome(e, now.Sub(t.began)))
}

// outcome is what an attempt that has failed after so long tells of its endpoint.
func outcome(e *message.Error, took time.Duration) upstream.Outcome {
	o := upstream.Outcome{Kind: upstream.BrokeOff}
	switch e.Kind {
	case message.ConnectRefused, message.ConnectTimeout, message.HandshakeFailed:
		o.Kind = upstream.ConnectFailed
	case message.HeadTimeout:
		o.Kind = upstream.TimedOut
	case message.RequestFailed, message.Refused, message.NoUpgrade:
		o.Kind = upstream.Abandoned
	case message.Cancelled:
		o.Kind = upstream.Abandoned
		o.Latency = took
	case message.ResetEarly:
		if e.Reused { // it was closed while it was idle: nobody's fault
			o.Kind = upstream.Abandoned
		}
	default:
	}
	return o
}

// again readies a further attempt, if there may be one (rules U-1, U-5).
func (t *transaction) again(e *message.Error) bool {
	group := t.gen.group
	switch {
	case e.Kind == message.Cancelled, e.Kind == message.RequestFailed, t.ctx.Err() != nil:
		return false
	case !e.Unsent && (answered(e) || !group.MayRepeat(t.r.Method)):
		return false
	case t.body != nil && !t.body.retire():
		return false
	case e.Reused && e.Kind == message.ResetEarly && !t.stale:
		// The upstream had closed it before: it was not asked, and neither the budget
		// nor another upstream is. Once, for a connection that is new tells more.
		t.stale = true
		return true
	case t.attempts > t.gen.attempts:
		return false
	}
	now := time.Now()
	t.tried.Add(t.endpoint)
	t.leave(now)
	if !group.TryRetry(now) {
		return false
	}
	kind := upstream.BrokeOff
	if e.Unsent {
		kind = upstream.ConnectFailed
	}
	d := group.Backoff(kind)
	return d <= 0 || t.wait(now.Add(d))
}

// answered tells whether some of an answer was read.
func answered(e *message.Error) bool {
	switch e.Kind {
	case message.HeadCut, message.Malformed, message.HeadTooLarge, message.UnaskedUpgrade:
		return true
	default:
		return e.Answered
	}
}

// wait waits. False: the request ended meanwhile.
func (t *transaction) wait(until time.Time) bool {
	w := t.home.Waiter(t.ctx)
	for time.Now().Before(until) {
		if err := w.Wait(until); err != nil {
			return t.ctx.Err() == nil
		}
	}
	return true
}
