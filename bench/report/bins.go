package report

import (
	"math"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

// A bin is one bar of a histogram that is shown: longer than From, up to To.
type bin struct {
	From, To time.Duration
	Count    int64
}

// bins puts a histogram into at most n bars, each the same factor wider than the
// former: latencies spread over magnitudes.
func bins(h *bench.Histogram, n int) []bin {
	bars := h.Bars()
	if len(bars) == 0 {
		return nil
	}
	low, high := float64(bars[0].From), float64(bars[len(bars)-1].To)
	low = max(low, float64(time.Microsecond))
	// A range that is narrow, or of one value, has fewer bars.
	n = max(1, min(n, int(math.Ceil(math.Log(high/low)/math.Log(1.05)))))
	step := math.Pow(high/low, 1/float64(n))
	all := make([]bin, n)
	for i := range all {
		all[i].From = time.Duration(low * math.Pow(step, float64(i)))
		all[i].To = time.Duration(low * math.Pow(step, float64(i+1)))
	}
	all[n-1].To = time.Duration(high)
	for _, b := range bars {
		middle := float64(b.From+b.To) / 2
		i := 0
		if step > 1 {
			i = int(math.Log(max(middle, low)/low) / math.Log(step))
		}
		all[min(max(i, 0), n-1)].Count += b.Count
	}
	return all
}

// most is the count of the highest bar.
func most(all []bin) (n int64) {
	for _, b := range all {
		n = max(n, b.Count)
	}
	return n
}
