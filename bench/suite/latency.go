package suite

import (
	"context"
	"fmt"
	"time"
)

// latencyShare of the slowest server's highest rate is what all are offered.
const latencyShare = .5

// latencyLeast is a rate below which nothing is told by a second or two.
const latencyLeast = 100

// latencyWarmup is added to a work's: what could not be asked while connections were
// made is caught up with in it.
const latencyWarmup = time.Second

// reached is the share of the offered rate that a run must have answered.
const reached = .97

// commonRate is half of what the slowest target has shown in a work, by its closed
// loop, in round figures; 0: nobody has.
func (r *Result) commonRate(work string) float64 {
	slowest := 0.0
	for _, t := range r.Targets {
		if c := r.Cell(work, t); c != nil && c.Rate > 0 && (slowest == 0 || c.Rate < slowest) {
			slowest = c.Rate
		}
	}
	return roundDown(slowest * latencyShare)
}

// roundDown keeps two digits.
func roundDown(rate float64) float64 {
	unit := 1.0
	for rate/unit >= 100 {
		unit *= 10
	}
	return float64(int(rate/unit)) * unit
}

// latencies has all targets answer the same rate.
func (n *session) latencies(ctx context.Context, w Work) error {
	rate := n.result.commonRate(w.Name)
	if rate < latencyLeast {
		n.Log("SKIPPED latency of %s: half of the slowest server's rate is %.0f a second", w.Name, rate)
		return nil
	}
	return n.rounds(ctx, Run{Work: w.Name, Measure: Latency, Offered: rate}, w, n.Rounds, n.latency)
}

// latency is one run of it.
func (n *session) latency(ctx context.Context, t *turn) error {
	r, err := n.load(ctx, t.place, loadOptions{duration: t.longer(n.Duration), warmup: n.warmup(t.work) + latencyWarmup, rate: t.run.Offered})
	if err != nil {
		return err
	}
	if err := judge(r, t.work); err != nil {
		return err
	}
	if r.Rate < reached*t.run.Offered {
		return &slowError{fmt.Sprintf("%.0f of %.0f requests a second were answered", r.Rate, t.run.Offered)}
	}
	run := t.run
	run.Rate, run.GeneratorBusy = r.Rate, r.Generator.Busy
	for at, to := range map[float64]*float64{.5: &run.P50, .98: &run.P98, .99: &run.P99, .999: &run.P999} {
		*to = r.Latency.Quantile(at).Seconds()
	}
	if r.Lag != nil {
		run.Lag = r.Lag.Quantile(.99).Seconds()
	}
	return nil
}
