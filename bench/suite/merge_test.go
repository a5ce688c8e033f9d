package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMerge(t *testing.T) {
	a, b := constructed(), constructed()
	b.drop("idle")
	b.Targets = []string{"penstock", "haproxy", "h2o"}
	b.Works = append(b.Works, Entry{Work{Name: "p", Kind: Proxy}, Measured{Commit: "new"}})
	b.Works[0].Measured.Commit = "new"
	for i := range b.Runs {
		if b.Runs[i].Micros *= 3; b.Runs[i].Target == "nginx" {
			b.Runs[i].Target = "haproxy"
		}
	}
	b.Runs = append(b.Runs, Run{Work: "p", Target: "penstock", Micros: 9})
	m, notes := Merge(a, b)
	if got := strings.Join(m.Targets, " "); got != "penstock nginx h2o haproxy" {
		t.Errorf("targets %s", got)
	}
	if got := strings.Join(names(m), " "); got != "h1 p idle" {
		t.Errorf("works %s", got)
	}
	if m.work("h1").Measured.Commit != "new" || m.work("idle").Measured.Commit != "abc" || m.work("p").Measured.Commit != "new" {
		t.Errorf("%+v", m.Works)
	}
	if own := m.Cell("h1", "penstock"); own.Runs != 3 || !near(own.Value, 13.2) || m.Cell("h1", "nginx") != nil || m.Cell("h1", "haproxy").Runs != 3 || m.Cell("idle", "penstock").Runs != 3 {
		t.Errorf("%+v", m.Runs)
	}
	if len(notes) != 1 || notes[0] != "h1 has no runs of nginx any more" {
		t.Errorf("%q", notes)
	}
	if got, notes := Merge(new(Result), a); len(notes) > 0 || len(got.Runs) != len(a.Runs) {
		t.Errorf("into nothing: %q, %d runs", notes, len(got.Runs))
	}
}

// A work that failed does not replace one that counted.
func TestMergeVoid(t *testing.T) {
	a, b := constructed(), constructed()
	for i := range b.Runs {
		b.Runs[i].Error, b.Runs[i].Slow = "late", true
	}
	m, notes := Merge(a, b)
	if m.Cell("h1", "penstock").Runs != 3 || len(notes) != 2 || !strings.Contains(notes[0], "h1 keeps its earlier runs") {
		t.Errorf("%q, %+v", notes, m.Runs)
	}
	if faults := b.Faults(); len(faults) != 0 {
		t.Errorf("slow is no fault: %q", faults)
	}
	b.Runs[0].Slow = false
	if faults := b.Faults(); len(faults) != 1 || faults[0] != "h1: late" {
		t.Errorf("%q", faults)
	}
}

func names(r *Result) (names []string) {
	for _, e := range r.Works {
		names = append(names, e.Name)
	}
	return names
}

func near(a, b float64) bool { return max(a, b)-min(a, b) < 1e-9 }

func TestReleases(t *testing.T) {
	folder := t.TempDir()
	for _, v := range []string{"v0.10.0", "v0.9.0", "v0.10.0-rc1", "v0.9.1"} {
		if err := Freeze(folder, v, constructed()); err != nil {
			t.Fatal(err)
		}
	}
	if err := constructed().Write(filepath.Join(folder, "latest.json")); err != nil {
		t.Fatal(err)
	}
	for v, want := range map[string]string{"v0.9.0": "is there already", "0.9.0": "write it as", "v/../x": "write it as"} {
		if err := Freeze(folder, v, constructed()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", v, err)
		}
	}
	all, err := Releases(folder)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, r := range all {
		order = append(order, r.Name)
	}
	if got := strings.Join(order, " "); got != "v0.9.0 v0.9.1 v0.10.0-rc1 v0.10.0" {
		t.Error(got)
	}
	now := constructed()
	now.drop("idle")
	got := now.history(all[:1])
	for _, want := range []string{"| Work | v0.9.0 | now |\n|---|---|---|\n", "| `h1` | 4.40 (2.00) | 4.40 (2.00) |\n", "| `idle` | 1.10 KiB | – |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "v1.0.0.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Releases(folder); err == nil {
		t.Error("a release that cannot be read")
	}
}

// The form before had one time for all works.
func TestReadOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	const old = `{"schema":1,"started":"2026-11-26T10:00:00Z","commit":"abc","rounds":3,"seconds":1,"versions":{"penstock":"1"},
		"works":[{"name":"h1","kind":"hello"},{"name":"p","kind":"proxy"}],"targets":["penstock"],"runs":[{"work":"h1","target":"penstock","round":0,"micros":4}]}`
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if e := r.work("p"); r.Schema != Schema || e == nil || e.Measured.Commit != "abc" || e.Measured.Rounds != 3 || e.Measured.Versions["penstock"] != "1" || r.Cell("h1", "penstock").Value != 4 {
		t.Errorf("%+v", r)
	}
}

// Each work is told apart by its name, and its files are in the site.
func TestWorks(t *testing.T) {
	s, err := newSite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, w := range Works() {
		if slices.Contains(seen, w.Name) || w.Title == "" || w.Connections == 0 || w.Streams == 0 {
			t.Errorf("%+v", w)
		}
		seen = append(seen, w.Name)
		if w.Kind == Static || w.Answer > 0 {
			if info, err := os.Stat(s.path("www" + w.Path)); err != nil || info.Size() != int64(w.answer()) {
				t.Errorf("%s: %v, want a file of %d bytes", w.Name, err, w.answer())
			}
		}
		if w.Body > 0 {
			if info, err := os.Stat(s.path(postFile(w.Body))); err != nil || info.Size() != int64(w.Body) {
				t.Errorf("%s: %v, want a body of %d bytes", w.Name, err, w.Body)
			}
		}
	}
}

func TestLosses(t *testing.T) {
	r := constructed()
	if got := r.losses(); got != "No server is cheaper than penstock by more than 3 % in any work.\n" {
		t.Error(got)
	}
	for round := range 3 {
		r.Runs = append(r.Runs, Run{Work: "h1", Target: "h2o", Round: round, Micros: 2}, Run{Work: "h1", Target: "caddy", Round: round, Micros: 4})
	}
	r.Targets = append(r.Targets, "caddy")
	if got := r.losses(); !strings.Contains(got, "| keep-alive (`h1`) | h2o (0.45) | caddy (0.91) |\n") || strings.Contains(got, "idle") || strings.Contains(got, "nginx") {
		t.Error(got)
	}
}
