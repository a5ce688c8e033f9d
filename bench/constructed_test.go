package bench

import (
	"math/rand/v2"
	"time"
)

// constructed is a run of a server with this rate and median latency, whose
// intervals scatter by noise (a share).
func constructed(seed uint64, intervals int, rate float64, median time.Duration, noise float64) *Result {
	r := rand.New(rand.NewPCG(seed, 0))
	res := &Result{
		Schema: Schema, Seconds: float64(intervals), Latency: NewHistogram(), Status: map[int]int64{},
		Target:    Target{URL: "http://127.0.0.1:8080/", Method: "GET", Protocol: H1},
		Load:      Load{Mode: ClosedLoop, Connections: 50, Streams: 1},
		Generator: Generator{MicrosPerRequest: 10 + r.Float64(), Cores: 2},
	}
	for i := range intervals {
		speed := 1 + noise*r.NormFloat64()
		h := NewHistogram()
		n := int64(rate * speed)
		for range 500 { // each stands for n/500 answers
			h.Record(time.Duration(float64(median) / speed * (1 + .2*r.ExpFloat64())))
		}
		res.Completed += n
		res.Latency.Merge(h)
		res.Series = append(res.Series, Point{
			At: float64(i + 1), Seconds: 1, Completed: n,
			P50: h.Quantile(.5).Seconds(), P90: h.Quantile(.9).Seconds(), P99: h.Quantile(.99).Seconds(), Max: h.Max().Seconds(),
		})
	}
	res.Requests, res.Status[200] = res.Completed, res.Completed
	res.Rate = float64(res.Completed) / res.Seconds
	return res
}
