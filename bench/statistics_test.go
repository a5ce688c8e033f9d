package bench

import (
	"math"
	"testing"
	"time"
)

// Orders counted out where there are no ties, else the normal distribution with the
// corrections for ties and continuity.
func TestMannWhitney(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"apart, four each", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2. / 70},
		{"apart, three each", []float64{1, 2, 3}, []float64{4, 5, 6}, .1},
		{"apart, the other way", []float64{5, 6, 7, 8}, []float64{1, 2, 3, 4}, 2. / 70},
		{"interleaved", []float64{1, 3, 5, 7}, []float64{2, 4, 6, 8}, .6857142857},
		{"unequal sizes", []float64{1, 2}, []float64{3, 4, 5, 6, 7}, 2. / 21},
		{"equal", []float64{1, 1, 1, 1}, []float64{1, 1, 1, 1}, 1},
		{"ties", []float64{1, 2, 2, 3}, []float64{2, 3, 3, 4}, .1720},
		{"empty", nil, []float64{1}, 1},
	} {
		if got := mannWhitney(test.a, test.b); math.Abs(got-test.want) > 5e-3 {
			t.Errorf("%s: p %v, want %v", test.name, got, test.want)
		}
	}
}

// The exact distribution and the normal one agree where they meet.
func TestMannWhitneyLimit(t *testing.T) {
	var a, b []float64
	for i := range exactLimit {
		a = append(a, float64(i*i%17)+.01*float64(i))
		b = append(b, float64(i*7%19)+3+.011*float64(i))
	}
	exact := mannWhitney(a, b)
	normal := mannWhitney(append(a, 1e9), append(b, 1e9+1)) // one pair more
	if math.Abs(exact-normal) > .05 {
		t.Errorf("exact %v, normal with one pair more %v", exact, normal)
	}
}

func TestOrderStatistics(t *testing.T) {
	h := NewHistogram()
	for i := range 10_000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	e := orderStatistics(h, .5)
	// The rank is 5000 within 1.96·√2500 = 98.
	if math.Abs(e.Low-4.9) > .01 || math.Abs(e.High-5.1) > .01 || math.Abs(e.Value-5) > .01 {
		t.Errorf("%+v, want 5 s from 4.9 to 5.1", e)
	}
	if e := orderStatistics(NewHistogram(), .5); e != (Estimate{}) {
		t.Errorf("of nothing: %+v", e)
	}
}

func TestProportions(t *testing.T) {
	if p := proportions(10, 1000, 12, 1000); p < .5 {
		t.Errorf("1 %% and 1.2 %% of 1000: p %v", p)
	}
	if p := proportions(10, 1000, 100, 1000); p > 1e-9 {
		t.Errorf("1 %% and 10 %% of 1000: p %v", p)
	}
	if p := proportions(0, 1000, 0, 1000); p != 1 {
		t.Errorf("no failures: p %v", p)
	}
}
