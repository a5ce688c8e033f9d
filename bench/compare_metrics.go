package bench

import (
	"math"
	"slices"
)

// A metric is one number of a run.
type metric struct {
	name, unit     string
	higherIsBetter bool
	of             func(*Result) float64
	quantile       float64              // of Latency, if it is one
	interval       func(*Point) float64 // nil: intervals do not have it
}

func latencyMetric(name string, q float64, interval func(*Point) float64) metric {
	return metric{name, "s", false, func(r *Result) float64 { return r.Latency.Quantile(q).Seconds() }, q, interval}
}

// metrics is read only.
var metrics = []metric{
	{"rate", "1/s", true, func(r *Result) float64 { return r.Rate }, 0, func(p *Point) float64 { return float64(p.Completed) / p.Seconds }},
	latencyMetric("p50", .5, func(p *Point) float64 { return p.P50 }),
	latencyMetric("p90", .9, func(p *Point) float64 { return p.P90 }),
	latencyMetric("p99", .99, func(p *Point) float64 { return p.P99 }),
	// Intervals have no p99.9: its noise is at least that of their p99.
	latencyMetric("p99.9", .999, func(p *Point) float64 { return p.P99 }),
	{"max", "s", false, func(r *Result) float64 { return r.Latency.Max().Seconds() }, 0, nil},
	{"server CPU", "us", false, func(r *Result) float64 {
		if r.Server == nil {
			return 0
		}
		return r.Server.MicrosPerRequest
	}, 0, nil},
	{"generator CPU", "us", false, func(r *Result) float64 { return r.Generator.MicrosPerRequest }, 0, nil},
}

// missing tells whether no run of a side has the metric.
func (m metric) missing(runs []*Result) bool {
	return !slices.ContainsFunc(runs, func(r *Result) bool { return m.of(r) > 0 })
}

func (m metric) values(runs []*Result) (all []float64) {
	for _, r := range runs {
		all = append(all, m.of(r))
	}
	return all
}

// compareRuns has one value a run.
func (m metric) compareRuns(a, b []*Result) Change {
	x, y, s := m.values(a), m.values(b), newResampler()
	mx, my := s.medians(x), s.medians(y)
	c := Change{
		Name: m.name, Unit: m.unit, HigherIsBetter: m.higherIsBetter,
		A: middle(median(x), mx), B: middle(median(y), my),
	}
	if r := ratios(mx, my); r != nil && c.A.Value > 0 {
		c.Ratio = middle(c.B.Value/c.A.Value, r)
	}
	p := mannWhitney(x, y)
	c.P = &p
	c.judge(p < significance)
	return c
}

// compareIntervals lets the intervals stand for runs.
func (m metric) compareIntervals(a, b []*Result, judge bool) Change {
	c := Change{Name: m.name, Unit: m.unit, HigherIsBetter: m.higherIsBetter, Verdict: NotJudged}
	if m.interval == nil || !judge {
		x, y := median(m.values(a)), median(m.values(b))
		c.A, c.B, c.Ratio = exact(x), exact(y), exact(share(y, x))
		return c
	}
	x, y := m.intervals(a), m.intervals(b)
	c.A, c.B = m.estimate(a, x), m.estimate(b, y)
	apart := c.setRatio()
	p := mannWhitney(x, y)
	if m.name != "p99.9" { // those are not its own intervals
		c.P = &p
	}
	c.judge(apart && p < significance && math.Abs(c.Ratio.Value-1) > betweenRuns)
	return c
}

// intervals are the metric's values in all intervals of the runs.
func (m metric) intervals(runs []*Result) (all []float64) {
	for _, r := range runs {
		for _, p := range fullIntervals(r) {
			all = append(all, m.interval(&p))
		}
	}
	return all
}

// fullIntervals leaves out a last one that was cut short, and such as had no answer.
func fullIntervals(r *Result) (list []Point) {
	for i, p := range r.Series {
		if p.Seconds > 0 && p.Completed > 0 && (i == 0 || p.Seconds > r.Series[0].Seconds/2) {
			list = append(list, p)
		}
	}
	return list
}

// estimate is the metric of all runs together: the spread is that of intervals, or,
// for a percentile, that of its rank where this is wider.
func (m metric) estimate(runs []*Result, intervals []float64) Estimate {
	typical := mean
	switch {
	case m.quantile >= .99: // is made by the slowest intervals of a run
		typical = func(x []float64) float64 { return powerMean(x, 4) }
	case m.quantile > 0: // one stall hardly moves it
		typical = median
	}
	spread := middle(typical(intervals), newResampler().blocks(intervals, typical))
	value := mean(m.values(runs))
	var rank Estimate
	if m.quantile > 0 {
		all := NewHistogram()
		for _, r := range runs {
			all.Merge(r.Latency)
		}
		rank = orderStatistics(all, m.quantile)
		value = rank.Value
	}
	if spread.Value == 0 {
		return exact(value)
	}
	wider := widening(len(intervals))
	e := Estimate{
		value,
		value * math.Pow(spread.Low/spread.Value, wider),
		value * math.Pow(spread.High/spread.Value, wider),
	}
	if m.quantile > 0 {
		e.Low, e.High = min(e.Low, rank.Low), max(e.High, rank.High)
	}
	return e
}

// setRatio sets B by A with an interval from both of theirs, as independent errors
// of their logarithms, and tells whether that is apart from 1.
func (c *Change) setRatio() (apart bool) {
	a, b := c.A, c.B
	c.Ratio = exact(share(b.Value, a.Value))
	if a.Low <= 0 || b.Low <= 0 {
		return false
	}
	down := math.Hypot(math.Log(b.Value/b.Low), math.Log(a.High/a.Value))
	up := math.Hypot(math.Log(b.High/b.Value), math.Log(a.Value/a.Low))
	c.Ratio.Low *= math.Exp(-down)
	c.Ratio.High *= math.Exp(up)
	return c.Ratio.Low > 1 || c.Ratio.High < 1
}

// judge sets the verdict from whether the difference is more than noise.
func (c *Change) judge(different bool) {
	switch {
	case !different || c.A.Value == c.B.Value:
		c.Verdict = Same
	case (c.B.Value > c.A.Value) == c.HigherIsBetter:
		c.Verdict = Better
	default:
		c.Verdict = Worse
	}
}

// compareFailures compares the shares of requests that failed.
func compareFailures(a, b []*Result) Change {
	count := func(runs []*Result) (failed, all float64) {
		for _, r := range runs {
			failed += float64(r.Failed + r.ServerErrors())
			all += float64(r.Completed + r.Failed)
		}
		return failed, all
	}
	ka, na := count(a)
	kb, nb := count(b)
	x, y, p := share(ka, na), share(kb, nb), proportions(ka, na, kb, nb)
	c := Change{Name: "failed", Unit: "share", A: exact(x), B: exact(y), Ratio: exact(share(y, x)), P: &p}
	c.judge(p < significance)
	return c
}

// exact is a value without an interval.
func exact(v float64) Estimate { return Estimate{v, v, v} }

// share is x by y, and 0 of nothing.
func share(x, y float64) float64 {
	if y == 0 {
		return 0
	}
	return x / y
}
