package suite

import (
	"fmt"
	"strings"
)

// Judge compares penstock's figures of b with those of a, work by work. A
// difference within what the rounds of both differ by is none.
func Judge(a, b *Result) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-9s %12s %12s %9s\n", "", "before", "now", "change")
	for _, e := range b.Works {
		w := e.Work
		old, now := a.Cell(w.Name, "penstock"), b.Cell(w.Name, "penstock")
		if old == nil || now == nil || old.Value == 0 || now.Runs == 0 {
			continue
		}
		change := now.Value/old.Value - 1
		noise := old.Spread + now.Spread
		verdict := "no difference within the noise"
		switch {
		case old.Runs < 3 || now.Runs < 3:
			verdict = "too few rounds to judge"
		case change > noise:
			verdict = "dearer"
		case change < -noise:
			verdict = "cheaper"
		}
		fmt.Fprintf(&out, "%-9s %9s %s %9s %s %+8.1f%%  %s (noise %.1f %%)\n", w.Name, figures(old.Value), unitOf(w), figures(now.Value), unitOf(w), 100*change, verdict, 100*noise)
	}
	return out.String()
}
