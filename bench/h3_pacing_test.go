package bench

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The starts of a counted run are the pacer's of the measured time: a stream that
// waits for one of the warm-up's does not begin with it behind the warm-up.
func TestPhasesH3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pacedH3(Options{Rate: 1, Warmup: 1500 * time.Millisecond, Requests: 2}, 3)
		starts := startsH3(t, h, 3)
		begins := h.run.begins.Load()
		want := []int64{0, int64(time.Second), begins, begins + int64(time.Second)}
		if !slices.Equal(starts, want) {
			t.Errorf("intended starts at %v, want %v", starts, want)
		}
		if begins < int64(1500*time.Millisecond) || begins > int64(1600*time.Millisecond) {
			t.Errorf("the measured time begins at %v", time.Duration(begins))
		}
	})
}

// Streams that wait for their start end with the run.
func TestWaitersEndH3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pacedH3(Options{Rate: 1, Duration: 2500 * time.Millisecond}, 50)
		starts := startsH3(t, h, 50)
		if want := []int64{0, int64(time.Second), 2 * int64(time.Second)}; !slices.Equal(starts, want) {
			t.Errorf("intended starts at %v, want %v", starts, want)
		}
		if ended := h.run.plan.now(); ended > int64(3*time.Second) {
			t.Errorf("all streams have ended at %v, want it when the run does", time.Duration(ended))
		}
	})
}

func pacedH3(o Options, streams int) *h3Run {
	o.Method, o.Workers, o.Streams, o.Interval, o.Timeout = http.MethodGet, 1, streams, time.Second, time.Minute
	r := &run{plan: &plan{Options: o, base: time.Now(), targets: []target{{path: "/"}}}}
	r.schedule()
	return newH3Run(r)
}

// startsH3 runs h with streams whose answers take no time, and answers the intended
// starts.
func startsH3(t *testing.T, h *h3Run, streams int) (starts []int64) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range streams {
		all.Go(func() {
			x, c := new(exchange), &conn{w: h.w}
			for {
				if _, ok := h.next(ctx, x); !ok {
					return
				}
				mu.Lock()
				starts = append(starts, x.intended)
				mu.Unlock()
				h.finish(c, x, nil)
			}
		})
	}
	h.clock()
	cancel()
	all.Wait()
	return starts
}
