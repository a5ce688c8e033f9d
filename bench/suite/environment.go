package suite

import (
	"fmt"
	"slices"
	"strings"
)

// environment tells where and when the works were measured, and of which servers.
func (r *Result) environment() string {
	var b strings.Builder
	b.WriteString("| Works | Commit | When | Where | Rounds | Load average |\n|---|---|---|---|---|---|\n")
	for _, g := range r.groups() {
		m := g.measured
		load := fmt.Sprintf("%.2f", g.low)
		if g.high > g.low {
			load += fmt.Sprintf(" to %.2f", g.high)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s, %d cores, Linux %s, %s | %d of %g s | %s |\n", strings.Join(g.works, " "), m.Commit, m.Started.Format("2006-01-02"),
			strings.ReplaceAll(m.Machine, "|", "/"), m.Cores, m.Kernel, m.Go, m.Rounds, m.Seconds, load)
	}
	b.WriteString("\n| Server | Version |\n|---|---|\n")
	for _, t := range r.Targets {
		versions, skipped := r.versions(t)
		switch {
		case len(versions) > 0:
			fmt.Fprintf(&b, "| %s | %s |\n", t, strings.Join(versions, "; "))
		case skipped:
			fmt.Fprintf(&b, "| %s | was not there |\n", t)
		}
	}
	if lines := r.security(); lines != "" {
		b.WriteString("\n" + lines)
	}
	return b.String()
}

// group are works that were measured alike.
type group struct {
	works     []string
	measured  Measured
	low, high float64 // load
}

func (r *Result) groups() (all []*group) {
	for _, e := range r.Works {
		m := e.Measured
		i := slices.IndexFunc(all, func(g *group) bool { return alike(g.measured, m) })
		if i < 0 {
			all = append(all, &group{[]string{e.Name}, m, m.Load, m.Load})
			continue
		}
		g := all[i]
		g.works, g.low, g.high = append(g.works, e.Name), min(g.low, m.Load), max(g.high, m.Load)
	}
	return all
}

// alike tells whether two works stand in one row: only their loads differ.
func alike(a, b Measured) bool {
	return a.Commit == b.Commit && a.Started.Format("2006-01-02") == b.Started.Format("2006-01-02") && a.Machine == b.Machine && a.Kernel == b.Kernel &&
		a.Go == b.Go && a.Cores == b.Cores && a.Rounds == b.Rounds && a.Seconds == b.Seconds
}

// versions are those that a target had in the works, each once.
func (r *Result) versions(target string) (versions []string, skipped bool) {
	for _, e := range r.Works {
		v, ok := e.Measured.Versions[target]
		v = strings.ReplaceAll(v, "|", "/")
		if ok && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
		skipped = skipped || slices.Contains(e.Measured.Skipped, target)
	}
	return versions, skipped
}

// security tells what was negotiated over TLS: with all, or with whom else.
func (r *Result) security() string {
	with := make(map[string][]string) // targets
	for _, run := range r.Runs {
		if run.TLS != "" && !slices.Contains(with[run.TLS], run.Target) {
			with[run.TLS] = append(with[run.TLS], run.Target)
		}
	}
	var lines []string
	for what, targets := range with {
		lines = append(lines, fmt.Sprintf("%s with %s", what, strings.Join(targets, ", ")))
	}
	if len(lines) == 0 {
		return ""
	}
	slices.Sort(lines)
	return "Negotiated over TLS: " + strings.Join(lines, "; ") + ".\n"
}
