package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	significance = .05 // of verdicts; intervals are of 95 %
	resamples    = 2000
	// exactLimit is the number of values a side up to which Mann-Whitney's
	// distribution is counted out; beyond it is as good as normal.
	exactLimit = 12
)

// An Estimate is a value with its interval of 95 %. Where none could be told, Low
// and High are Value.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// mannWhitney is the two-sided probability that values as different as a and b come
// from one distribution; 1 with an empty side.
func mannWhitney(a, b []float64) float64 {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return 1
	}
	ranks, ties := rankSum(a, b)
	u := ranks - float64(n*(n+1))/2
	u = min(u, float64(n*m)-u)
	if ties == 0 && n <= exactLimit && m <= exactLimit {
		return min(1, 2*uShare(n, m, int(u)))
	}
	total := float64(n + m)
	deviation := math.Sqrt(float64(n*m) / 12 * (total + 1 - ties/(total*(total-1))))
	if deviation == 0 { // all are equal
		return 1
	}
	z := (float64(n*m)/2 - u - .5) / deviation // with the correction for continuity
	return min(1, math.Erfc(max(z, 0)/math.Sqrt2))
}

// rankSum is the sum of a's ranks among all values, equal ones sharing theirs, and
// the sum of t³-t over the groups of equal ones.
func rankSum(a, b []float64) (sum, ties float64) {
	type value struct {
		v     float64
		fromA bool
	}
	all := make([]value, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, value{v, true})
	}
	for _, v := range b {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(x, y value) int {
		switch {
		case x.v < y.v:
			return -1
		case x.v > y.v:
			return 1
		}
		return 0
	})
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		for _, v := range all[i:j] {
			if v.fromA {
				sum += float64(i+j+1) / 2
			}
		}
		i = j
	}
	return sum, ties
}

// uShare is the share of the orders of n and m values whose U is at most u.
func uShare(n, m, u int) float64 {
	// ways[j][k]: orders of i and j values with U of k, built up over i.
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, n*m+1)
		ways[j][0] = 1
	}
	for i := 1; i <= n; i++ {
		next := make([][]float64, m+1)
		next[0] = make([]float64, n*m+1)
		next[0][0] = 1
		for j := 1; j <= m; j++ {
			next[j] = slices.Clone(next[j-1])
			for k := j; k <= n*m; k++ { // the greatest is of the first side: above all j
				next[j][k] = ways[j][k-j]
			}
			for k := 0; k <= n*m; k++ {
				if k < j {
					next[j][k] = 0
				}
				next[j][k] += next[j-1][k]
			}
		}
		ways = next
	}
	var below, all float64
	for k, w := range ways[m] {
		all += w
		if k <= u {
			below += w
		}
	}
	return below / all
}

// resampler draws from a fixed seed: the same files have the same verdict.
type resampler struct{ r *rand.Rand }

func newResampler() resampler { return resampler{rand.New(rand.NewPCG(1, 2))} }

// blockLength is how many neighbours of n are resampled together.
func blockLength(n int) int { return max(1, int(math.Ceil(math.Cbrt(float64(n))))) }

// blocks are a statistic (of) of series of the length of x, put together from blocks
// of neighbours: intervals that follow each other resemble each other, and single
// ones would promise too much.
func (s resampler) blocks(x []float64, of func([]float64) float64) []float64 {
	length := blockLength(len(x))
	all, draw := make([]float64, resamples), make([]float64, len(x))
	for i := range all {
		for n := 0; n < len(x); {
			from := s.r.IntN(len(x))
			for k := 0; k < length && n < len(x); k, n = k+1, n+1 {
				draw[n] = x[(from+k)%len(x)]
			}
		}
		all[i] = of(draw)
	}
	return all
}

// medians are those of samples of x with replacement.
func (s resampler) medians(x []float64) []float64 {
	all, draw := make([]float64, resamples), make([]float64, len(x))
	for i := range all {
		for k := range draw {
			draw[k] = x[s.r.IntN(len(x))]
		}
		all[i] = median(draw)
	}
	return all
}

// widening is the factor by which resampling few values tells too small an interval:
// what Student's distribution has more than the normal one, for as many degrees of
// freedom as there are blocks but one (Cornish-Fisher's expansion at 97.5 %).
func widening(n int) float64 {
	df := max(float64(n)/float64(blockLength(n))-1, 2)
	return (1.96 + 2.372/df + 2.823/(df*df) + 2.557/(df*df*df)) / 1.96 * math.Sqrt((df+1)/df)
}

// powerMean weighs what is high: of the intervals of a run those make its tail.
func powerMean(x []float64, exponent float64) float64 {
	var sum float64
	for _, v := range x {
		sum += math.Pow(v, exponent)
	}
	return math.Pow(sum/float64(max(len(x), 1)), 1/exponent)
}

// middle is the interval of 95 % of what resampling gave.
func middle(value float64, resampled []float64) Estimate {
	sorted := slices.Sorted(slices.Values(resampled))
	at := func(q float64) float64 { return sorted[int(math.Round(q*float64(len(sorted)-1)))] }
	return Estimate{value, at(significance / 2), at(1 - significance/2)}
}

// ratios are b by a, pair by pair; nil when a has a zero.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		if a[i] == 0 {
			return nil
		}
		out[i] = b[i] / a[i]
	}
	return out
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	switch n := len(s); {
	case n == 0:
		return 0
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

func mean(x []float64) float64 { return powerMean(x, 1) }

// orderStatistics is quantile q of h with the interval that its count of values
// gives: the ranks within which the true quantile lies in 95 of 100 cases.
func orderStatistics(h *Histogram, q float64) Estimate {
	n := float64(h.Count())
	if n == 0 {
		return Estimate{}
	}
	spread := 1.96 * math.Sqrt(q*(1-q)/n)
	at := func(q float64) float64 { return h.Quantile(min(max(q, 0), 1)).Seconds() }
	return Estimate{at(q), at(q - spread), at(q + spread)}
}

// proportions is the two-sided probability that shares of ka in na and kb in nb are
// of one chance (z-test with a pooled share).
func proportions(ka, na, kb, nb float64) float64 {
	if na == 0 || nb == 0 {
		return 1
	}
	pooled := (ka + kb) / (na + nb)
	deviation := math.Sqrt(pooled * (1 - pooled) * (1/na + 1/nb))
	if deviation == 0 {
		return 1
	}
	return math.Erfc(math.Abs(ka/na-kb/nb) / deviation / math.Sqrt2)
}
