package suite

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Release is the result that a release was published with.
type Release struct {
	Name   string // its version, as v0.5.0
	Result *Result
}

// Releases are those of a folder's files v*.json, the oldest first.
func Releases(folder string) ([]Release, error) {
	files, err := filepath.Glob(filepath.Join(folder, "v*.json"))
	if err != nil {
		return nil, err
	}
	var all []Release
	for _, f := range files {
		r, err := Read(f)
		if err != nil {
			return nil, err
		}
		all = append(all, Release{strings.TrimSuffix(filepath.Base(f), ".json"), r})
	}
	slices.SortFunc(all, func(a, b Release) int { return compareVersions(a.Name, b.Name) })
	return all, nil
}

// compareVersions orders by numbers; a version with a suffix (-rc1) comes before it
// without.
func compareVersions(a, b string) int {
	x, xs, _ := strings.Cut(strings.TrimPrefix(a, "v"), "-")
	y, ys, _ := strings.Cut(strings.TrimPrefix(b, "v"), "-")
	if c := slices.CompareFunc(strings.Split(x, "."), strings.Split(y, "."), func(m, n string) int {
		i, _ := strconv.Atoi(m) // 0 where it is no number
		j, _ := strconv.Atoi(n)
		return cmp.Compare(i, j)
	}); c != 0 {
		return c
	}
	switch {
	case xs == "" && ys != "":
		return 1
	case xs != "" && ys == "":
		return -1
	}
	return strings.Compare(xs, ys)
}

// historyPeer is the server that stands beside penstock in the history: releases are
// measured on different machines, of which only ratios tell.
const historyPeer = "nginx"

// history has penstock's cost of each work by release, and now.
func (r *Result) history(releases []Release) string {
	if len(releases) == 0 {
		return "No release has been measured yet. A release's result is `bench/results/vX.Y.Z.json`, a copy of `latest.json`; it becomes a column here.\n"
	}
	columns := append(slices.Clone(releases), Release{"now", r})
	var b strings.Builder
	b.WriteString("| Work |")
	for _, c := range columns {
		b.WriteString(" " + c.Name + " |")
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(columns)) + "|\n")
	var names []string
	for _, c := range columns {
		for _, e := range c.Result.Works {
			names = append(names, e.Name)
		}
	}
	for _, name := range inOrder(catalogue(), names) {
		fmt.Fprintf(&b, "| `%s`", name)
		for _, c := range columns {
			b.WriteString(" | " + c.Result.past(name))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// past is a cell of the history.
func (r *Result) past(work string) string {
	own := r.Cell(work, "penstock")
	if own == nil || own.Runs == 0 {
		return "–"
	}
	text := figures(own.Value)
	if e := r.work(work); e.Kind == Idle {
		text += " KiB"
	}
	if peer := r.Cell(work, historyPeer); peer != nil && peer.Ratio > 0 {
		text += fmt.Sprintf(" (%.2f)", peer.Ratio)
	}
	return text
}

// Freeze copies a result to that of a release, once.
func Freeze(folder, version string, r *Result) error {
	if !strings.HasPrefix(version, "v") || strings.ContainsAny(version, "/\\") {
		return fmt.Errorf("version %q: write it as v0.5.0", version)
	}
	path := filepath.Join(folder, version+".json")
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s is there already: a release has one result", path)
	}
	return r.Write(path)
}
