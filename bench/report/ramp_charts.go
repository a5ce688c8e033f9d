package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-edge/penstock/bench"
)

// byRate are the steps of r, the lowest rate first.
func byRate(r *bench.Ramp) []bench.Step {
	steps := slices.Clone(r.Steps)
	slices.SortStableFunc(steps, func(a, b bench.Step) int { return cmp.Compare(a.Rate, b.Rate) })
	return steps
}

// rates is a scale with all rates of the steps.
func rates(steps []bench.Step) scale {
	low, high := steps[0].Rate, steps[len(steps)-1].Rate
	if low > 0 && high/low > 20 {
		return logarithmic(low, high)
	}
	return linear(high)
}

func perSecondLabel(v float64) string { return shortRate(v) + "/s" }

// rampChart shows the latencies of all steps by the rate that was asked for.
func rampChart(r *bench.Ramp) chart {
	steps := byRate(r)
	p50 := func(s bench.Step) float64 { return s.Result.Latency.Quantile(.5).Seconds() }
	p99 := func(s bench.Step) float64 { return s.Result.Latency.Quantile(.99).Seconds() }
	objectives, _ := bench.ParseObjectives(strings.Join(r.Objectives, ",")) // what cannot be read has no line
	objectives = slices.DeleteFunc(objectives, func(o bench.Objective) bool { return o.Metric == "errors" })
	var values []float64
	for _, s := range steps {
		values = append(values, p50(s), p99(s))
	}
	for _, o := range objectives {
		values = append(values, o.Most)
	}
	x := rates(steps)
	p := newPlot("ramp", "Latency by rate", verdict(r), x, logarithmic(values...), x.ticks(), perSecondLabel, shortSpan)
	for _, o := range objectives {
		p.level(o.Most, o.String())
	}
	if r.Rate > 0 {
		p.upright(r.Rate, rate(r.Rate)+"/s")
	}
	p.steps("s1", steps, p50)
	p.steps("s3", steps, p99)
	return chart{Title: "Latency by rate", SVG: p.svg(), Legend: []legend{{"s1", "p50"}, {"s3", "p99"}}}
}

// completedChart shows what was completed of what was asked for.
func completedChart(r *bench.Ramp) chart {
	steps := byRate(r)
	x := rates(steps)
	high := 0.
	for _, s := range steps {
		high = max(high, s.Rate, s.Result.Rate)
	}
	y := linear(high)
	if x.log {
		y = x
	}
	p := newPlot("completed", "Completed by rate", verdict(r), x, y, x.ticks(), perSecondLabel, shortRate)
	p.line("quiet", []place{{max(x.low, y.low), max(x.low, y.low)}, {min(x.high, y.high), min(x.high, y.high)}})
	p.steps("s2", steps, func(s bench.Step) float64 { return s.Result.Rate })
	return chart{Title: "Completed by rate", SVG: p.svg(), Legend: []legend{{"s2", "Completed a second"}, {"quiet", "Asked for"}}}
}

// steps draws one value of each step; those that do not hold are hollow.
func (p *plot) steps(class string, steps []bench.Step, of func(bench.Step) float64) {
	var line []place
	for _, s := range steps {
		line = append(line, place{s.Rate, of(s)})
	}
	p.line(class, line)
	for i, s := range steps {
		dot, holds, l := class, "holds", s.Result.Latency
		if !s.Holds {
			dot, holds = class+" hollow", strings.Join(s.Broken, ", ")
		}
		p.dot(dot, line[i], fmt.Sprintf("%s, %s/s: %s/s completed, p50 %s, p99 %s, %s",
			s.Phase, rate(s.Rate), rate(s.Result.Rate), span(l.Quantile(.5)), span(l.Quantile(.99)), holds))
	}
}
