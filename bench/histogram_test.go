package bench

import (
	"encoding/json"
	"testing"
	"time"
)

func TestHistogramJSON(t *testing.T) {
	a, b := NewHistogram(), NewHistogram()
	for i := range 1000 {
		a.Record(time.Duration(i+1) * time.Millisecond)
		b.Record(time.Duration(i+1001) * time.Millisecond)
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var read Histogram
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	read.Merge(b, nil)
	a.Merge(b)
	if read.Count() != 2000 {
		t.Errorf("count %d, want 2000", read.Count())
	}
	for _, q := range []float64{0, .5, .9, .99, .999, 1} {
		if read.Quantile(q) != a.Quantile(q) {
			t.Errorf("quantile %v: %v, want %v", q, read.Quantile(q), a.Quantile(q))
		}
	}
	if got := read.Quantile(.5); got < time.Second-time.Millisecond || got > time.Second+time.Millisecond {
		t.Errorf("median %v, want 1 s within a thousandth", got)
	}
}

func TestHistogramBounds(t *testing.T) {
	h := NewHistogram()
	h.Record(-time.Second)
	h.Record(48 * time.Hour)
	if h.Count() != 2 || h.Min() > 2*time.Microsecond || h.Max() < 59*time.Minute {
		t.Errorf("count %d, min %v, max %v: want 2, a microsecond, an hour", h.Count(), h.Min(), h.Max())
	}
}

func FuzzHistogramJSON(f *testing.F) {
	text, err := json.Marshal(NewHistogram())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Histogram
		if json.Unmarshal(b, &h) == nil && h.h != nil {
			_ = h.Quantile(.99)
		}
	})
}
