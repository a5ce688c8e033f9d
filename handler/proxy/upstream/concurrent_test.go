package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// Everything at once, for the race detector; what must hold in any order: no
// endpoint has more in flight than it may, every place comes back, nobody waits for
// ever, and every endpoint that came is gone once.
func TestConcurrent(t *testing.T) {
	for _, b := range balances {
		t.Run(string(b), func(t *testing.T) { concurrent(t, b) })
	}
}

func concurrent(t *testing.T, b Balance) {
	servetest.CheckLeaks(t)
	const limit = 3
	var came, left atomic.Int64
	d := &book{ttl: time.Nanosecond}
	d.set("api.test", nil, "10.0.1.1:80", "10.0.1.2:80")
	hooks := Hooks{
		Discovery: d, Prober: &switchProber{}, Seed: 1,
		OnNew:  func(e *Endpoint) { e.Pool = new(atomic.Int64); came.Add(1) },
		OnGone: func(*Endpoint) { left.Add(1) },
	}
	options := func(n int) Options {
		return Options{
			Targets: append(targets(n), Target{URL: "http://api.test"}), Balance: b,
			Limits: Limits{MaxConns: limit, Queue: 16}, ConnectTimeout: 20 * time.Millisecond,
			Eject: Eject{For: time.Millisecond}, SlowStart: time.Millisecond,
			Health: Health{Path: "/", Interval: 100 * time.Millisecond},
		}
	}
	g, err := New("api", options(2), hooks)
	servetest.Must(t, "make a group", err)
	g.Start(t.Context())
	var clients, others sync.WaitGroup
	for i := range 16 {
		clients.Go(func() { client(t, g, rand.New(rand.NewPCG(1, uint64(i))), limit) })
	}
	stop := make(chan struct{})
	every := func(f func(i int)) {
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	every(func(i int) {
		if _, err := g.Update(options(1 + i%4)); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Microsecond)
	})
	every(func(i int) { d.set("api.test", nil, fmt.Sprintf("10.0.1.%d:80", 1+i%3)); time.Sleep(time.Millisecond) })
	every(func(int) { g.Status(time.Now()); time.Sleep(50 * time.Microsecond) })
	clients.Wait()
	close(stop)
	others.Wait()
	g.Close()
	s := g.Status(time.Now())
	servetest.Want(t, "nobody waits", s.Queue.Waiting, 0)
	for _, e := range s.Endpoints {
		servetest.Want(t, "every place came back", e.InFlight, 0)
	}
	servetest.Want(t, "each that came is gone", left.Load(), came.Load())
}

// client makes requests, some of which fail, are tried again, or end early.
func client(t *testing.T, g *Group, r *rand.Rand, limit int64) {
	for range 400 {
		now := time.Now()
		key := r.Uint64()
		e, err := g.Pick(now, key, nil)
		if errors.Is(err, ErrFull) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.Int64N(int64(10*time.Millisecond))))
			e, err = g.Wait(NewWaiter(ctx), now, key)
			cancel()
		}
		if err != nil {
			continue
		}
		use(t, e, r, limit)
		if r.IntN(4) == 0 && g.TryRetry(now) {
			var tried Tried
			tried.Add(e)
			if e, err := g.Pick(now, key, &tried); err == nil {
				if tried.has(e) {
					t.Error("the same endpoint again")
				}
				use(t, e, r, limit)
			}
		}
	}
}

func use(t *testing.T, e *Endpoint, r *rand.Rand, limit int64) {
	if n := e.Pool.(*atomic.Int64).Add(1); n > limit {
		t.Errorf("%d in flight, and no more than %d may be", n, limit)
	}
	if r.IntN(8) == 0 {
		time.Sleep(time.Duration(r.IntN(100)) * time.Microsecond)
	}
	e.Observe(time.Now(), Outcome{Kind: Kind(r.IntN(7)), Latency: time.Duration(r.IntN(1e6))})
	e.Pool.(*atomic.Int64).Add(-1)
	e.End(time.Now())
}
