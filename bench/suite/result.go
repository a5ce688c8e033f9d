package suite

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Schema is the version of Result's JSON form.
const Schema = 1

// Result is a run of the suite. The tables of BENCHMARKS.md are made of it.
type Result struct {
	Schema   int               `json:"schema"`
	Started  time.Time         `json:"started"`
	Commit   string            `json:"commit"`
	Machine  string            `json:"machine"`
	Kernel   string            `json:"kernel"`
	Go       string            `json:"go"`
	Cores    int               `json:"cores"`
	Load     float64           `json:"load_average"` // at the begin
	Seconds  float64           `json:"seconds"`      // of each run
	Rounds   int               `json:"rounds"`
	Versions map[string]string `json:"versions"`
	Skipped  []string          `json:"skipped,omitempty"`
	Works    []Work            `json:"works"`
	Targets  []string          `json:"targets"`
	Runs     []Run             `json:"runs"`
}

func (s *Suite) newResult() *Result {
	r := &Result{
		Schema: Schema, Started: time.Now().UTC().Truncate(time.Second), Commit: commitOf(s.Root), Go: runtime.Version(), Cores: runtime.NumCPU(),
		Seconds: s.Duration.Seconds(), Rounds: s.Rounds, Versions: make(map[string]string), Works: s.Works,
	}
	r.Machine, r.Kernel, r.Load = machine()
	for _, t := range s.Targets {
		r.Targets = append(r.Targets, t.Name)
	}
	return r
}

func commitOf(root string) string {
	cmd := exec.Command("git", "describe", "--always", "--dirty")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// machine tells of the processor, the kernel and the load, where /proc does.
func machine() (cpu, kernel string, load float64) {
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			first, _, _ := strings.Cut(rest, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(first, "\t :"))
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &load) // 0 where it is no number
	}
	return cpu, kernel, load
}

// Read reads a result that Write has written.
func Read(path string) (*Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Result)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s: schema %d, this suite reads %d", path, r.Schema, Schema)
	}
	return r, nil
}

// Write writes the result as JSON.
func (r *Result) Write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Cell is what a target has shown in a work.
type Cell struct {
	// Value is the median: microseconds of CPU by request, or KiB by connection.
	Value float64
	// Spread is half of the range of the middle half of the runs, by the median.
	Spread float64
	Rate   float64 // median
	P99    float64 // median, seconds
	// Ratio is the median of the rounds' own ratios, its value by penstock's.
	Ratio float64
	// Busy: the generator was the limit in half of the runs or more.
	Busy  bool
	Runs  int
	Void  int
	Error string // of the first that is void
}

// Cell puts a target's runs of a work together; nil: there are none.
func (r *Result) Cell(work, target string) *Cell {
	var values, rates, tails, ratios []float64
	c, busy := &Cell{}, 0
	for _, run := range r.Runs {
		if run.Work != work || run.Target != target {
			continue
		}
		if run.Error != "" {
			if c.Void++; c.Error == "" {
				c.Error = run.Error
			}
			continue
		}
		values, rates, tails = append(values, run.value()), append(rates, run.Rate), append(tails, run.P99)
		if own := r.penstock(work, run.Round); own > 0 {
			ratios = append(ratios, run.value()/own)
		}
		if run.GeneratorBusy > .9 {
			busy++
		}
	}
	c.Runs = len(values)
	if c.Runs+c.Void == 0 {
		return nil
	}
	c.Value, c.Rate, c.P99, c.Ratio = Median(values), Median(rates), Median(tails), Median(ratios)
	c.Busy = busy*2 >= max(1, c.Runs)
	if c.Value > 0 {
		slices.Sort(values)
		n := len(values)
		c.Spread = (values[n*3/4] - values[n/4]) / 2 / c.Value
	}
	return c
}

func (run *Run) value() float64 {
	if run.KiB != 0 {
		return run.KiB
	}
	return run.Micros
}

// penstock is its value in a round of a work; 0: none.
func (r *Result) penstock(work string, round int) float64 {
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Work == work && run.Round == round && run.Target == "penstock" && run.Error == "" {
			return run.value()
		}
	}
	return 0
}

// Median of v; 0 without any.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	switch n := len(s); {
	case n == 0:
		return 0
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

// line tells of a work in one line.
func (r *Result) line(w Work) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s", w.Name)
	for _, t := range r.Targets {
		c := r.Cell(w.Name, t)
		switch {
		case c == nil:
		case c.Runs == 0:
			fmt.Fprintf(&b, "  %s VOID (%s)", t, c.Error)
		case t == "penstock":
			fmt.Fprintf(&b, "  %s %s %s", t, figures(c.Value), unitOf(w))
		default:
			fmt.Fprintf(&b, "  %s %s (%.2f)", t, figures(c.Value), c.Ratio)
		}
	}
	return b.String()
}

func unitOf(w Work) string {
	if w.Kind == Idle {
		return "KiB"
	}
	return "us"
}

// figures is v with three significant digits.
func figures(v float64) string {
	if v <= 0 {
		return "0"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(v))))
	return fmt.Sprintf("%.*f", digits, v)
}
