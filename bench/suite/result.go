package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// Schema is the version of Result's JSON form. Read takes the one before too.
const Schema = 2

// Result are runs of the suite. The tables of BENCHMARKS.md are made of it.
type Result struct {
	Schema  int      `json:"schema"`
	Targets []string `json:"targets"` // in the order of the tables' columns
	Works   []Entry  `json:"works"`   // in the order of their rows
	Runs    []Run    `json:"runs"`
}

// Entry is a work with when and where it was measured.
type Entry struct {
	Work
	Measured Measured `json:"measured"`
}

// Measured is when, where and of what a work's runs are.
type Measured struct {
	Started time.Time `json:"started"`
	Commit  string    `json:"commit"`
	Machine string    `json:"machine"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	Cores   int       `json:"cores"`
	Load    float64   `json:"load_average"` // of one minute, when the work began
	Seconds float64   `json:"seconds"`      // of each run
	Rounds  int       `json:"rounds"`
	// Origin is the server behind proxies.
	Origin   string            `json:"origin,omitempty"`
	Versions map[string]string `json:"versions"`
	// Skipped are targets that were not there.
	Skipped []string `json:"skipped,omitempty"`
}

// Measure is what a run was made for.
type Measure string

// Measures.
const (
	Cost     Measure = ""         // CPU by request, closed loop; memory of idle connections
	Latency  Measure = "latency"  // at a fixed rate
	Syscalls Measure = "syscalls" // by request
)

// Run is one measured run.
type Run struct {
	Work    string  `json:"work"`
	Target  string  `json:"target"`
	Round   int     `json:"round"`
	Measure Measure `json:"measure,omitempty"`
	// Error is why it is void. Slow: because of time alone, which is no fault.
	Error string `json:"error,omitempty"`
	Slow  bool   `json:"slow,omitempty"`
	// Micros is the server's CPU time by request, in microseconds.
	Micros float64 `json:"micros,omitempty"`
	// KiB is memory by idle connection.
	KiB float64 `json:"kib,omitempty"`
	// Rate that was reached, and the one that was Offered (open loop).
	Rate    float64 `json:"rate,omitempty"`
	Offered float64 `json:"offered,omitempty"`
	// Latencies in seconds, open loop from the intended start. Lag is the p99 of
	// how late the generator itself was.
	P50  float64 `json:"p50,omitempty"`
	P98  float64 `json:"p98,omitempty"`
	P99  float64 `json:"p99,omitempty"`
	P999 float64 `json:"p999,omitempty"`
	Lag  float64 `json:"lag,omitempty"`
	// Calls are system calls by request, by name and in all ("all"), and Tool what
	// counted them.
	Calls map[string]float64 `json:"calls,omitempty"`
	Tool  string             `json:"tool,omitempty"`
	// ServerBusy and GeneratorBusy are shares of their cores.
	ServerBusy    float64 `json:"server_busy,omitempty"`
	GeneratorBusy float64 `json:"generator_busy,omitempty"`
	// TLS is what was negotiated: version, cipher suite, key exchange.
	TLS string `json:"tls,omitempty"`
}

func (s *Suite) newMeasured() Measured {
	m := Measured{
		Commit: commitOf(s.Root), Go: runtime.Version(), Cores: runtime.NumCPU(), Seconds: s.Duration.Seconds(), Versions: make(map[string]string),
	}
	m.Machine, m.Kernel, _ = machine()
	return m
}

// Read reads a result that Write has written.
func Read(path string) (*Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var old resultV1
	if err := json.Unmarshal(b, &old); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch old.Schema {
	case 1:
		return old.upgrade(), nil
	case Schema:
		r := new(Result)
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return r, nil
	}
	return nil, fmt.Errorf("%s: schema %d, this suite reads 1 and %d", path, old.Schema, Schema)
}

// resultV1 had one time and place for all works.
type resultV1 struct {
	Measured
	Schema  int      `json:"schema"`
	Works   []Work   `json:"works"`
	Targets []string `json:"targets"`
	Runs    []Run    `json:"runs"`
}

func (o *resultV1) upgrade() *Result {
	r := &Result{Schema: Schema, Targets: o.Targets, Runs: o.Runs}
	for _, w := range o.Works {
		r.Works = append(r.Works, Entry{w, o.Measured})
	}
	return r
}

// Write writes the result as JSON.
func (r *Result) Write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Faults are runs of penstock that are void because something failed, and not by
// time alone.
func (r *Result) Faults() (faults []string) {
	for _, run := range r.Runs {
		if run.Target == "penstock" && run.Error != "" && !run.Slow {
			faults = append(faults, fmt.Sprintf("%s: %s", run.Work, run.Error))
		}
	}
	return faults
}

// runs are those of a work by a target for one measure that are not void.
func (r *Result) runs(work, target string, m Measure) (good []Run, void []Run) {
	for _, run := range r.Runs {
		switch {
		case run.Work != work || run.Target != target || run.Measure != m:
		case run.Error != "":
			void = append(void, run)
		default:
			good = append(good, run)
		}
	}
	return good, void
}

// work is the entry of that name; nil: there is none.
func (r *Result) work(name string) *Entry {
	if i := slices.IndexFunc(r.Works, func(e Entry) bool { return e.Name == name }); i >= 0 {
		return &r.Works[i]
	}
	return nil
}

// drop takes a work out.
func (r *Result) drop(work string) {
	r.Works = slices.DeleteFunc(r.Works, func(e Entry) bool { return e.Name == work })
	r.Runs = slices.DeleteFunc(r.Runs, func(run Run) bool { return run.Work == work })
}
