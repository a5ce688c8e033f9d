package upstream

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkPick is a request's whole way through the package: pick, outcome, end.
func BenchmarkPick(b *testing.B) {
	for _, policy := range balances {
		for _, n := range []int{2, 16} {
			b.Run(fmt.Sprintf("%s/endpoints=%d", policy, n), func(b *testing.B) { benchmarkPick(b, policy, n) })
		}
	}
}

func benchmarkPick(b *testing.B, policy Balance, n int) {
	g, err := New("api", Options{Targets: targets(n), Balance: policy}, Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := time.Now()
		key := uint64(1)
		for pb.Next() {
			now = now.Add(time.Microsecond)
			key++
			e, err := g.Pick(now, key, nil)
			if err != nil {
				b.Error(err)
				return
			}
			e.Observe(now, Outcome{Latency: time.Millisecond})
			e.End(now)
		}
	})
	for _, e := range g.endpoints {
		if e.InFlight() != 0 {
			b.Fatalf("%d places did not come back", e.InFlight())
		}
	}
}

// BenchmarkQueue is a place that goes through the queue.
func BenchmarkQueue(b *testing.B) {
	g, err := New("api", Options{Targets: targets(2), Limits: Limits{MaxConns: 1}}, Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	now := time.Now()
	first, _ := g.Pick(now, 0, nil)
	second, _ := g.Pick(now, 0, nil)
	s := &scripted{wait: func(time.Time) error { first.End(now); return nil }}
	b.ReportAllocs()
	for b.Loop() {
		e, err := g.Wait(s, now, 0)
		if err != nil {
			b.Fatal(err)
		}
		first, second = second, e
	}
}
