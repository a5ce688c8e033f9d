package bench

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// Each duration is in the bucket that an HdrHistogram has for it, at all borders.
func TestRecorder(t *testing.T) {
	r, h := new(recorder), NewHistogram()
	both := func(ns int64) {
		r.record(ns)
		h.Record(time.Duration(ns))
	}
	for shift := range 63 {
		for d := int64(-2); d <= 2; d++ {
			both(int64(1)<<shift + d)
		}
	}
	for _, ns := range []int64{-5, 0, histogramLowest, histogramHighest, 1<<63 - 1} {
		both(ns)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		both(random.Int64N(1 << random.IntN(63)))
	}
	got := r.histogram()
	if !reflect.DeepEqual(got.h.Export(), h.h.Export()) || got.Count() != h.Count() {
		t.Errorf("%d counted, max %v, median %v; an HdrHistogram has %d, %v, %v",
			got.Count(), got.Max(), got.Quantile(.5), h.Count(), h.Max(), h.Quantile(.5))
	}
	twice := new(recorder)
	twice.add(r)
	twice.add(r)
	if n := twice.histogram().Count(); n != 2*h.Count() {
		t.Errorf("added to itself: %d, want %d", n, 2*h.Count())
	}
	if twice.reset(); twice.histogram() != nil {
		t.Error("counts are left behind a reset")
	}
}

func BenchmarkRecord(b *testing.B) {
	durations := make([]int64, 1024)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range durations {
		durations[i] = int64(50e3 * random.ExpFloat64())
	}
	b.Run("recorder", func(b *testing.B) {
		r, i := new(recorder), 0
		for b.Loop() {
			r.record(durations[i&1023])
			i++
		}
		if r.n != int64(i) {
			b.Fatalf("%d counted of %d", r.n, i)
		}
	})
	b.Run("hdrhistogram", func(b *testing.B) {
		h, i := NewHistogram(), 0
		for b.Loop() {
			h.Record(time.Duration(durations[i&1023]))
			i++
		}
		if h.Count() != int64(i) {
			b.Fatalf("%d counted of %d", h.Count(), i)
		}
	})
}
