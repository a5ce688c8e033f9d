package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

// attempts of a turn. A second one needs a reason: the server did not start (a port
// was taken meanwhile), or the machine was too busy to tell anything.
const attempts = 3

// fewest requests that a run must have answered to tell anything.
const fewest = 16

// turn is a server started for one run.
type turn struct {
	*place
	server  *process
	run     *Run
	attempt int
}

// longer is d, twice as long with each further attempt.
func (t *turn) longer(d time.Duration) time.Duration { return d << t.attempt }

// slowError is a run that tells nothing of the server: something took too long on
// this machine. It is void, and no fault.
type slowError struct{ text string }

func (e *slowError) Error() string { return e.text }

// startError is a server that did not come up.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// take starts the target and measures it once, again if that may help. False: the
// target does not do that work.
func (n *session) take(ctx context.Context, t found, w Work, run *Run, once func(context.Context, *turn) error) bool {
	for attempt := range attempts {
		did, err := n.try(ctx, t, w, run, attempt, once)
		if err == nil || !did {
			return did
		}
		run.Error = err.Error()
		var slow *slowError
		var start *startError
		run.Slow = errors.As(err, &slow)
		if again := run.Slow || errors.As(err, &start); !again || ctx.Err() != nil {
			break
		}
		if attempt+1 < attempts {
			n.Log("RETRY %s of %s: %v", t.Name, w.Name, err)
		}
	}
	if ctx.Err() == nil {
		n.Log("VOID %s of %s: %s", t.Name, w.Name, run.Error)
	}
	return true
}

func (n *session) try(ctx context.Context, t found, w Work, run *Run, attempt int, once func(context.Context, *turn) error) (did bool, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return true, &slowError{err.Error()}
	}
	p := &place{
		dir: n.site.dir, binary: t.path, work: w, clear: ports[0], tls: ports[1], origin: n.site.originPort, workers: coreCount(n.ServerCores),
	}
	start := t.start(p)
	if start == nil {
		return false, nil
	}
	*run = Run{Work: run.Work, Target: run.Target, Round: run.Round, Measure: run.Measure, Offered: run.Offered} // nothing of the attempt before
	if err := n.site.write(start.files...); err != nil {
		return true, err
	}
	env := append([]string{fmt.Sprint("GOMAXPROCS=", p.workers)}, start.env...)
	server, err := startProcess(n.ServerCores, env, start.args...)
	if err != nil {
		return true, err
	}
	defer server.stop()
	if err := server.waitPort(p.port()); err != nil {
		return true, &startError{err}
	}
	return true, once(ctx, &turn{place: p, server: server, run: run, attempt: attempt})
}

// judge says whether a run counts: nil; a slowError, when nothing failed but by
// time; or what failed.
func judge(r *bench.Result, w Work) error {
	late := r.Errors[bench.ErrorTimeout]
	body := int64(w.answer())
	switch {
	case r.Failed > late, r.Status[200]+r.Status[504] != r.Completed:
		return fmt.Errorf("%d completed, %d failed %v %v, by status %v", r.Completed, r.Failed, r.Errors, r.FirstError, r.Status)
	case late > 0, r.Status[504] > 0:
		return &slowError{fmt.Sprintf("%d of %d requests timed out", late+r.Status[504], r.Requests)}
	case r.Completed < fewest:
		return &slowError{fmt.Sprintf("%d requests in %.1f s are too few to tell anything", r.Completed, r.Seconds)}
	case r.BodyBytes < r.Completed*body || r.BodyBytes > (r.Completed+r.Abandoned)*body:
		return fmt.Errorf("%d answers of %d bytes each have %d bytes of body", r.Completed, body, r.BodyBytes)
	}
	return nil
}
