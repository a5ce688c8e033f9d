package bench

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

const ten = 10 * time.Millisecond

func verdictOf(t *testing.T, c *Comparison, metric string) Verdict {
	t.Helper()
	i := slices.IndexFunc(c.Metrics, func(m Change) bool { return m.Name == metric })
	if i < 0 {
		t.Fatalf("no %s in %+v", metric, c.Metrics)
	}
	return c.Metrics[i].Verdict
}

// several are runs that differ among themselves by between (a share).
func several(seed uint64, n int, rate float64, median time.Duration, between float64) (runs []*Result) {
	for i := range n {
		off := 1 + between*float64(i-n/2)/float64(n)
		runs = append(runs, constructed(seed+uint64(i), 10, rate*off, time.Duration(float64(median)/off), .02))
	}
	return runs
}

func TestCompare(t *testing.T) {
	one := func(seed uint64, rate float64, median time.Duration, noise float64) []*Result {
		return []*Result{constructed(seed, 10, rate, median, noise)}
	}
	for _, test := range []struct {
		name    string
		a, b    []*Result
		verdict Verdict
		rate    Verdict
		p50     Verdict
	}{
		{"one run, twice as fast", one(1, 1000, ten, .02), one(2, 2000, ten/2, .02), Faster, Better, Better},
		{"one run, a tenth slower", one(1, 1000, ten, .01), one(2, 900, ten*10/9, .01), Slower, Worse, Worse},
		{"one run, the same", one(1, 1000, ten, .02), one(2, 1000, ten, .02), Same, Same, Same},
		{"one run, less than runs differ by", one(1, 1000, ten, .001), one(2, 1030, ten, .001), Same, Same, Same},
		{"one run, a difference within its noise", one(1, 1000, ten, .3), one(9, 1070, ten, .3), Same, Same, Same},
		{"many runs, 4 % apart", several(1, 8, 1000, ten, .01), several(20, 8, 1040, ten*100/104, .01), Faster, Better, Better},
		{"many runs, 4 % apart among 20 %", several(1, 8, 1000, ten, .2), several(20, 8, 1040, ten, .2), Same, Same, Same},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Compare(test.a, test.b)
			if err != nil {
				t.Fatal(err)
			}
			if c.Verdict != test.verdict || verdictOf(t, c, "rate") != test.rate || verdictOf(t, c, "p50") != test.p50 {
				t.Errorf("verdict %q, rate %q, p50 %q: %+v", c.Verdict, verdictOf(t, c, "rate"), verdictOf(t, c, "p50"), c.Metrics)
			}
			for _, m := range c.Metrics {
				if m.A.Low > m.A.Value || m.A.High < m.A.Value || m.Ratio.Low > m.Ratio.Value || m.Ratio.High < m.Ratio.Value {
					t.Errorf("%s is not within its interval: %+v", m.Name, m)
				}
			}
			back, err := Compare(test.b, test.a)
			opposite := map[Verdict]Verdict{Faster: Slower, Slower: Faster, Same: Same}
			if err != nil || back.Verdict != opposite[c.Verdict] {
				t.Errorf("the other way round: %v, %v", back.Verdict, err)
			}
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("as JSON: %v", err)
			}
		})
	}
}

// An open loop has the rate that was asked for: its latencies are the verdict.
func TestCompareOpenLoop(t *testing.T) {
	a, b := constructed(1, 10, 1000, ten, .01), constructed(2, 10, 1000, 2*ten, .01)
	a.Load.Mode, b.Load.Mode = OpenLoop, OpenLoop
	c, err := Compare([]*Result{a}, []*Result{b})
	if err != nil || c.Verdict != Slower || verdictOf(t, c, "rate") != Same {
		t.Errorf("%+v, %v", c, err)
	}
}

// A closed loop and an open one are not to be compared.
func TestCompareLoops(t *testing.T) {
	a, b := constructed(1, 10, 1000, ten, .01), constructed(2, 10, 2000, ten/2, .01)
	b.Load.Mode = OpenLoop
	c, err := Compare([]*Result{a}, []*Result{b})
	if err != nil || c.Verdict != NotJudged || !slices.Contains(c.Notes, "unlike: loop closed and open") {
		t.Errorf("%v, %v, %q", c.Verdict, err, c.Notes)
	}
}

// Who answers errors is not faster.
func TestCompareFailures(t *testing.T) {
	a, b := constructed(1, 10, 1000, ten, .01), constructed(2, 10, 2000, ten, .01)
	b.Status = map[int]int64{200: b.Completed - 500, 503: 500}
	c, err := Compare([]*Result{a}, []*Result{b})
	if err != nil || c.Verdict != Mixed || verdictOf(t, c, "failed") != Worse {
		t.Errorf("%v, failed %v, %v", c.Verdict, verdictOf(t, c, "failed"), err)
	}
}

func TestCompareTooShort(t *testing.T) {
	c, err := Compare([]*Result{constructed(1, 2, 1000, ten, 0)}, []*Result{constructed(1, 2, 3000, ten, 0)})
	if err != nil || c.Verdict != NotJudged || !slices.ContainsFunc(c.Notes, func(n string) bool { return strings.Contains(n, "too short") }) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Compare(nil, []*Result{constructed(1, 2, 1, ten, 0)}); err == nil {
		t.Error("a side without runs was compared")
	}
}

func TestCompareNotes(t *testing.T) {
	a, b := constructed(1, 10, 1000, ten, 0), constructed(1, 10, 1000, ten, 0)
	b.Load.Connections, b.Target.Protocol, b.Generator.Busy, b.Target.TLSVersion = 100, H2, .95, "TLS 1.3"
	c, err := Compare([]*Result{a}, []*Result{b})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"unlike: connections 50 and 100", "unlike: protocol h1 and h2", "unlike: TLS none and TLS 1.3", "B: the generator was at its limit; the figures may be its own"} {
		if !slices.Contains(c.Notes, want) {
			t.Errorf("%q is not in %q", want, c.Notes)
		}
	}
}

// Runs of the same server are seldom called different, and a fifth more is seen:
// seeds are fixed, so this either holds or does not.
func TestCompareCalibration(t *testing.T) {
	const pairs = 40
	wrong, seen := 0, 0
	for seed := range uint64(pairs) {
		a := []*Result{constructed(1000+2*seed, 10, 1000, ten, .06)}
		same, err := Compare(a, []*Result{constructed(1001+2*seed, 10, 1000, ten, .06)})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range same.Metrics {
			if m.Verdict == Better || m.Verdict == Worse {
				wrong++
			}
		}
		more, err := Compare(a, []*Result{constructed(1001+2*seed, 10, 1200, ten*10/12, .06)})
		if err != nil {
			t.Fatal(err)
		}
		if more.Verdict == Faster {
			seen++
		}
	}
	if wrong > 5*pairs*5/100 { // five metrics, each one time in twenty
		t.Errorf("%d of %d verdicts on the same server are wrong", wrong, 5*pairs)
	}
	if seen < pairs*8/10 {
		t.Errorf("a fifth more was seen %d times of %d", seen, pairs)
	}
}
