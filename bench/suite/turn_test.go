package suite

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/bench"
)

func TestVerdict(t *testing.T) {
	good := bench.Result{Requests: 100, Completed: 100, Status: map[int]int64{200: 100}, BodyBytes: 1300}
	for name, c := range map[string]struct {
		change func(*bench.Result)
		want   string // empty: it counts
		slow   bool
	}{
		"good":          {func(*bench.Result) {}, "", false},
		"abandoned":     {func(r *bench.Result) { r.Abandoned, r.BodyBytes = 5, 1340 }, "", false},
		"a reset":       {func(r *bench.Result) { r.Failed, r.Errors = 1, map[bench.ErrorKind]int64{bench.ErrorReset: 1} }, "1 failed", false},
		"a time-out":    {func(r *bench.Result) { r.Failed, r.Errors = 1, map[bench.ErrorKind]int64{bench.ErrorTimeout: 1} }, "timed out", true},
		"both":          {func(r *bench.Result) { r.Failed, r.Errors = 2, map[bench.ErrorKind]int64{bench.ErrorTimeout: 1} }, "2 failed", false},
		"502":           {func(r *bench.Result) { r.Status = map[int]int64{200: 99, 502: 1} }, "502:1", false},
		"504":           {func(r *bench.Result) { r.Status = map[int]int64{200: 99, 504: 1} }, "timed out", true},
		"none":          {func(r *bench.Result) { r.Completed, r.Status = 0, nil }, "too few", true},
		"short answers": {func(r *bench.Result) { r.BodyBytes = 1299 }, "bytes of body", false},
		"long answers":  {func(r *bench.Result) { r.BodyBytes = 1400 }, "bytes of body", false},
	} {
		r := good
		c.change(&r)
		err := judge(&r, Work{})
		var slow *slowError
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.As(err, &slow) != c.slow {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What only took too long is tried again, with more time; what failed is not. A
// server that did not start has another chance.
func TestTake(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("SKIPPED: taskset is not there: apt-get install util-linux")
	}
	s := &Suite{ServerCores: "0", LoadCores: "0", Log: t.Logf}
	n := &session{Suite: s, site: &site{dir: t.TempDir()}, result: &Result{}}
	ends := found{Target: Target{Name: "x", start: func(*place) *launch { return &launch{args: []string{"sh", "-c", "exit 3"}} }}}
	var run Run
	if did := n.take(context.Background(), ends, Work{}, &run, nil); !did || run.Slow || !strings.Contains(run.Error, "ended before it listened") {
		t.Errorf("%v, %+v", did, run)
	}
	cannot := found{Target: Target{Name: "x", start: func(*place) *launch { return nil }}}
	if n.take(context.Background(), cannot, Work{}, &Run{}, nil) {
		t.Error("done by who does not")
	}
	listens := found{Target: Target{Name: "x", start: func(p *place) *launch {
		return &launch{args: []string{testBinary(t), "-test.run=^TestListens$"}, env: []string{listenAt + "=" + p.address()}}
	}}}
	for _, c := range []struct {
		errs  []error
		tries int
		run   Run
	}{
		{[]error{nil}, 1, Run{Micros: 1}},
		{[]error{&slowError{"late"}, nil}, 2, Run{Micros: 2}},
		{[]error{&slowError{"a"}, &slowError{"b"}, &slowError{"c"}}, 3, Run{Error: "c", Slow: true}},
		{[]error{errors.New("reset")}, 1, Run{Error: "reset"}},
		{[]error{&slowError{"late"}, errors.New("reset")}, 2, Run{Error: "reset"}},
	} {
		tries := 0
		var run Run
		n.take(context.Background(), listens, Work{}, &run, func(_ context.Context, t *turn) error {
			if t.longer(1) != 1<<tries {
				return errors.New("not longer")
			}
			err := c.errs[tries]
			tries++
			if err == nil {
				t.run.Micros = float64(tries)
			}
			return err
		})
		if tries != c.tries || run.Error != c.run.Error || run.Slow != c.run.Slow || run.Error == "" && run.Micros != c.run.Micros {
			t.Errorf("%v: %d tries, %+v", c.errs, tries, run)
		}
	}
}
