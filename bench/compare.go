package bench

import (
	"errors"
	"fmt"
	"slices"
)

// KindCompare is Comparison.Kind.
const KindCompare = "compare"

// A Verdict says what a difference is worth.
type Verdict string

// Verdicts of a comparison, and of one metric.
const (
	Faster Verdict = "faster"
	Slower Verdict = "slower"
	Mixed  Verdict = "mixed" // in one thing faster, in another slower
	Same   Verdict = "no difference within noise"

	Better    Verdict = "better"
	Worse     Verdict = "worse"
	NotJudged Verdict = "not judged" // there is nothing to tell its noise from
)

const (
	// runsToJudge is how many runs a side are judged as runs: with fewer no
	// difference can be significant.
	runsToJudge = 4
	// intervalsToJudge is how many intervals a side must have when there are
	// fewer runs.
	intervalsToJudge = 5
	// betweenRuns is what runs of the same differ by: what intervals of few runs
	// tell cannot see it.
	betweenRuns = .05
)

// A Comparison is what Compare found. Its JSON form is what penstock bench compare
// --json writes.
type Comparison struct {
	Schema int    `json:"schema"`
	Kind   string `json:"kind"` // "compare"
	// A and B are the two sides: the old and the new.
	A Side `json:"a"`
	B Side `json:"b"`
	// Method tells how noise was told from difference.
	Method string `json:"method"`
	// Verdict of B against A, by the rate of a closed loop, or by the latencies of
	// an open one.
	Verdict Verdict  `json:"verdict"`
	Metrics []Change `json:"metrics"`
	// Notes tell what makes the sides unlike, and other reasons for doubt.
	Notes []string `json:"notes,omitempty"`
}

// A Side is the runs of one side.
type Side struct {
	Files []string `json:"files,omitempty"` // set by who read them
	Runs  int      `json:"runs"`
	// Intervals of all its runs.
	Intervals int    `json:"intervals"`
	URL       string `json:"url"`
	Version   string `json:"version,omitempty"` // of the server, if it told
}

// A Change is one metric on both sides.
type Change struct {
	Name string `json:"name"`
	Unit string `json:"unit"` // "1/s", "s", "us" or "share"
	// HigherIsBetter: of the rate; of all others less is.
	HigherIsBetter bool     `json:"higher_is_better,omitempty"`
	A              Estimate `json:"a"`
	B              Estimate `json:"b"`
	// Ratio is B by A; 0 when A is 0.
	Ratio Estimate `json:"ratio"`
	// P is the probability of such a difference by chance; absent: not told.
	P       *float64 `json:"p,omitempty"`
	Verdict Verdict  `json:"verdict"`
}

// Compare judges the runs b against the runs a. With four runs or more on either
// side each metric has one value a run, and they are compared by Mann-Whitney's
// test. With fewer, intervals of the runs' series stand for repetitions: they are
// compared by the same test and resampled in blocks, and a difference must pass
// both and be above 5 %, because runs of the same thing differ by that. A side
// without runs is an error.
func Compare(a, b []*Result) (*Comparison, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, errors.New("compare: a side has no runs")
	}
	c := &Comparison{Schema: Schema, Kind: KindCompare, A: side(a), B: side(b), Notes: notes(a, b)}
	byRuns := min(len(a), len(b)) >= runsToJudge
	switch {
	case byRuns:
		c.Method = "Mann-Whitney U test on one value a run, p < 0.05; intervals: bootstrap of medians, 95 %"
	case min(c.A.Intervals, c.B.Intervals) < intervalsToJudge:
		c.Method = "none"
		c.Notes = append(c.Notes, fmt.Sprintf("too short to judge: each side needs %d intervals, or %d runs", intervalsToJudge, runsToJudge))
	default:
		c.Method = "on the intervals of the runs: Mann-Whitney U test, p < 0.05; a block bootstrap whose interval of 95 % is apart from no change; and more than 5 %"
		c.Notes = append(c.Notes, fmt.Sprintf("fewer than %d runs a side: how much runs differ among themselves is taken as 5 %%, not measured", runsToJudge))
	}
	for _, m := range metrics {
		if m.missing(a) || m.missing(b) {
			continue
		}
		switch {
		case byRuns:
			c.Metrics = append(c.Metrics, m.compareRuns(a, b))
		default:
			c.Metrics = append(c.Metrics, m.compareIntervals(a, b, c.Method != "none"))
		}
	}
	c.Metrics = append(c.Metrics, compareFailures(a, b))
	c.Verdict = overall(c.Metrics, a[0].Load.Mode)
	if a[0].Load.Mode != b[0].Load.Mode { // one was asked for a rate, the other was not
		c.Verdict = NotJudged
	}
	return c, nil
}

func side(runs []*Result) Side {
	s := Side{Runs: len(runs), URL: runs[0].Target.URL}
	for _, r := range runs {
		s.Intervals += len(fullIntervals(r))
		if r.Server != nil {
			s.Version = r.Server.Version
		}
	}
	return s
}

// overall is the verdict of the metrics that the mode of the runs is about.
func overall(all []Change, mode Mode) Verdict {
	open := mode == OpenLoop
	var better, worse bool
	judged := false
	for _, c := range all {
		latency := slices.Contains([]string{"p50", "p90", "p99"}, c.Name)
		if c.Name == "failed" && c.Verdict == Worse { // a fast refusal is not fast
			worse = true
		}
		if open && !latency || !open && c.Name != "rate" {
			continue
		}
		judged = judged || c.Verdict != NotJudged
		better = better || c.Verdict == Better
		worse = worse || c.Verdict == Worse
	}
	switch {
	case better && worse:
		return Mixed
	case better:
		return Faster
	case worse:
		return Slower
	case !judged:
		return NotJudged
	}
	return Same
}

// orNone is v, or "none" of what has no value.
func orNone(v any) any {
	if v == "" || v == 0. {
		return "none"
	}
	return v
}

// notes are the ways in which the sides are not alike.
func notes(a, b []*Result) (list []string) {
	x, y := a[0], b[0]
	unlike := func(what string, x, y any) {
		if x != y {
			list = append(list, fmt.Sprintf("unlike: %s %v and %v", what, orNone(x), orNone(y)))
		}
	}
	unlike("loop", x.Load.Mode, y.Load.Mode)
	unlike("rate asked for", x.Load.Rate, y.Load.Rate)
	unlike("protocol", x.Target.Protocol, y.Target.Protocol)
	unlike("connections", x.Load.Connections, y.Load.Connections)
	unlike("streams", x.Load.Streams, y.Load.Streams)
	unlike("method", x.Target.Method, y.Target.Method)
	unlike("request body", x.Load.BodyBytes, y.Load.BodyBytes)
	unlike("connection a request", x.Load.ConnectPerRequest, y.Load.ConnectPerRequest)
	unlike("TLS", x.Target.TLSVersion, y.Target.TLSVersion)
	unlike("processor", x.Environment.CPU, y.Environment.CPU)
	unlike("cores", x.Environment.Cores, y.Environment.Cores)
	for name, runs := range map[string][]*Result{"A": a, "B": b} {
		for _, r := range runs {
			if r.Generator.Busy >= BusyLimit {
				list = append(list, name+": the generator was at its limit; the figures may be its own")
				break
			}
		}
	}
	slices.Sort(list)
	return list
}
