package handler

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// defaultRequestTimeout is the time of a request whose client names none.
const defaultRequestTimeout = time.Minute

// DeadlineOptions shapes Deadline.
type DeadlineOptions struct {
	// RequestTimeout is the time of a request, and the most that ?timeout= can ask
	// for. If zero, 60 s. If negative, none: ?timeout= alone sets a deadline.
	RequestTimeout time.Duration
	// IgnoreQuery leaves ?timeout= to the handlers, some of which may mean
	// something else by it.
	IgnoreQuery bool
	// MinLongRunning ends long-running requests, by the end of their context, after
	// a random time from it up to twice it, so that clients that came together do
	// not come back together. Handlers decide what that looks like. If zero, never.
	MinLongRunning time.Duration
}

// Deadline gives each request a deadline, in Exchange.Deadline and in its context:
// RequestTimeout after it was received, or sooner, if the client asks for less by
// ?timeout=<Go duration>. Zero and what is larger mean the limit; what is no
// duration is answered 400. Long-running requests have none, or one of their own
// (MinLongRunning), which no stage enforces.
//
// The context of our engines takes a deadline without a copy of the request; of
// another server the request is copied.
type Deadline struct {
	limit time.Duration // 0: none
	long  time.Duration // 0: none
	query bool
	bad   *refusal
}

// NewDeadline makes the stage; it goes before Timeout, which enforces it.
func NewDeadline(opts DeadlineOptions) *Deadline {
	limit := opts.RequestTimeout
	if limit == 0 {
		limit = defaultRequestTimeout
	}
	return &Deadline{
		max(limit, 0), max(opts.MinLongRunning, 0), !opts.IgnoreQuery,
		newRefusal(http.StatusBadRequest, "BadRequest", "invalid timeout specified in the request URL", nil),
	}
}

// Begin sets the deadline of x.
func (d *Deadline) Begin(x *Exchange) bool {
	if x.Info.LongRunning {
		if d.long > 0 {
			d.set(x, x.Received.Add(d.long+rand.N(d.long)))
		}
		return true
	}
	timeout := d.limit
	if d.query {
		asked, ok := queryTimeout(x.Request.URL.RawQuery)
		if !ok {
			return d.bad.serve(x)
		}
		if asked > 0 && (timeout == 0 || asked < timeout) {
			timeout = asked
		}
	}
	if timeout > 0 {
		d.set(x, x.Received.Add(timeout))
	}
	return true
}

func (d *Deadline) set(x *Exchange, at time.Time) {
	x.Deadline = at
	ctx := x.Request.Context()
	if own, ok := ctx.(interface{ SetDeadline(t time.Time) }); ok {
		own.SetDeadline(at)
		return
	}
	ctx, x.endDeadline = context.WithDeadline(ctx, at)
	x.Request = x.Request.WithContext(ctx)
}

// End lets go of a context that was made.
func (d *Deadline) End(x *Exchange) {
	if x.endDeadline != nil {
		x.endDeadline()
	}
}

// queryTimeout is the first ?timeout=, 0 without one. It makes no map of a query,
// which may have thousands of parameters (S-8). False: it is no duration.
func queryTimeout(query string) (timeout time.Duration, ok bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if !isTimeoutKey(key) || strings.Contains(pair, ";") { // url.ParseQuery knows none with a semicolon
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil {
			return 0, false
		}
		timeout, err = time.ParseDuration(value)
		return timeout, err == nil
	}
	return 0, true
}

func isTimeoutKey(key string) bool {
	const want = "timeout"
	if strings.IndexByte(key, '%') < 0 {
		return key == want
	}
	if len(key) > 3*len(want) {
		return false
	}
	key, err := url.QueryUnescape(key)
	return err == nil && key == want
}
