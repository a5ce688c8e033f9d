package suite

import (
	"fmt"
	"html"
	"strings"
)

// Chart draws a section: for each work a bar for each server, as long as what it
// costs by penstock. empty: there is nothing to draw.
func (r *Result) Chart(name string) string {
	for _, s := range sections {
		if s.name == name {
			return r.chart(s)
		}
	}
	return ""
}

const (
	chartWidth  = 760
	barHeight   = 16
	labelWidth  = 90
	barsWidth   = 470
	mostTimes   = 6.0 // longer bars are cut
	chartStyles = `text{font:12px system-ui,sans-serif;fill:#222}.t{font-weight:600}.p{fill:#0a7d5a}.o{fill:#9aa7b4}@media(prefers-color-scheme:dark){text{fill:#ddd}.p{fill:#2fc492}.o{fill:#67727e}}`
)

func (r *Result) chart(s section) string {
	var b strings.Builder
	y := 8
	for _, e := range r.Works {
		w := e.Work
		own := r.Cell(w.Name, "penstock")
		if !s.works(w) || own == nil || own.Value == 0 {
			continue
		}
		fmt.Fprintf(&b, `<text class="t" x="0" y="%d">%s</text>`+"\n", y+12, html.EscapeString(w.Title))
		y += barHeight + 4
		for _, t := range r.Targets {
			c := r.Cell(w.Name, t)
			if c == nil || c.Runs == 0 {
				continue
			}
			times, class := c.Value/own.Value, "o"
			if t == "penstock" {
				class = "p"
			}
			length := min(times, mostTimes) / mostTimes * barsWidth
			cut := ""
			if times > mostTimes {
				cut = " …"
			}
			fmt.Fprintf(&b, `<text x="0" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/><text x="%.1f" y="%d">%s %s%s</text>`+"\n",
				y+12, t, class, labelWidth, y, length, barHeight-3, labelWidth+length+6, y+12, figures(c.Value), unitOf(w), cut)
			y += barHeight
		}
		y += 12
	}
	if b.Len() == 0 {
		return ""
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="cost of each server, less is better"><style>%s</style>`+"\n%s</svg>\n",
		chartWidth, y, chartStyles, b.String())
}
