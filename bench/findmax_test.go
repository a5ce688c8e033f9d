package bench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// model is a server that answers capacity requests a second, ever later as that
// comes near.
func model(capacity float64) func(context.Context, Options) (*Result, error) {
	return func(_ context.Context, o Options) (*Result, error) {
		load := min(o.Rate/capacity, .999)
		r := &Result{Schema: Schema, Seconds: 10, Latency: NewHistogram(), Status: map[int]int64{}}
		answered := min(o.Rate, capacity) * r.Seconds
		r.Completed, r.Rate = int64(answered), answered/r.Seconds
		for i := range 1000 { // exponential, as the wait of M/M/1
			r.Latency.Record(time.Duration(-math.Log(1-(float64(i)+.5)/1000) * float64(time.Millisecond) / (1 - load)))
		}
		return r, nil
	}
}

func objectives(t *testing.T, list string) []Objective {
	t.Helper()
	o, err := ParseObjectives(list)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The p99 of the model is ln(100) ms / (1 - load): 50 ms at 0.908 of the capacity.
func TestFindMax(t *testing.T) {
	for _, test := range []struct {
		name     string
		capacity float64
		options  FindMaxOptions
		want     float64
		limit    string
	}{
		{"above the start", 30_000, FindMaxOptions{}, 27_240, LimitObjective},
		{"below the start", 77, FindMaxOptions{}, 70, LimitObjective},
		{"fine", 30_000, FindMaxOptions{Precision: .01}, 27_240, LimitObjective},
		{"not above the most", 30_000, FindMaxOptions{Most: 9000}, 9000, LimitMost},
		{"nothing", .5, FindMaxOptions{}, 0, LimitNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			var begun, done int
			f := test.options
			f.Objectives, f.Run = objectives(t, "p99=50ms,errors=0"), model(test.capacity)
			f.Begin = func(Phase, float64) { begun++ }
			f.Done = func(Step) { done++ }
			r, err := FindMax(t.Context(), Options{}, f)
			if err != nil {
				t.Fatal(err)
			}
			precision := f.Precision
			if precision == 0 {
				precision = .05
			}
			if r.Rate > test.want*1.01 || r.Rate < test.want/(1+precision)/1.01 || r.LimitedBy != test.limit {
				t.Errorf("%v by %s, want %v within %v by %s", r.Rate, r.LimitedBy, test.want, precision, test.limit)
			}
			if begun != len(r.Steps) || done != len(r.Steps) || len(r.Steps) > 60 {
				t.Errorf("%d begun, %d done, %d steps", begun, done, len(r.Steps))
			}
			if test.want > 0 {
				if best := r.Best(); best == nil || !best.Holds || best.Rate != r.Rate {
					t.Errorf("best %+v", best)
				}
				var phases []Phase
				for _, s := range r.Steps {
					phases = append(phases, s.Phase)
				}
				if i := slices.Index(phases, PhaseConfirm); i < 0 || len(phases) < i+2 || phases[i+1] != PhaseConfirm {
					t.Errorf("the rate was not confirmed twice: %v", phases)
				}
			}
		})
	}
}

// One stall is not the knee.
func TestFindMaxOneStall(t *testing.T) {
	run, n := model(30_000), 0
	f := FindMaxOptions{Objectives: objectives(t, "p99=50ms"), Run: func(ctx context.Context, o Options) (*Result, error) {
		n++
		r, err := run(ctx, o)
		if n == 2 {
			r.Latency.Reset()
			r.Latency.Record(time.Second)
		}
		return r, err
	}}
	if r, err := FindMax(t.Context(), Options{}, f); err != nil || r.Rate < 25_000 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A machine that was busy at first does not hold the search down.
func TestFindMaxSlowStart(t *testing.T) {
	capacity, n := 500., 0
	f := FindMaxOptions{Objectives: objectives(t, "p99=50ms"), Run: func(ctx context.Context, o Options) (*Result, error) {
		if n++; n > 2 {
			capacity = 30_000
		}
		return model(capacity)(ctx, o)
	}}
	r, err := FindMax(t.Context(), Options{}, f)
	if err != nil || r.Rate < 25_000 || r.LimitedBy != LimitObjective {
		t.Errorf("%v by %s, %v", r.Rate, r.LimitedBy, err)
	}
}

// A rate that is not confirmed gives way to a lower one.
func TestFindMaxNotConfirmed(t *testing.T) {
	capacity := 30_000.
	f := FindMaxOptions{Objectives: objectives(t, "p99=50ms")}
	f.Begin = func(p Phase, _ float64) {
		if p == PhaseConfirm {
			capacity = 20_000
		}
	}
	f.Run = func(ctx context.Context, o Options) (*Result, error) { return model(capacity)(ctx, o) }
	r, err := FindMax(t.Context(), Options{}, f)
	if err != nil || r.Rate > 18_200 || r.Rate < 16_000 || r.LimitedBy != LimitObjective {
		t.Errorf("%v by %s, %v", r.Rate, r.LimitedBy, err)
	}
}

// What the generator cannot do is not the server's knee, and says so.
func TestFindMaxGenerator(t *testing.T) {
	f := FindMaxOptions{Objectives: objectives(t, "p99=50ms"), Run: func(ctx context.Context, o Options) (*Result, error) {
		r, err := model(30_000)(ctx, o)
		r.Generator.Busy = min(o.Rate/25_000, 1)
		return r, err
	}}
	if r, err := FindMax(t.Context(), Options{}, f); err != nil || r.LimitedBy != LimitGenerator {
		t.Errorf("%v by %s, %v", r.Rate, r.LimitedBy, err)
	}
}

func TestFindMaxEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := FindMaxOptions{Objectives: objectives(t, "p99=50ms")}
	f.Run = func(ctx context.Context, o Options) (*Result, error) {
		r, err := model(30_000)(ctx, o)
		if o.Rate > 3000 {
			cancel()
			r.Interrupted = true
		}
		return r, err
	}
	r, err := FindMax(ctx, Options{}, f)
	if err != nil || r.LimitedBy != LimitEnded || r.Rate != 2000 || len(r.Steps) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	refused := errors.New("refused")
	f.Run = func(context.Context, Options) (*Result, error) { return nil, refused }
	if _, err := FindMax(t.Context(), Options{}, f); !errors.Is(err, refused) {
		t.Errorf("the first step's error: %v", err)
	}
	if _, err := FindMax(t.Context(), Options{}, FindMaxOptions{}); err == nil {
		t.Error("without an objective")
	}
}

func TestObjectives(t *testing.T) {
	for text, want := range map[string]string{
		"p99=50ms":                            "p99=50ms",
		"p50=1ms, p99.9=1.5s,max=2s,errors=0": "p50=1ms,p99.9=1.5s,max=2s,errors=0%",
		"errors=0.1%":                         "errors=0.1%",
		"errors=0.001":                        "errors=0.1%",
		"p99=250us":                           "p99=250µs",
	} {
		all, err := ParseObjectives(text)
		var back []string
		for _, o := range all {
			back = append(back, o.String())
		}
		if got := strings.Join(back, ","); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "p99", "p99=50", "p99=-1s", "p0=1s", "p101=1s", "pNaN=1s", "p1e1=1s", "q=1s", "errors=2", "errors=NaN", "errors=-1%", "errors=1s", "p99=1s,p99=2s"} {
		if all, err := ParseObjectives(text); err == nil {
			t.Errorf("%q was taken as %v", text, all)
		}
	}
}

func TestObjectiveHolds(t *testing.T) {
	r := &Result{Latency: NewHistogram(), Completed: 990, Failed: 10, Status: map[int]int64{200: 980, 503: 10}}
	for range 1000 {
		r.Latency.Record(50 * time.Millisecond)
	}
	for list, want := range map[string]bool{"p99=50ms": true, "p99=49ms": false, "max=50ms": true, "errors=2%": true, "errors=1.9%": false} {
		if o := objectives(t, list)[0]; o.Holds(r) != want {
			t.Errorf("%s: %v, want %v", list, o.Holds(r), want)
		}
	}
}

func TestReadResult(t *testing.T) {
	text, err := json.Marshal(constructed(1, 3, 1000, ten, 0))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ReadResult(strings.NewReader(string(text))); err != nil || r.Rate != 1000 || r.Latency.Count() != 1500 {
		t.Errorf("%+v, %v", r, err)
	}
	f := FindMaxOptions{Objectives: objectives(t, "p99=50ms"), Run: model(3000)}
	ramp, err := FindMax(t.Context(), Options{}, f)
	if err != nil {
		t.Fatal(err)
	}
	rampText, err := json.Marshal(ramp)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ReadRamp(strings.NewReader(string(rampText))); err != nil || r.Rate != ramp.Rate || len(r.Steps) != len(ramp.Steps) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := ReadRamp(strings.NewReader(string(text))); err == nil {
		t.Error("a run was read as a search")
	}
	for text, want := range map[string]string{
		"{}":                                "it has no schema",
		"[]":                                "not a result",
		"":                                  "not a result",
		`{"schema":2}`:                      "schema 2, this penstock reads 1",
		`{"schema":1}`:                      "it has no latency",
		`{"schema":1,"latency":{"hdr":""}}`: "not a result",
		string(rampText):                    "--find-max",
	} {
		if _, err := ReadResult(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseObjectives(f *testing.F) {
	f.Add("p99=50ms,errors=0.1%")
	f.Fuzz(func(t *testing.T, list string) {
		all, err := ParseObjectives(list)
		if err != nil {
			return
		}
		for _, o := range all {
			// Whoever reads the text again has the same metric.
			again, err := ParseObjectives(o.String())
			if o.Most > 1e-6 && (err != nil || again[0].Metric != o.Metric) {
				t.Errorf("%q gives %v, and that %v, %v", list, o, again, err)
			}
		}
	})
}
