package upstream

import (
	"context"
	"time"
)

// Prober makes one active check. ctx ends at Health.Timeout; h has its defaults
// filled in. An error is a failed check, and its text is shown as the reason. Other
// checks run at the same time.
type Prober interface {
	Probe(ctx context.Context, e *Endpoint, h Health) error
}

// check is the active check of an endpoint. group.mu guards it.
//
//	      Fall failures in a row
//	up ───────────────────────────▶ down
//	   ◀───────────────────────────
//	      Rise successes in a row
//
// An endpoint is up until the first verdict.
type check struct {
	watch *watch // nil: nobody checks
	down  bool
	why   string
}

// watch is the goroutine that checks, and its last results.
type watch struct {
	stop      context.CancelFunc
	good, bad int // in a row; one of them is 0
}

// maxWhy bounds the reason that is kept: it may be an upstream's own words.
const maxWhy = 200

// end stops the checks. What they found stays. group.mu is held.
func (c *check) end() {
	if c.watch != nil {
		c.watch.stop()
		c.watch = nil
	}
}

// startCheck begins to check e, if checks are wanted and nobody does it yet. change
// and mu are held.
func (g *Group) startCheck(e *Endpoint) {
	h := g.set.Health
	if !h.enabled() {
		e.check.end()
		e.check = check{}
		return
	}
	if e.check.watch != nil || g.started == nil || g.closed {
		return
	}
	ctx, cancel := context.WithCancel(g.started)
	w := &watch{stop: cancel}
	e.check.watch = w
	g.running.Go(func() {
		defer cancel()
		g.watchOver(ctx, e, h, w)
	})
}

// watchOver checks e every interval until ctx ends. The first check is at once, but
// for as much jitter as later ones have.
func (g *Group) watchOver(ctx context.Context, e *Endpoint, h Health, w *watch) {
	for wait := g.random.within(0, h.Interval/10); sleep(ctx, wait); {
		began := time.Now()
		err := probe(ctx, g.hooks.Prober, e, h)
		if ctx.Err() != nil {
			return
		}
		ended := time.Now()
		g.judge(e, w, err, ended)
		// From beginning to beginning; a check that takes that long leaves a pause.
		wait = max(h.Interval/10, g.random.jitter(h.Interval)-ended.Sub(began))
	}
}

func probe(ctx context.Context, p Prober, e *Endpoint, h Health) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	return p.Probe(ctx, e, h)
}

// judge takes the result of a check.
func (g *Group) judge(e *Endpoint, w *watch, failed error, now time.Time) {
	t := g.since(now)
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &e.check
	if c.watch != w { // another one checks, or nobody: the options have changed
		return
	}
	was := c.down
	if failed != nil {
		w.good, w.bad = 0, w.bad+1
		c.down = c.down || w.bad >= g.set.Health.Fall
		c.why = "health check: " + failed.Error()
		c.why = c.why[:min(len(c.why), maxWhy)]
	} else {
		w.good, w.bad = w.good+1, 0
		c.down = c.down && w.good < g.set.Health.Rise
	}
	if failed == nil && e.ejection.until != 0 {
		g.forgive(e, t)
		return
	}
	if c.down == was {
		return
	}
	if !c.down {
		g.readmit(e, t)
	}
	g.rebuild(t)
	g.dispatchLocked(t, nil)
}

// sleep waits. False: ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
