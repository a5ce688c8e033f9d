package handler

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// settable is a context that takes a deadline, and forgets it.
type settable struct{ context.Context }

func (settable) SetDeadline(time.Time) {}

func TestDeadline(t *testing.T) { synctest.Test(t, testDeadline) }

func testDeadline(t *testing.T) {
	const none, bad = -1, 0
	for _, c := range []struct {
		name, target string
		opts         DeadlineOptions
		want         time.Duration
	}{
		{"the default", "/read", DeadlineOptions{}, time.Minute},
		{"the option", "/read?x=1", DeadlineOptions{RequestTimeout: time.Second}, time.Second},
		{"none", "/read", DeadlineOptions{RequestTimeout: -1}, none},
		{"the client's alone", "/read?timeout=5s", DeadlineOptions{RequestTimeout: -1}, 5 * time.Second},
		{"the client's", "/read?a=b&timeout=1.5s", DeadlineOptions{}, 1500 * time.Millisecond},
		{"the first of two", "/read?timeout=2s&timeout=1s", DeadlineOptions{}, 2 * time.Second},
		{"zero", "/read?timeout=0", DeadlineOptions{}, time.Minute},
		{"zero seconds", "/read?timeout=0s", DeadlineOptions{}, time.Minute},
		{"negative", "/read?timeout=-1s", DeadlineOptions{}, time.Minute},
		{"too large", "/read?timeout=61s", DeadlineOptions{}, time.Minute},
		{"escaped", "/read?%74imeout=%31s", DeadlineOptions{}, time.Second},
		{"another key", "/read?timeouts=x&xtimeout=y&%zz=1", DeadlineOptions{}, time.Minute},
		{"no pair of net/url", "/read?timeout=1;s", DeadlineOptions{}, time.Minute},
		{"long-running", "/long?timeout=1s", DeadlineOptions{}, none},
		{"left to the handler", "/read?timeout=x", DeadlineOptions{IgnoreQuery: true}, time.Minute},
		{"no number", "/read?timeout=x", DeadlineOptions{}, bad},
		{"no unit", "/read?timeout=10", DeadlineOptions{}, bad},
		{"empty", "/read?timeout=", DeadlineOptions{}, bad},
		{"no value", "/read?timeout", DeadlineOptions{}, bad},
		{"badly escaped", "/read?timeout=%zz", DeadlineOptions{}, bad},
	} {
		got, ctx := time.Duration(bad), context.Context(nil)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx = r.Context()
			x, at := ExchangeOf(w), time.Time{}
			if got = none; !x.Deadline.IsZero() {
				got = x.Deadline.Sub(x.Received)
			}
			at, _ = ctx.Deadline()
			servetest.Want(t, c.name+": in the context too", at.Equal(x.Deadline), true)
		})
		code := get(NewChain(h, infos, NewDeadline(c.opts)), c.target).Code
		servetest.Want(t, c.name, got, c.want)
		servetest.Want(t, c.name+": status", code == http.StatusBadRequest, c.want == bad)
		if got > 0 {
			servetest.WantErr(t, c.name+": the context is let go", ctx.Err(), context.Canceled)
		}
	}
}

// Long-running requests end at times of their own, between the least and twice it.
func TestDeadlineLongRunning(t *testing.T) { synctest.Test(t, testDeadlineLongRunning) }

func testDeadlineLongRunning(t *testing.T) {
	const least = 30 * time.Minute
	seen := make(map[time.Duration]bool)
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		<-r.Context().Done()
		took := time.Since(begin)
		seen[took] = true
		if took < least || took >= 2*least {
			t.Errorf("ended after %v", took)
		}
		servetest.WantErr(t, "cause", r.Context().Err(), context.DeadlineExceeded)
	})
	chain := NewChain(h, infos, NewDeadline(DeadlineOptions{RequestTimeout: time.Second, MinLongRunning: least}))
	for range 20 {
		servetest.Want(t, "status: the handler's", get(chain, "/long").Code, http.StatusOK)
	}
	if len(seen) < 2 {
		t.Error("all at one time")
	}
}

// A context that takes a deadline is not copied.
func TestDeadlineInContext(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(settable{t.Context()})
	var got *http.Request
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
	NewChain(h, NewDeadline(DeadlineOptions{})).ServeHTTP(httptest.NewRecorder(), r)
	servetest.Want(t, "the same request", got, r)
}
