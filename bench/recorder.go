package bench

import (
	"math/bits"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// The geometry of an HdrHistogram with our bounds (see Histogram): values in units of
// 2^unitBits ns, the first 2^subBits of them apart, then as many halves for each
// doubling up to histogramHighest.
const (
	unitBits        = 9  // 512 ns is the power of two below histogramLowest
	subBits         = 11 // 2048 is the one above twice 10^histogramDigits
	half            = 1 << (subBits - 1)
	recorderBuckets = 24 * half
)

// recorder counts durations as a Histogram does, and cheaper: it is what the loops
// count in (BenchmarkRecord). Its counts become a Histogram's as they are.
type recorder struct {
	n      int64
	counts [recorderBuckets]int64
}

// record counts a duration in ns once. What is beyond a bound counts as that.
func (r *recorder) record(ns int64) {
	v := uint64(min(max(ns, histogramLowest), histogramHighest))
	doubling := bits.Len64(v>>(unitBits+subBits)) & 63
	r.counts[doubling*half+int(v>>(unitBits+doubling))]++
	r.n++
}

func (r *recorder) add(o *recorder) {
	if o.n == 0 {
		return
	}
	r.n += o.n
	for i, n := range &o.counts {
		r.counts[i] += n
	}
}

func (r *recorder) reset() {
	if r.n > 0 {
		*r = recorder{}
	}
}

// histogram is a copy of the counts; nil when there are none.
func (r *recorder) histogram() *Histogram {
	if r.n == 0 {
		return nil
	}
	return &Histogram{hdr.Import(&hdr.Snapshot{
		LowestTrackableValue: histogramLowest, HighestTrackableValue: histogramHighest, SignificantFigures: histogramDigits, Counts: r.counts[:],
	})}
}
