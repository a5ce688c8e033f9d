package suite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// section is a table of BENCHMARKS.md.
type section struct {
	name  string
	works func(Work) bool
}

var sections = []section{
	{"h1", func(w Work) bool { return w.Kind == Hello && w.Answer == 0 && w.Protocol == "h1" }},
	{"h2", func(w Work) bool { return w.Kind == Hello && w.Answer == 0 && w.Protocol == "h2" }},
	{"h3", func(w Work) bool { return w.Kind == Hello && w.Answer == 0 && w.Protocol == "h3" }},
	{"mix", func(w Work) bool { return w.Kind == Mix }},
	{"bodies", func(w Work) bool { return w.Kind == Hello && w.Answer > 0 }},
	{"static", func(w Work) bool { return w.Kind == Static }},
	{"proxy", func(w Work) bool { return w.Kind == Proxy }},
	{"idle", func(w Work) bool { return w.Kind == Idle }},
}

// Charts are the names of what Chart can draw.
func Charts() (names []string) {
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// Tables are the parts of BENCHMARKS.md that are made of r and of releases before
// it, by the name of their markers.
func (r *Result) Tables(releases []Release) map[string]string {
	out := map[string]string{"environment": r.environment(), "losses": r.losses(), "history": r.history(releases), "configs": configs()}
	for _, s := range sections {
		if t := r.table(s); t != "" {
			out[s.name] = t
			if r.chart(s) != "" {
				out[s.name] += fmt.Sprintf("\n![cost of each server](bench/charts/%s.svg)\n", s.name)
			}
		}
	}
	for name, t := range map[string]string{"latency": r.latencyTable(), "syscalls": r.syscallTable()} {
		if t != "" {
			out[name] = t
		}
	}
	return out
}

func (r *Result) table(s section) string {
	var works []Work
	for _, e := range r.Works {
		if s.works(e.Work) {
			works = append(works, e.Work)
		}
	}
	var targets []string
	for _, t := range r.Targets {
		if slices.ContainsFunc(works, func(w Work) bool { return r.Cell(w.Name, t) != nil }) {
			targets = append(targets, t)
		}
	}
	if len(works) == 0 || len(targets) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| Work | %s |\n|---%s|\n", strings.Join(targets, " | "), strings.Repeat("|---", len(targets)))
	for _, w := range works {
		fmt.Fprintf(&b, "| %s (`%s`)", w.Title, w.Name)
		for _, t := range targets {
			fmt.Fprintf(&b, " | %s", r.Cell(w.Name, t).text(t))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// text is a cell of a table: the median, its spread, and the ratio to penstock.
func (c *Cell) text(target string) string {
	switch {
	case c == nil:
		return "–"
	case c.Runs == 0:
		return "void"
	}
	text := fmt.Sprintf("%s ± %.0f %%", figures(c.Value), 100*c.Spread)
	if target != "penstock" && c.Ratio > 0 {
		text += fmt.Sprintf(" (%.2f)", c.Ratio)
	}
	if c.Busy {
		text += " *"
	}
	return text
}

var marker = regexp.MustCompile(`(?s)<!-- suite:([a-z0-9]+) -->\n.*?<!-- /suite -->`)

// Update puts the tables between the markers of a document:
//
//	<!-- suite:NAME -->
//	...
//	<!-- /suite -->
//
// Markers without a table stay as they are.
func (r *Result) Update(document string, releases []Release) string {
	tables := r.Tables(releases)
	return marker.ReplaceAllStringFunc(document, func(part string) string {
		name := marker.FindStringSubmatch(part)[1]
		text, ok := tables[name]
		if !ok {
			return part
		}
		return "<!-- suite:" + name + " -->\n" + text + "<!-- /suite -->"
	})
}
