package suite

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// busy is the share of its cores from which on the generator is the limit.
const busy = .9

// Cell is what a target has shown in a work.
type Cell struct {
	// Value is the median: microseconds of CPU by request, or KiB by connection.
	Value float64
	// Spread is half of the range of the middle half of the runs, by the median.
	Spread float64
	Rate   float64 // median
	P99    float64 // median, seconds
	// Ratio is the median of the rounds' own ratios, its value by penstock's.
	Ratio float64
	// Busy: the generator was the limit in half of the runs or more.
	Busy  bool
	Runs  int
	Void  int
	Error string // of the first that is void
}

// Cell puts a target's runs of a work together; nil: there are none.
func (r *Result) Cell(work, target string) *Cell {
	good, void := r.runs(work, target, Cost)
	if len(good)+len(void) == 0 {
		return nil
	}
	c := &Cell{Runs: len(good), Void: len(void)}
	if c.Void > 0 {
		c.Error = void[0].Error
	}
	var values, ratios []float64
	limited := 0
	for _, run := range good {
		values = append(values, run.value())
		if own := r.penstock(work, run.Round); own > 0 {
			ratios = append(ratios, run.value()/own)
		}
		if run.GeneratorBusy > busy {
			limited++
		}
	}
	c.Value, c.Ratio = Median(values), Median(ratios)
	c.Rate = medianOf(good, func(r Run) float64 { return r.Rate })
	c.P99 = medianOf(good, func(r Run) float64 { return r.P99 })
	c.Busy = limited*2 >= max(1, c.Runs)
	if c.Value > 0 {
		slices.Sort(values)
		n := len(values)
		c.Spread = (values[n*3/4] - values[n/4]) / 2 / c.Value
	}
	return c
}

func (run *Run) value() float64 {
	if run.KiB != 0 {
		return run.KiB
	}
	return run.Micros
}

// penstock is its value in a round of a work; 0: none.
func (r *Result) penstock(work string, round int) float64 {
	good, _ := r.runs(work, "penstock", Cost)
	for i := range good {
		if good[i].Round == round {
			return good[i].value()
		}
	}
	return 0
}

// Median of v; 0 without any.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	switch n := len(s); {
	case n == 0:
		return 0
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

func medianOf(runs []Run, of func(Run) float64) float64 {
	var v []float64
	for _, run := range runs {
		v = append(v, of(run))
	}
	return Median(v)
}

// line tells of a work in one line.
func (r *Result) line(w Work) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s", w.Name)
	for _, t := range r.Targets {
		c := r.Cell(w.Name, t)
		switch {
		case c == nil:
		case c.Runs == 0:
			fmt.Fprintf(&b, "  %s VOID (%s)", t, c.Error)
		case t == "penstock":
			fmt.Fprintf(&b, "  %s %s %s", t, figures(c.Value), unitOf(w))
		default:
			fmt.Fprintf(&b, "  %s %s (%.2f)", t, figures(c.Value), c.Ratio)
		}
	}
	return b.String()
}

func unitOf(w Work) string {
	if w.Kind == Idle {
		return "KiB"
	}
	return "us"
}

// figures is v with three significant digits.
func figures(v float64) string {
	if v <= 0 {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(v))))
	return fmt.Sprintf("%.*f", digits, v)
}
