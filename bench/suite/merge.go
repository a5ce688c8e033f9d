package suite

import (
	"fmt"
	"slices"
)

// Merge puts the works of b in place of those that a has, whole: ratios are of one
// run. Works in which penstock has no run that counts replace none. Notes tell of
// these, and of servers that a has figures of and b none.
func Merge(a, b *Result) (merged *Result, notes []string) {
	merged = &Result{Schema: Schema, Targets: inOrder(targetNames(), append(slices.Clone(a.Targets), b.Targets...))}
	taken := make(map[string]*Result)
	var names []string
	for _, r := range []*Result{a, b} {
		for _, e := range r.Works {
			good, _ := r.runs(e.Name, "penstock", Cost)
			if r == b && a.work(e.Name) != nil && len(good) == 0 {
				notes = append(notes, fmt.Sprintf("%s keeps its earlier runs: penstock has none in this one", e.Name))
				continue
			}
			if r == b && a.work(e.Name) != nil {
				notes = append(notes, lost(a, b, e.Name)...)
			}
			taken[e.Name] = r
			names = append(names, e.Name)
		}
	}
	for _, name := range inOrder(catalogue(), names) {
		r := taken[name]
		merged.Works = append(merged.Works, *r.work(name))
		for _, run := range r.Runs {
			if run.Work == name {
				merged.Runs = append(merged.Runs, run)
			}
		}
	}
	return merged, notes
}

// lost are the servers of a work that only a has.
func lost(a, b *Result, work string) (notes []string) {
	for _, t := range a.Targets {
		before, _ := a.runs(work, t, Cost)
		if now, void := b.runs(work, t, Cost); len(before) > 0 && len(now)+len(void) == 0 {
			notes = append(notes, fmt.Sprintf("%s has no runs of %s any more", work, t))
		}
	}
	return notes
}

func catalogue() (names []string) {
	for _, w := range Works() {
		names = append(names, w.Name)
	}
	return names
}

func targetNames() (names []string) {
	for _, t := range Targets() {
		names = append(names, t.Name)
	}
	return names
}

// inOrder are names, each once, in the order of those that are known; others follow.
func inOrder(known, names []string) (out []string) {
	for _, name := range slices.Concat(known, names) {
		if slices.Contains(names, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
