package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/penstock-edge/penstock/bench"
)

// WriteStep writes one step of a search as a line of its table.
func WriteStep(w io.Writer, s bench.Step) error {
	result := "holds"
	if !s.Holds {
		result = strings.Join(s.Broken, ", ")
	}
	l := s.Result.Latency
	_, err := fmt.Fprintf(w, "  %-8s%s%s%s%s%s  %s\n", s.Phase, right(rate(s.Rate), 11), right(rate(s.Result.Rate), 11),
		right(span(l.Quantile(.5)), 10), right(span(l.Quantile(.99)), 10), right(span(l.Max()), 10), result)
	return err
}

// WriteStepHead writes the head of the table of steps.
func WriteStepHead(w io.Writer) error {
	_, err := fmt.Fprintf(w, "  %-8s%11s%11s%10s%10s%10s  %s\n", "step", "asked/s", "got/s", "p50", "p99", "max", "objectives")
	return err
}

// WriteRamp writes what a search found; the steps were written before, or are with
// steps.
func WriteRamp(w io.Writer, r *bench.Ramp, steps bool) error {
	if steps {
		if err := WriteStepHead(w); err != nil {
			return err
		}
		for _, s := range r.Steps {
			if err := WriteStep(w, s); err != nil {
				return err
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", verdict(r))
	for _, note := range rampNotes(r) {
		b.WriteString(noteMark + note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict is what a search found, in a sentence.
func verdict(r *bench.Ramp) string {
	objectives := clean(strings.Join(r.Objectives, ", "))
	if r.Rate == 0 {
		return "no rate was found that holds " + objectives
	}
	return fmt.Sprintf("%s requests/s hold %s", rate(r.Rate), objectives)
}

func rampNotes(r *bench.Ramp) (list []string) {
	switch r.LimitedBy {
	case bench.LimitGenerator:
		list = append(list, "beyond this rate the generator has no CPU left: the server may be able to do more; give the generator other or more cores")
	case bench.LimitMost:
		list = append(list, "the search ended at the highest rate allowed: the server can do more")
	case bench.LimitEnded:
		list = append(list, "the search was ended early, the rate may not be confirmed")
	}
	if best := r.Best(); best != nil {
		for _, n := range Notes(best.Result) {
			list = append(list, "at this rate "+n)
		}
	}
	return list
}
