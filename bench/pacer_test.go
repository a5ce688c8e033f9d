package bench

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/quick"
	"time"
)

// All workers together are evenly spaced, and due agrees with at.
func TestPacer(t *testing.T) {
	const workers = 3
	var all []int64
	for i := range workers {
		p := newPacer(1000, i, workers, 5_000_000)
		for k := range int64(100) {
			at := p.at(k)
			all = append(all, at)
			if p.due(at-1) != 0 || p.due(at) != 1 {
				t.Fatalf("worker %d: %d due before start %d, %d at it", i, p.due(at-1), k, p.due(at))
			}
			if got := p.take(); got != at {
				t.Fatalf("took %d, want %d", got, at)
			}
		}
	}
	for k := range int64(100) {
		for i := range int64(workers) {
			if got, want := all[i*100+k], 5_000_000+(k*workers+i)*1_000_000; got != want {
				t.Errorf("start %d of worker %d at %d, want %d", k, i, got, want)
			}
		}
	}
}

// Starts that wait are not lost, however late they are.
func TestPacerBacklog(t *testing.T) {
	f := func(rate uint16, late uint32) bool {
		p := newPacer(float64(rate)+1, 0, 1, 0)
		now := int64(late)
		want := p.due(now)
		for range min(want, 1000) {
			if p.take() > now {
				return false
			}
		}
		return p.due(now) == max(0, want-1000)
	}
	if err := quick.Check(f, nil); err != nil {
		t.Error(err)
	}
}

// An open loop tells of a stall what users see of it, as wrk2 does; a closed one does
// not.
func TestStall(t *testing.T) { forForms(t, testStall) }

func testStall(t *testing.T, f form) {
	t.Parallel() // nearly all of it is waiting
	const (
		stall       = time.Second
		behind      = 100 // requests, so that it falls in the run however slow the machine is
		rate, total = 200, 600
	)
	var n, until atomic.Int64 // until is of base
	base := time.Now()
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == behind {
			until.Store(int64(time.Since(base) + stall))
		}
		time.Sleep(time.Until(base.Add(time.Duration(until.Load()))))
		hello(w, r)
	})
	o := f.options(u)
	o.Connections, o.Streams, o.Workers, o.Requests = 4, 1, 1, total
	closed := result(t, o)
	n.Store(0)
	until.Store(0)
	o.Rate = rate
	open := result(t, o)
	counts(t, closed, total, 0)
	counts(t, open, total, 0)
	// What was to begin in the stall cannot have been answered before its end, by the
	// server's clock: a histogram of that is below that of the run at each percentile.
	least, end := NewHistogram(), base.Add(time.Duration(until.Load()))
	for k := range time.Duration(total) {
		intended := open.Started.Add(k * time.Second / rate)
		wait := end.Sub(intended)
		if wait > stall { // it was to begin before the stall
			wait = 0
		}
		least.Record(max(wait, 0))
	}
	for _, q := range []float64{.75, .9, .99, 1} {
		if got, want := open.Latency.Quantile(q), least.Quantile(q); got < want*99/100 || q >= .99 && want < stall/2 {
			t.Errorf("open loop: the quantile %v is %v; the stall alone makes it %v", q, got, want)
		}
	}
	if got := open.Latency.Max(); got < stall*9/10 {
		t.Errorf("open loop: max %v of a stall of %v", got, stall)
	}
	if got := open.Service.Quantile(.9); got > open.Latency.Quantile(.9) {
		t.Errorf("p90 from the begin %v, from the intended begin %v", got, open.Latency.Quantile(.9))
	}
	// In a closed loop four requests have seen it, of hundreds.
	if got := closed.Latency.Quantile(.5); got >= stall/4 {
		t.Errorf("closed loop: p50 %v", got)
	}
	if open.Load.Mode != OpenLoop || closed.Load.Mode != ClosedLoop || open.Lag == nil {
		t.Errorf("%+v, %+v", open.Load, closed.Load)
	}
}

// An open loop asks as many as its rate says.
func TestRate(t *testing.T) { forForms(t, testRate) }

func testRate(t *testing.T, f form) {
	o := f.options(f.serve(t, hello))
	o.Rate, o.Duration = 500, time.Second
	r := result(t, o)
	if got := r.Completed + r.Abandoned + r.Late; got < 499 || got > 501 || r.Failed > 0 {
		t.Errorf("%d completed, %d abandoned, %d late, %d failed; want 500 in all", r.Completed, r.Abandoned, r.Late, r.Failed)
	}
}
