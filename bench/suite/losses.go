package suite

import (
	"fmt"
	"strings"
)

// level is how much cheaper a server must be to be told as such: less is not seen
// again in the next run.
const level = .03

// losses are the works in which some server is cheaper than penstock: by more than
// the rounds of both differ, or by less.
func (r *Result) losses() string {
	var b strings.Builder
	for _, e := range r.Works {
		own := r.Cell(e.Name, "penstock")
		if own == nil || own.Runs == 0 {
			continue
		}
		var clear, within []string
		for _, t := range r.Targets {
			c := r.Cell(e.Name, t)
			if t == "penstock" || c == nil || c.Runs == 0 || c.Ratio <= 0 || c.Ratio > 1-level {
				continue
			}
			text := fmt.Sprintf("%s (%.2f)", t, c.Ratio)
			if 1-c.Ratio > own.Spread+c.Spread {
				clear = append(clear, text)
			} else {
				within = append(within, text)
			}
		}
		if len(clear)+len(within) > 0 {
			fmt.Fprintf(&b, "| %s (`%s`) | %s | %s |\n", e.Title, e.Name, orDash(clear), orDash(within))
		}
	}
	if b.Len() == 0 {
		return fmt.Sprintf("No server is cheaper than penstock by more than %.0f %% in any work.\n", 100*level)
	}
	return "| Work | cheaper by more than both rounds' spread | cheaper within it |\n|---|---|---|\n" + b.String()
}

func orDash(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return strings.Join(names, ", ")
}
