package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// lateShare of a latency is what the generator may itself be late by at its p99,
// until the figure is marked as its own.
const lateShare = .5

// latencyTable has p50, p99 and p99.9 of each target at the rate that all can hold.
func (r *Result) latencyTable() string {
	return r.measureTable(Latency, func(e Entry, runs []Run) string {
		ms := func(of func(Run) float64) string { return figures(1000 * medianOf(runs, of)) }
		tail := func(r Run) float64 { return r.P99 }
		text := fmt.Sprintf("%s / %s / %s", ms(func(r Run) float64 { return r.P50 }), ms(tail), ms(func(r Run) float64 { return r.P999 }))
		if e.Kind == Mix { // one in a hundred sleeps: its p99 is the sleep
			tail = func(r Run) float64 { return r.P98 }
			text = fmt.Sprintf("%s / %s (p98)", ms(func(r Run) float64 { return r.P50 }), ms(tail))
		}
		if lag := medianOf(runs, func(r Run) float64 { return r.Lag }); lag > lateShare*medianOf(runs, tail) {
			text += " *"
		}
		return text
	})
}

// syscallTable has each target's system calls by request, and the three it makes most.
func (r *Result) syscallTable() string {
	return r.measureTable(Syscalls, func(_ Entry, runs []Run) string {
		calls := runs[0].Calls
		names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
			if calls[a] != calls[b] {
				return map[bool]int{true: -1, false: 1}[calls[a] > calls[b]]
			}
			return strings.Compare(a, b)
		})
		var most []string
		for _, name := range names {
			if name != allCalls && len(most) < 3 && calls[name] >= .005 {
				most = append(most, fmt.Sprintf("%s %.2f", name, calls[name]))
			}
		}
		text := fmt.Sprintf("%.2f (%s)", calls[allCalls], strings.Join(most, ", "))
		if runs[0].Tool == "strace" {
			text += " *"
		}
		return text
	})
}

// measureTable has a row for each work that has runs of a measure.
func (r *Result) measureTable(m Measure, cell func(Entry, []Run) string) string {
	any := func(work, target string) bool {
		good, void := r.runs(work, target, m)
		return len(good)+len(void) > 0
	}
	works := slices.DeleteFunc(slices.Clone(r.Works), func(e Entry) bool {
		return !slices.ContainsFunc(r.Targets, func(t string) bool { return any(e.Name, t) })
	})
	targets := slices.DeleteFunc(slices.Clone(r.Targets), func(t string) bool {
		return !slices.ContainsFunc(works, func(e Entry) bool { return any(e.Name, t) })
	})
	if len(works) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| Work | %s |\n|---%s|\n", strings.Join(targets, " | "), strings.Repeat("|---", len(targets)))
	for _, e := range works {
		fmt.Fprintf(&b, "| %s (`%s`)", e.Title, e.Name)
		if rate := r.offered(e.Name); rate > 0 && m == Latency {
			fmt.Fprintf(&b, ", %s/s", thousands(rate))
		}
		for _, t := range targets {
			switch good, void := r.runs(e.Name, t, m); {
			case len(good) > 0:
				b.WriteString(" | " + cell(e, good))
			case len(void) > 0:
				b.WriteString(" | void")
			default:
				b.WriteString(" | –")
			}
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// offered is the rate that a work's latency was measured at.
func (r *Result) offered(work string) float64 {
	for _, run := range r.Runs {
		if run.Work == work && run.Measure == Latency {
			return run.Offered
		}
	}
	return 0
}

// thousands is n with commas.
func thousands(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
