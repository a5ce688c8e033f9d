package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/penstock-edge/penstock/bench"
)

// WriteComparison writes a comparison as a table, its verdict and its doubts.
func WriteComparison(w io.Writer, c *bench.Comparison) error {
	var b strings.Builder
	for i, s := range []bench.Side{c.A, c.B} {
		fmt.Fprintf(&b, "%s  %s, %s: %s\n", "AB"[i:i+1], plural(int64(s.Runs), "run"), plural(int64(s.Intervals), "interval"), files(s))
	}
	fmt.Fprintf(&b, "\n  %-15s%-22s%-22s%-30s%9s  %s\n", "", "A", "B", "B against A", "p", "verdict")
	for _, m := range c.Metrics {
		p := ""
		if m.P != nil {
			p = probability(*m.P)
		}
		verdict := string(m.Verdict)
		if m.Verdict == bench.Same {
			verdict = "~"
		}
		fmt.Fprintf(&b, "  %-15s%s%s%s%s  %s\n", m.Name, left(estimate(m.Unit, m.A), 22), left(estimate(m.Unit, m.B), 22),
			left(change(m), 30), right(p, 9), verdict)
	}
	fmt.Fprintf(&b, "\nB is %s\n", map[bench.Verdict]string{
		bench.Faster: "faster", bench.Slower: "slower", bench.Same: "no different from A within noise",
		bench.Mixed: "faster in one thing and slower in another", bench.NotJudged: "not judged",
	}[c.Verdict])
	for _, n := range c.Notes {
		b.WriteString(noteMark + clean(n) + "\n")
	}
	fmt.Fprintf(&b, "  method: %s\n", c.Method)
	_, err := io.WriteString(w, b.String())
	return err
}

func files(s bench.Side) string {
	names := clean(strings.Join(s.Files, " "))
	if names == "" {
		names = clean(s.URL)
	}
	return names
}

// value is one with its unit.
func value(unit string, v float64) string {
	switch unit {
	case "s":
		return spanOf(v)
	case "share":
		return percent(v)
	case "us":
		return digits(v) + " µs"
	case "1/s":
		return rate(v) + "/s"
	}
	return digits(v)
}

// estimate is a value with half of its interval, as a share.
func estimate(unit string, e bench.Estimate) string {
	s := value(unit, e.Value)
	if e.Value > 0 && e.High > e.Low {
		s += fmt.Sprintf(" ± %.1f %%", (e.High-e.Low)/2/e.Value*100)
	}
	return s
}

// change is the difference with its interval, in percent.
func change(m bench.Change) string {
	r := m.Ratio
	if r.Value == 0 {
		return "–"
	}
	s := signed(r.Value)
	if r.High > r.Low {
		s += fmt.Sprintf(" (%s to %s)", signed(r.Low), signed(r.High))
	}
	return s
}

func signed(ratio float64) string {
	p := (ratio - 1) * 100
	if math.Abs(p) >= 999.5 {
		return fmt.Sprintf("×%s", digits(ratio))
	}
	return fmt.Sprintf("%+.1f %%", p)
}

func probability(p float64) string {
	if p < .001 {
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

func left(s string, width int) string { return s + strings.Repeat(" ", max(width-len([]rune(s)), 1)) }
