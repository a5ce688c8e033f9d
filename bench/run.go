package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// never is a time that does not come.
const never = math.MaxInt64

// run is one call of Run.
type run struct {
	plan    *plan
	collect *collector
	workers []*worker

	warmEnd int64        // ns
	begins  atomic.Int64 // of the measured time; never: when all are quiet
	ends    atomic.Int64 // likewise
	quiet   atomic.Int64 // workers that have nothing under way
	stopped atomic.Bool  // by ctx
}

// Run asks a server as o says until the run's end or ctx is done, and answers
// what it found. When ctx ends it early the result is of the time so far, and
// Interrupted. An error means that there is no result: wrong options, or a
// target of which not one connection could be made at the begin.
func Run(ctx context.Context, o Options) (*Result, error) {
	p, err := newPlan(o)
	if err != nil {
		return nil, err
	}
	if err := checkDescriptors(p); err != nil {
		return nil, err
	}
	first, err := p.probe(ctx)
	if err != nil {
		return nil, err
	}
	if p.Protocol == H3 {
		return runH3(ctx, p, first)
	}
	r := &run{plan: p}
	return r.do(ctx, first)
}

func (r *run) do(ctx context.Context, first probed) (*Result, error) {
	p := r.plan
	env := readEnvironment()
	p.base = time.Now()
	r.schedule()
	share := p.Connections / p.Workers
	for i := range p.Workers {
		conns := share
		if i < p.Connections%p.Workers {
			conns++
		}
		w, err := newWorker(r, i, conns)
		if err != nil {
			r.release()
			return nil, fmt.Errorf("bench: event loop: %w", err)
		}
		r.workers = append(r.workers, w)
	}
	r.collect = newCollector(r)
	stop := context.AfterFunc(ctx, func() { r.stopped.Store(true) })
	defer stop()
	var loops sync.WaitGroup
	for _, w := range r.workers {
		loops.Go(w.loop)
	}
	loops.Wait()
	return r.collect.result(first, env), nil
}

// schedule sets when phases begin and end. A counted run with a warm-up begins to
// be measured when what the warm-up has asked is answered.
func (r *run) schedule() {
	p := r.plan
	r.warmEnd = int64(p.Warmup)
	r.begins.Store(r.warmEnd)
	if p.Requests > 0 && p.Warmup > 0 {
		r.begins.Store(never)
		r.ends.Store(never)
		return
	}
	r.setEnd()
}

func (r *run) setEnd() {
	end := int64(never)
	if r.plan.Duration > 0 {
		end = r.begins.Load() + int64(r.plan.Duration)
	}
	r.ends.Store(end)
}

func (r *run) release() {
	for _, w := range r.workers {
		w.poller.close()
	}
}

func (r *run) startsAt() int64 { return 0 }

func (r *run) endsAt() int64 { return r.ends.Load() }

// over tells that w has nothing to do any more.
func (r *run) over(now int64, w *worker) bool {
	return r.stopped.Load() || w.measured && (now >= r.endsAt() || w.left == 0 && w.inFlight == 0)
}

// nextPhase is when phase has something to do.
func (r *run) nextPhase(now int64) int64 {
	at := int64(never)
	for _, t := range []int64{r.warmEnd, r.begins.Load(), r.ends.Load()} {
		if t > now {
			at = min(at, t)
		}
	}
	return at
}

// phase takes w from the warm-up to the measured time.
func (w *worker) phase(now int64) {
	r := w.run
	if w.measured {
		return
	}
	if begins := r.begins.Load(); now >= begins {
		w.measure(begins)
		return
	}
	if w.plan.Requests > 0 && now >= r.warmEnd && !w.quiet {
		w.quiet = true
	}
	if w.quiet && w.inFlight == 0 && !w.told {
		w.told = true
		if r.quiet.Add(1) == int64(len(r.workers)) {
			r.begins.Store(now)
			r.setEnd()
		}
	}
}

// measure begins the measured time.
func (w *worker) measure(from int64) {
	w.measured = true
	w.run.collect.begin()
	w.tick.restart(w, from)
	if w.plan.Requests > 0 {
		n, i := int64(w.plan.Workers), int64(w.index)
		w.left = w.plan.Requests / n
		if i < w.plan.Requests%n {
			w.left++
		}
	}
	if w.quiet {
		w.quiet = false
		w.begin(from)
	}
	for _, c := range w.conns {
		if c.state == connOpen {
			w.freed(c, w.now)
		}
	}
}

// checkDescriptors tells before anything begins that there are too few.
func checkDescriptors(p *plan) error {
	const others = 64
	limit, ok := descriptorLimit()
	if ok && uint64(p.Connections)+others > limit {
		return fmt.Errorf("bench: %d connections need as many descriptors, and %d may be open; raise it with ulimit -n %d", p.Connections, limit, p.Connections+others)
	}
	return nil
}

var errNoConnection = errors.New("no address of the host can be connected to")
