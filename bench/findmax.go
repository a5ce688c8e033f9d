package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// KindRamp is Ramp.Kind.
const KindRamp = "find-max"

// FindMaxOptions shape FindMax.
type FindMaxOptions struct {
	// Objectives that a rate has to keep; at least one.
	Objectives []Objective
	// Start is the first rate, in requests a second. If zero, 1000.
	Start float64
	// Most is a rate that is not passed. If zero, ten million.
	Most float64
	// Precision is how near the last rate that holds comes to the first that does
	// not, as a share. If zero, 0.05.
	Precision float64
	// Confirm is how many further runs the highest rate has to hold, of which one may
	// be a second try. If zero, 2; if negative, none.
	Confirm int
	// Begin is told of each step ahead of it, Done behind it. Either may be nil.
	Begin func(phase Phase, rate float64)
	Done  func(Step)

	// Run is a step. If nil, bench.Run.
	Run func(context.Context, Options) (*Result, error)
}

// Phase is what a step of the search is for.
type Phase string

// Phases, in their order: the rate is doubled until it does not hold any more,
// the range between is halved, the best is run again, and so is the rate above it.
const (
	PhaseGrow    Phase = "grow"
	PhaseBisect  Phase = "bisect"
	PhaseConfirm Phase = "confirm"
	PhaseRetry   Phase = "retry"
)

// rounds is how often the search goes on above a rate that did not hold and then did.
const rounds = 3

// Why a search ended at its rate.
const (
	LimitObjective = "objective" // the next rate up breaks one
	LimitGenerator = "generator" // the next rate up is more than the generator can do
	LimitMost      = "most"      // FindMaxOptions.Most was reached
	LimitNone      = "nothing holds"
	LimitEnded     = "interrupted"
)

// A Ramp is what FindMax found. Its JSON form is what --json writes with
// --find-max.
type Ramp struct {
	Schema  int       `json:"schema"`
	Kind    string    `json:"kind"` // "find-max"
	Started time.Time `json:"started"`
	// Objectives in the form of the flag, such as p99=50ms.
	Objectives []string `json:"objectives"`
	// Rate is the highest, in requests a second, that holds them all and was
	// confirmed; 0: none.
	Rate float64 `json:"rate"`
	// LimitedBy is why it is not higher: objective, generator, most, nothing holds
	// or interrupted.
	LimitedBy string `json:"limited_by"`
	// Steps in the order they were run.
	Steps []Step `json:"steps"`
}

// A Step is one run of the search, with Rate asked for.
type Step struct {
	Phase Phase   `json:"phase"`
	Rate  float64 `json:"rate"`
	Holds bool    `json:"holds"`
	// Broken tells what did not hold, in words.
	Broken []string `json:"broken,omitempty"`
	// GeneratorBusy: it did not hold while the generator had hardly a core left.
	GeneratorBusy bool    `json:"generator_busy,omitempty"`
	Result        *Result `json:"result"`
}

// LagLimit is the p99 of Result.Lag from which on the generator is called late.
const LagLimit = time.Millisecond

// BusyLimit is Generator.Busy from which on figures may be the generator's own.
const BusyLimit = 0.9

// leastOffered is the share of the rate that must have been answered: what waits
// behind a server that falls back is in no histogram yet.
const leastOffered = 0.98

// Best is the step whose rate was found and whose latencies are the highest of
// those at that rate that hold: the cautious one to quote. nil: none.
func (r *Ramp) Best() *Step {
	var best *Step
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Rate != r.Rate || !s.Holds {
			continue
		}
		if best == nil || s.Result.Latency.Quantile(.99) > best.Result.Latency.Quantile(.99) {
			best = s
		}
	}
	return best
}

// FindMax searches the highest rate at which the target keeps the objectives: from
// Start it doubles (or, if that is too much already, halves) the rate, then halves
// the range that is left, each step a run of o with its warm-up. A rate that does
// not hold is tried twice: one stall is not the knee. In the end the rate found is
// confirmed; when it is not, the next lower one is taken. Then the one above it has a
// last try, and when it holds after all, the search goes on from there.
//
// When ctx is done it answers what was found so far, with LimitEnded. An error of
// the first step is FindMax's.
func FindMax(ctx context.Context, o Options, f FindMaxOptions) (*Ramp, error) {
	if len(f.Objectives) == 0 {
		return nil, errors.New("find the highest rate: there is no objective")
	}
	s := newSearch(o, f)
	err := s.search(ctx)
	if ctx.Err() != nil && len(s.ramp.Steps) > 0 {
		s.ramp.LimitedBy = LimitEnded
		if s.ramp.Rate == 0 { // nothing was confirmed yet
			s.ramp.Rate = s.low
		}
		return s.ramp, nil
	}
	return s.ramp, err
}

// search is one FindMax.
type search struct {
	options Options
	find    FindMaxOptions
	ramp    *Ramp
	low     float64 // the highest that held
	high    float64 // the lowest that did not; infinite: none
	limit   string  // why high did not hold
	rounds  int
}

func newSearch(o Options, f FindMaxOptions) *search {
	orDefault := func(v *float64, d float64) {
		if !(*v > 0) {
			*v = d
		}
	}
	orDefault(&f.Start, 1000)
	orDefault(&f.Most, 1e7)
	orDefault(&f.Precision, .05)
	f.Start = min(f.Start, f.Most)
	if f.Confirm == 0 {
		f.Confirm = 2
	}
	if f.Run == nil {
		f.Run = Run
	}
	ramp := &Ramp{Schema: Schema, Kind: KindRamp, Started: time.Now(), LimitedBy: LimitNone}
	for _, o := range f.Objectives {
		ramp.Objectives = append(ramp.Objectives, o.String())
	}
	return &search{options: o, find: f, ramp: ramp, high: math.Inf(1), limit: LimitMost}
}

func (s *search) search(ctx context.Context) error {
	for start := s.find.Start; ; start = 2 * s.low {
		if err := s.round(ctx, start); err != nil || s.ramp.Rate == 0 || math.IsInf(s.high, 1) {
			return err
		}
		if s.rounds++; s.rounds == rounds {
			return nil
		}
		step, err := s.step(ctx, PhaseRetry, s.high)
		if err != nil || !step.Holds {
			return err
		}
		s.low, s.high, s.limit = s.high, math.Inf(1), LimitMost
	}
}

// round finds a rate from start on, and confirms it.
func (s *search) round(ctx context.Context, start float64) error {
	if err := s.grow(ctx, min(start, s.find.Most)); err != nil || s.low == 0 {
		return err
	}
	for s.high/s.low > 1+s.find.Precision && !math.IsInf(s.high, 1) {
		if err := s.judge(ctx, PhaseBisect, tidy(math.Sqrt(s.low*s.high), s.low, s.high)); err != nil {
			return err
		}
	}
	return s.confirm(ctx)
}

// grow finds a rate that holds and, above it, one that does not.
func (s *search) grow(ctx context.Context, rate float64) error {
	for {
		if err := s.judge(ctx, PhaseGrow, rate); err != nil {
			return err
		}
		switch {
		case s.low == 0 && rate < 1: // not one request a second holds
			return nil
		case s.low == 0:
			rate /= 4
		case s.low >= s.find.Most || !math.IsInf(s.high, 1):
			return nil
		default:
			rate = min(2*rate, s.find.Most)
		}
	}
}

// confirm runs the rate again, and lower ones while that fails twice.
func (s *search) confirm(ctx context.Context) error {
	for s.low >= s.find.Start/1e6 {
		held, failed := 0, 0
		for held < s.find.Confirm && failed < 2 {
			step, err := s.step(ctx, PhaseConfirm, s.low)
			if err != nil {
				return err
			}
			if step.Holds {
				held++
			} else {
				failed++
			}
		}
		if failed < 2 {
			s.ramp.Rate, s.ramp.LimitedBy = s.low, s.limit
			return nil
		}
		s.broken(s.low)
		s.low = tidy(s.low/(1+s.find.Precision), 0, s.low)
	}
	return nil
}

// judge moves low or high to rate.
func (s *search) judge(ctx context.Context, phase Phase, rate float64) error {
	for range 2 {
		step, err := s.step(ctx, phase, rate)
		if err != nil {
			return err
		}
		if step.Holds {
			s.low = rate
			return nil
		}
	}
	s.broken(rate)
	return nil
}

// broken takes rate as too high, for the reason of the last step.
func (s *search) broken(rate float64) {
	s.high, s.limit = rate, LimitObjective
	if s.ramp.Steps[len(s.ramp.Steps)-1].GeneratorBusy {
		s.limit = LimitGenerator
	}
}

func (s *search) step(ctx context.Context, phase Phase, rate float64) (Step, error) {
	if s.find.Begin != nil {
		s.find.Begin(phase, rate)
	}
	o := s.options
	o.Rate = rate
	r, err := s.find.Run(ctx, o)
	if err == nil && r.Interrupted {
		err = context.Canceled // a part of a step judges nothing
	}
	if err != nil {
		return Step{}, err
	}
	step := Step{Phase: phase, Rate: rate, Broken: broken(r, rate, s.find.Objectives), Result: r}
	step.Holds = len(step.Broken) == 0
	step.GeneratorBusy = !step.Holds && r.Generator.Busy >= BusyLimit
	s.ramp.Steps = append(s.ramp.Steps, step)
	if s.find.Done != nil {
		s.find.Done(step)
	}
	return step, nil
}

// broken tells in words what r does not keep.
func broken(r *Result, rate float64, objectives []Objective) (why []string) {
	for _, o := range objectives {
		if !o.Holds(r) {
			why = append(why, fmt.Sprintf("%s is %s", o.Metric, o.Text(o.Of(r))))
		}
	}
	ended := float64(r.Completed + r.Failed)
	if r.Seconds > 0 && ended < leastOffered*rate*r.Seconds && ended < rate*r.Seconds-1 {
		why = append(why, fmt.Sprintf("%.0f of %.0f a second were answered", ended/r.Seconds, rate))
	}
	return slices.Clip(why)
}

// tidy rounds a rate to three digits, unless that leaves the range.
func tidy(rate, low, high float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	if rounded := math.Round(rate/unit) * unit; rounded > low && rounded < high {
		return rounded
	}
	return rate
}
