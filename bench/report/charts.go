package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

const (
	pageBars  = 36  // of the histogram
	maxPoints = 240 // of a series: a chart has no more columns to tell apart
)

// A chart with its heading and what its colours mean.
type chart struct {
	Title  string
	Legend []legend
	SVG    template.HTML
}

type legend struct{ Class, Name string }

// shortSpan is a duration for axes, without digits that say nothing.
func shortSpan(seconds float64) string {
	s := span(time.Duration(math.Round(seconds * 1e9)))
	number, unit, _ := strings.Cut(s, " ")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return strings.TrimSpace(number + " " + unit)
}

// shortRate is a rate for axes: 20k for 20000.
func shortRate(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e6, "M"}, {1e3, "k"}} {
		if v >= u.size {
			return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v/u.size), "0"), ".") + u.name
		}
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// percentileChart shows each percentile, those near the end wider: the place of p
// is log(1 / (1-p)).
func percentileChart(r *bench.Result) (chart, bool) {
	n := r.Latency.Count()
	if n == 0 {
		return chart{}, false
	}
	nines := min(max(math.Log10(float64(n)), 1), 6)
	var values []float64
	for _, row := range rows(r) {
		values = append(values, row.h.Quantile(.01).Seconds(), row.h.Max().Seconds())
	}
	var ticks []float64
	for _, q := range []float64{.5, .9, .99, .999, .9999, .99999, .999999} {
		if at := placeOf(q); at <= nines+1e-6 {
			ticks = append(ticks, at)
		}
	}
	label := func(at float64) string {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.4f", 100*(1-math.Pow(10, -at))), "0"), ".") + " %"
	}
	p := newPlot("percentiles", "Latency by percentile", percentileText(r), scale{low: 0, high: nines}, logarithmic(values...), ticks, label, shortSpan)
	c := chart{Title: "Latency by percentile"}
	for i, row := range slices.Backward(rows(r)) { // the latency lies above the others
		class := fmt.Sprintf("s%d", i+1)
		c.Legend = append([]legend{{class, row.name}}, c.Legend...)
		var line []place
		for k := 0.; k <= 100; k++ {
			at := nines * k / 100
			line = append(line, place{at, row.h.Quantile(1 - math.Pow(10, -at)).Seconds()})
		}
		p.line(class, line)
	}
	for _, q := range percentiles[:len(percentiles)-1] {
		if at := placeOf(q.q); at <= nines {
			p.dot("s1", place{at, r.Latency.Quantile(q.q).Seconds()}, q.name+": "+span(r.Latency.Quantile(q.q)))
		}
	}
	if p.server(r.Server) {
		c.Legend = append(c.Legend, legend{"s4", "Server's own clock"})
	}
	c.SVG = p.svg()
	return c, true
}

// server draws the server's own percentiles, and tells whether there are any: those
// of its lowest bucket are not known.
func (p *plot) server(s *bench.Server) bool {
	if s == nil {
		return false
	}
	var line []place
	for _, q := range []struct {
		name  string
		q, at float64
	}{{"p50", .5, s.P50}, {"p90", .9, s.P90}, {"p99", .99, s.P99}} {
		if q.at > s.Lowest {
			line = append(line, place{placeOf(q.q), q.at})
			p.dot("s4", line[len(line)-1], "server's "+q.name+": "+spanOf(q.at))
		}
	}
	if len(line) > 1 {
		p.line("s4", line)
	}
	return len(line) > 0
}

func placeOf(q float64) float64 { return -math.Log10(1 - q) }

func percentileText(r *bench.Result) string {
	var parts []string
	for _, q := range percentiles {
		parts = append(parts, q.name+" "+span(r.Latency.Quantile(q.q)))
	}
	return strings.Join(parts, ", ")
}

// histogramChart shows how often which latency was.
func histogramChart(r *bench.Result) (chart, bool) {
	all := bins(r.Latency, pageBars)
	if len(all) == 0 {
		return chart{}, false
	}
	x := logarithmic(all[0].From.Seconds(), all[len(all)-1].To.Seconds())
	p := newPlot("histogram", "Histogram of latency", fmt.Sprintf("%s in %d classes, %s to %s", plural(r.Latency.Count(), "answer"), len(all), span(all[0].From), span(all[len(all)-1].To)),
		x, linear(float64(most(all))), x.ticks(), shortSpan, shortRate)
	for _, b := range all {
		if b.Count > 0 {
			p.column("s1", b.From.Seconds(), b.To.Seconds(), float64(b.Count), fmt.Sprintf("%s to %s: %s, %s", span(b.From), span(b.To), group(b.Count), percent(float64(b.Count)/float64(r.Latency.Count()))))
		}
	}
	p.upright(r.Latency.Quantile(.5).Seconds(), "p50")
	p.upright(r.Latency.Quantile(.99).Seconds(), "p99")
	return chart{Title: "Histogram of latency", SVG: p.svg()}, true
}

// thin puts neighbours together until n points are left: counts add, and of
// latencies the worst is kept.
func thin(series []bench.Point, n int) []bench.Point {
	each := (len(series) + n - 1) / n
	if each <= 1 {
		return series
	}
	var all []bench.Point
	for part := range slices.Chunk(series, each) {
		sum := part[0]
		for _, p := range part[1:] {
			sum.At, sum.InFlight = p.At, p.InFlight
			sum.Seconds += p.Seconds
			sum.Completed += p.Completed
			sum.Failed += p.Failed
			sum.P50, sum.P90, sum.P99, sum.Max = max(sum.P50, p.P50), max(sum.P90, p.P90), max(sum.P99, p.P99), max(sum.Max, p.Max)
			sum.GeneratorCPU = max(sum.GeneratorCPU, p.GeneratorCPU)
		}
		all = append(all, sum)
	}
	return all
}

// overTime draws a chart of the series, if there is one to speak of: lines draws into
// it, and each point has a title.
func overTime(id, title string, series []bench.Point, y scale, yLabel func(float64) string, lines func(p *plot)) (chart, bool) {
	if len(series) < 2 {
		return chart{}, false
	}
	x := scale{low: 0, high: min(max(series[len(series)-1].At, 1e-3), highest)}
	ticks := scale{low: 0, high: x.high}.ticks()
	p := newPlot(id, title, fmt.Sprintf("%d intervals, see the table of intervals", len(series)), x, y, ticks, func(v float64) string { return shortRate(v) + " s" }, yLabel)
	lines(p)
	for _, pt := range series {
		p.band(pt.At-pt.Seconds, pt.At, fmt.Sprintf("%.0f s: %s requests/s, p50 %s, p90 %s, p99 %s, max %s, %s failed",
			pt.At, rate(perSecond(pt)), spanOf(pt.P50), spanOf(pt.P90), spanOf(pt.P99), spanOf(pt.Max), group(pt.Failed)))
	}
	return chart{Title: title, SVG: p.svg()}, true
}

func perSecond(p bench.Point) float64 {
	if p.Seconds <= 0 {
		return 0
	}
	return float64(p.Completed) / p.Seconds
}

// pick is one value of all points, as a step over each interval.
func pick(series []bench.Point, of func(bench.Point) float64) (all []place) {
	for _, p := range series {
		all = append(all, place{p.At - p.Seconds, of(p)}, place{p.At, of(p)})
	}
	return all
}

func rateChart(r *bench.Result) (chart, bool) {
	series := thin(r.Series, maxPoints)
	highest, failures := r.Load.Rate, false
	for _, p := range series {
		highest = max(highest, perSecond(p))
		failures = failures || p.Failed > 0
	}
	c, ok := overTime("rate", "Rate over time", series, linear(highest), shortRate, func(p *plot) {
		points := pick(series, perSecond)
		p.area("s1", points)
		p.line("s1", points)
		for _, pt := range series {
			if pt.Failed > 0 && pt.Seconds > 0 {
				p.column("bad", pt.At-pt.Seconds, pt.At, float64(pt.Failed)/pt.Seconds, "failed")
			}
		}
		if r.Load.Mode == bench.OpenLoop {
			p.level(r.Load.Rate, "asked for")
		}
	})
	c.Legend = []legend{{"s1", "Completed a second"}}
	if failures {
		c.Legend = append(c.Legend, legend{"bad", "Failed a second"})
	}
	return c, ok
}

func latencyChart(r *bench.Result) (chart, bool) {
	series := thin(r.Series, maxPoints)
	lines := []struct {
		name, class string
		of          func(bench.Point) float64
	}{
		{"p50", "s1", func(p bench.Point) float64 { return p.P50 }},
		{"p90", "s2", func(p bench.Point) float64 { return p.P90 }},
		{"p99", "s3", func(p bench.Point) float64 { return p.P99 }},
		{"max", "s4", func(p bench.Point) float64 { return p.Max }},
	}
	var values []float64
	for _, l := range lines {
		for _, pt := range series {
			values = append(values, l.of(pt))
		}
	}
	c, ok := overTime("latency", "Latency over time", series, logarithmic(values...), shortSpan, func(p *plot) {
		for _, l := range slices.Backward(lines) {
			// An interval without an answer has no latency: the line has a gap.
			var part []place
			for _, pt := range pick(series, l.of) {
				if pt.y > 0 {
					part = append(part, pt)
					continue
				}
				p.line(l.class, part)
				part = nil
			}
			p.line(l.class, part)
		}
	})
	for _, l := range lines {
		c.Legend = append(c.Legend, legend{l.class, l.name})
	}
	return c, ok
}
