package suite

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// constructed is a result of known figures.
func constructed() *Result {
	m := Measured{
		Started: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC), Commit: "abc", Machine: "a processor", Kernel: "6.1", Go: "go1.26", Cores: 2, Rounds: 3, Seconds: 3,
		Load: .5, Versions: map[string]string{"penstock": "penstock 1", "nginx": "nginx/1 | x"}, Skipped: []string{"h2o"},
	}
	r := &Result{
		Schema: Schema, Targets: []string{"penstock", "nginx", "h2o"},
		Works: []Entry{{Work{Name: "h1", Title: "keep-alive", Kind: Hello, Protocol: "h1"}, m}, {Work{Name: "idle", Title: "idle", Kind: Idle, Protocol: "h1"}, m}},
	}
	for round, v := range []float64{4, 5, 4.4} {
		r.Runs = append(r.Runs,
			Run{Work: "h1", Target: "penstock", Round: round, Micros: v, Rate: 1000, P99: .001},
			Run{Work: "h1", Target: "nginx", Round: round, Micros: 2 * v, Rate: 900, GeneratorBusy: .95},
			Run{Work: "idle", Target: "penstock", Round: round, KiB: v / 4})
	}
	r.Runs = append(r.Runs, Run{Work: "idle", Target: "nginx", Error: "void: 1 failed"})
	return r
}

func TestCell(t *testing.T) {
	r := constructed()
	own, peer := r.Cell("h1", "penstock"), r.Cell("h1", "nginx")
	if own.Value != 4.4 || own.Runs != 3 || own.Busy || peer.Ratio != 2 || !peer.Busy {
		t.Errorf("%+v, %+v", own, peer)
	}
	if r.Cell("h1", "h2o") != nil {
		t.Error("a cell without runs")
	}
	if c := r.Cell("idle", "nginx"); c.Runs != 0 || c.Void != 1 || c.Error == "" {
		t.Errorf("%+v", c)
	}
}

func TestUpdate(t *testing.T) {
	const document = "before\n<!-- suite:h1 -->\nold\n<!-- /suite -->\nbetween\n<!-- suite:none -->\nkept\n<!-- /suite -->\n" +
		"<!-- suite:idle -->\n<!-- /suite -->\n<!-- suite:environment -->\n<!-- /suite -->\nafter\n"
	got := constructed().Update(document, nil)
	for _, want := range []string{
		"before\n<!-- suite:h1 -->\n| Work | penstock | nginx |\n|---|---|---|\n| keep-alive (`h1`) | 4.40 ± 11 % | 8.80 ± 11 % (2.00) * |\n\n![cost of each server](bench/charts/h1.svg)\n<!-- /suite -->\nbetween",
		"<!-- suite:none -->\nkept\n<!-- /suite -->", "| idle (`idle`) | 1.10 ± 11 % | void |", "| h2o | was not there |", "nginx/1 / x", "\nafter\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if again := constructed().Update(got, nil); again != got {
		t.Errorf("a second time it differs:\n%s", again)
	}
}

func TestJudge(t *testing.T) {
	a, b := constructed(), constructed()
	if got := Judge(a, b); !strings.Contains(got, "no difference within the noise") {
		t.Error(got)
	}
	for i := range b.Runs {
		b.Runs[i].Micros *= 2
	}
	if got := Judge(a, b); !strings.Contains(got, "+100.0%  dearer") {
		t.Error(got)
	}
	if got := Judge(b, a); !strings.Contains(got, "-50.0%  cheaper") {
		t.Error(got)
	}
}

func TestChart(t *testing.T) {
	r := constructed()
	if got := r.Chart("h1"); strings.Count(got, "<rect") != 2 || !strings.Contains(got, "</svg>") {
		t.Error(got)
	}
	if got := r.Chart("proxy") + r.Chart("nonsense"); got != "" {
		t.Error(got)
	}
}

func TestReadWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := constructed().Write(path); err != nil {
		t.Fatal(err)
	}
	r, err := Read(path)
	if err != nil || len(r.Runs) != len(constructed().Runs) {
		t.Fatalf("%v, %+v", err, r)
	}
	for text, want := range map[string]string{`{"schema": 99}`: "schema 99", `{`: "unexpected end"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSelect(t *testing.T) {
	works, err := SelectWorks("p,h1")
	if err != nil || len(works) != 2 || works[0].Name != "p" {
		t.Errorf("%v, %v", works, err)
	}
	if _, err := SelectWorks("h9"); err == nil {
		t.Error("there is no such work")
	}
	targets, err := SelectTargets("nginx,penstock,h2o")
	if err != nil || len(targets) != 3 || targets[0].Name != "penstock" || targets[2].Name != "h2o" {
		t.Errorf("%v, %v", targets, err)
	}
	if _, err := SelectTargets("iis"); err == nil {
		t.Error("there is no such server")
	}
	if all, err := SelectTargets(""); err != nil || len(all) != len(Targets()) {
		t.Errorf("%v, %v", all, err)
	}
}

// The tables of BENCHMARKS.md are those of the committed runs.
func TestBenchmarksAreGenerated(t *testing.T) {
	const results = "../results/latest.json"
	r, err := Read(results)
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../BENCHMARKS.md")
	if err != nil {
		t.Fatal(err)
	}
	releases, err := Releases("../results")
	if err != nil {
		t.Fatal(err)
	}
	if r.Update(string(document), releases) != string(document) {
		t.Error("BENCHMARKS.md differs; go run ./bench/suite/cmd/suite -from bench/results/latest.json -update BENCHMARKS.md")
	}
	if !strings.Contains(string(document), "<!-- suite:h1 -->") {
		t.Error("BENCHMARKS.md has no markers")
	}
}

// A configuration that is JSON is told to be wrong here, not by the server.
func TestCaddyConfiguration(t *testing.T) {
	for _, w := range Works() {
		l := startCaddy(&place{dir: "/site", binary: "caddy", work: w, clear: 8080, tls: 8443, origin: 8000})
		if l == nil || len(l.files) != 1 {
			t.Fatalf("%s: %+v", w.Name, l)
		}
		var conf struct {
			Apps struct {
				HTTP struct {
					Servers map[string]struct {
						Listen, Protocols []string
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(l.files[0].text), &conf); err != nil {
			t.Fatalf("%s: %v", w.Name, err)
		}
		servers := conf.Apps.HTTP.Servers
		if got, want := slices.Contains(servers["secure"].Protocols, "h3"), w.Protocol == "h3"; got != want || servers["clear"].Listen[0] != "127.0.0.1:8080" {
			t.Errorf("%s: %+v", w.Name, servers)
		}
	}
}
