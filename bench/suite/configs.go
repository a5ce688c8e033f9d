package suite

import (
	"fmt"
	"slices"
	"strings"
)

// shown are the works by which configurations are shown: one of each kind.
var shown = []struct{ title, work string }{
	{"answers of its own", "h2m32"},
	{"files", "s1kh2"},
	{"reverse proxy", "p_h2m32"},
	{"every hundredth sleeps", "mixh2"},
	{"HTTP/3", "h3m32"},
	{"64 KiB of its own", "b64kh2"},
}

// configs shows how each server is started, by what starts it in a run, with names
// in place of what differs between runs.
func configs() string {
	works := Works()
	var b strings.Builder
	for _, t := range Targets() {
		fmt.Fprintf(&b, "<details><summary>%s</summary>\n", t.Name)
		var seen shownBefore
		for _, s := range shown {
			w := works[slices.IndexFunc(works, func(w Work) bool { return w.Name == s.work })]
			if t.Name == "fasthttp" { // HTTP/1.1 alone
				w.Protocol, w.TLS = "h1", false
				if s.work == "h3m32" {
					continue
				}
			}
			l := t.start(&place{dir: "SITE", binary: t.Name, work: w, clear: 8080, tls: 8443, origin: 8000, workers: 1})
			if l == nil {
				continue
			}
			b.WriteString(l.show(s.title, &seen))
		}
		b.WriteString("\n</details>\n")
	}
	b.WriteString("<details><summary>the origin of proxies, on the generator's core</summary>\n")
	b.WriteString(nginxOrigin("SITE", "nginx", 8000).show("nginx", new(shownBefore)))
	b.WriteString("\n</details>\n<details><summary>the generator, work by work</summary>\n\n```sh\n")
	for _, w := range works {
		if w.Kind != Idle {
			p := &place{dir: "SITE", work: w, clear: 8080, tls: 8443}
			fmt.Fprintf(&b, "%s: penstock %s\n", w.Name, strings.Join(loadArguments(p, loadOptions{}), " "))
		}
	}
	b.WriteString("```\n\n</details>\n")
	return b.String()
}

// shownBefore is what stands there already of a server.
type shownBefore struct {
	command string
	lines   []string // of its first file
}

// show tells a launch; of its files, once one was shown, the lines that differ.
func (l *launch) show(title string, seen *shownBefore) string {
	var b strings.Builder
	command := strings.Join(append(slices.Clone(l.env), quoted(l.args)...), " ")
	fmt.Fprintf(&b, "\n%s:\n", title)
	if command != seen.command {
		seen.command = command
		fmt.Fprintf(&b, "\n```sh\n%s\n```\n", command)
	}
	for _, f := range l.files {
		var lines []string
		for line := range strings.Lines(strings.TrimSpace(f.text)) {
			lines = append(lines, strings.TrimRight(line, " \n"))
		}
		what := f.name
		if len(seen.lines) > 0 {
			lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(seen.lines, line) })
			what += ", its other lines"
		} else {
			seen.lines = slices.Clone(lines)
		}
		for i, line := range lines {
			if len(line) > longest {
				lines[i] = line[:longest] + " …"
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n\n```\n%s\n```\n", what, strings.Join(lines, "\n"))
		}
	}
	return b.String()
}

// longest line of a configuration that is shown whole: bodies are longer.
const longest = 400

// quoted are arguments as a shell takes them.
func quoted(args []string) (out []string) {
	for _, a := range args {
		if strings.ContainsAny(a, " !") {
			a = "'" + a + "'"
		}
		out = append(out, a)
	}
	return out
}
