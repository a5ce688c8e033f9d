package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// The stop of a GenericServer. Names are lifecycle signals; one deadline,
// ShutdownTimeout behind the first of them, bounds all of it.
//
//	ShutdownInitiated     readyz fails, Alt-Svc is withdrawn, all is served
//	  ├─ ShutdownDelayDuration ── AfterShutdownDelayDuration ┐ side by side,
//	  ├─ pre-shutdown hooks ───── PreShutdownHooksStopped ───┤ in either order
//	NotAcceptingNewRequest ──────────────────────────────────┘
//
//	by default                        with ShutdownSendRetryAfter
//	  connections drain                 new requests get 429
//	HTTPServerStoppedListening          what is under way finishes
//	  what is under way finishes      InFlightRequestsDrained
//	InFlightRequestsDrained             audit ends, connections drain
//	  audit ends                      HTTPServerStoppedListening
//
//	the last connection goes, or the deadline cuts it; sources end; Run returns
const (
	// hookReserve is what pre-shutdown hooks leave of the stop for requests; a
	// quarter of it, if that is less.
	hookReserve = 10 * time.Second
	// slipIn is how long after the listeners have stopped a request that begins
	// on an open connection is still served: what was on its way meanwhile, and
	// behind HTTP/2's first GOAWAY, is not refused.
	slipIn = time.Second
	// taskGrace is how long the end waits for goroutines of hooks and sources.
	taskGrace = 2 * time.Second
	// The delay ends when nothing was connected at delayLooks looks in a row.
	delayLook  = 250 * time.Millisecond
	delayLooks = 4
)

// CutError tells that the stop had to cut connections with requests under way.
type CutError struct {
	Timeout time.Duration // of the stop
	Cut     int64         // connections
}

func (e *CutError) Error() string {
	return fmt.Sprintf("the stop did not end within %v, connections cut with requests under way: %d", e.Timeout, e.Cut)
}

// stop is the whole of it.
func (r *genericRun) stop() error {
	s := r.s
	begin := time.Now()
	end := begin.Add(s.config.ShutdownTimeout)
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	s.stopEnd.Store(&end)
	s.log.Info("stopping", slog.String("server", s.name), slog.Duration("delay", s.config.ShutdownDelayDuration), slog.Duration("timeout", s.config.ShutdownTimeout))
	r.http.withdrawHTTP3()
	s.signals.ShutdownInitiated.Signal()
	r.notify(notifyStopping)

	hookErr := r.delayAndHooks(ctx, end)
	s.signals.NotAcceptingNewRequest.Signal()
	var drainErr error
	if s.config.ShutdownSendRetryAfter {
		drainErr = r.drainRequestsFirst(ctx)
	} else {
		drainErr = r.drainConnectionsFirst(ctx)
	}
	r.end(ctx)
	s.enter(phaseStopped)
	report := r.http.DrainReport()
	s.log.Info("stopped", slog.String("server", s.name), slog.Uint64("finished", report.Finished), slog.Int64("cut", report.Cut),
		slog.Duration("took", time.Since(begin).Round(time.Millisecond)))
	return errors.Join(s.failures(), hookErr, drainErr)
}

// delayAndHooks runs the two side by side.
func (r *genericRun) delayAndHooks(ctx context.Context, end time.Time) (err error) {
	hookCtx, cancel := context.WithDeadline(ctx, end.Add(-min(hookReserve, r.s.config.ShutdownTimeout/4)))
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() {
		r.delay(ctx)
		r.s.signals.AfterShutdownDelayDuration.Signal()
	})
	both.Go(func() {
		err = r.runPreShutdownHooks(hookCtx)
		r.s.signals.PreShutdownHooksStopped.Signal()
	})
	both.Wait()
	return err
}

// delay waits for ShutdownDelayDuration, or until nobody has a use for that.
func (r *genericRun) delay(ctx context.Context) {
	s := r.s
	if s.config.ShutdownDelayDuration == 0 || !s.config.listens() {
		return
	}
	over := time.NewTimer(s.config.ShutdownDelayDuration)
	defer over.Stop()
	look := time.NewTicker(delayLook)
	defer look.Stop()
	accepted, quiet := r.http.Stats().Accepted, 0
	for quiet < delayLooks {
		select {
		case <-over.C:
			return
		case <-s.hurried:
			return
		case <-ctx.Done():
			return
		case <-look.C:
		}
		now := r.http.Stats()
		quiet++
		if now.Connections > 0 || now.Accepted != accepted {
			quiet = 0
		}
		accepted = now.Accepted
	}
}

// drainConnectionsFirst is the default: new connections are refused, then what
// runs is waited for.
func (r *genericRun) drainConnectionsFirst(ctx context.Context) error {
	r.stopListening()
	gone := make(chan struct{})
	var err error
	r.tasks.Go(func() {
		defer close(gone)
		err = r.awaitConnections(ctx)
	})
	refuse := time.NewTimer(slipIn)
	defer refuse.Stop()
	select {
	case <-gone:
	case <-refuse.C:
	case <-ctx.Done():
	}
	r.drainRequests(ctx)
	auditErr := r.stopAudit(ctx)
	<-gone // by the deadline, since ctx ends
	return errors.Join(err, auditErr)
}

// drainRequestsFirst keeps listening until nothing is under way.
func (r *genericRun) drainRequestsFirst(ctx context.Context) error {
	r.drainRequests(ctx)
	auditErr := r.stopAudit(ctx)
	r.stopListening()
	return errors.Join(r.awaitConnections(ctx), auditErr)
}

// stopListening begins the drain of connections and lets no more in.
func (r *genericRun) stopListening() {
	r.endServing()
	r.endOpening()
	r.http.beginDrain()
	r.http.stopListening()
	r.s.signals.HTTPServerStoppedListening.Signal()
}

// endOpening lets no further endpoint come.
func (r *genericRun) endOpening() {
	r.opening.Lock()
	defer r.opening.Unlock()
	r.ended = true
}

// drainRequests waits for what is under way. Long-running requests have a grace
// of their own, at whose end they are cancelled.
func (r *genericRun) drainRequests(ctx context.Context) {
	c := r.s.config
	var both sync.WaitGroup
	if c.Requests != nil {
		both.Go(func() { r.wait(ctx, "requests", c.Requests) })
	}
	if c.LongRunning != nil {
		both.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, c.LongRunningGrace)
			defer cancel()
			r.wait(ctx, "long-running requests", c.LongRunning)
		})
	}
	both.Wait()
	r.s.signals.InFlightRequestsDrained.Signal()
}

func (r *genericRun) wait(ctx context.Context, what string, group RequestGroup) {
	if err := group.Wait(ctx); err != nil {
		r.s.log.Warn("drain: "+what+" are still under way", slog.Any("error", err))
	}
}

// awaitConnections waits for the last connection to go. With the end of ctx the
// rest is cut, which is the error.
func (r *genericRun) awaitConnections(ctx context.Context) error {
	err := r.http.awaitDrained(ctx)
	if err != nil {
		r.cutRest()
	}
	report := r.http.DrainReport()
	if info := r.s.config.SecureServing; info != nil && info.Stopped != nil {
		info.Stopped(report)
	}
	if err == nil || report.Cut == 0 {
		return nil
	}
	return &CutError{Timeout: r.s.config.ShutdownTimeout, Cut: report.Cut}
}

// cutRest ends what is left, and notes what that was.
func (r *genericRun) cutRest() {
	left := r.s.DrainStatus()
	_ = r.http.Close() // it has no error
	if r.http.DrainReport().Cut > 0 {
		r.s.atCut.Store(&left)
	}
}

func (r *genericRun) stopAudit(ctx context.Context) error {
	if r.s.config.Audit == nil {
		return nil
	}
	if err := r.s.config.Audit.Shutdown(ctx); err != nil {
		return fmt.Errorf("server %s: stop the audit: %w", r.s.name, err)
	}
	return nil
}

// end lets sources and hooks go. It does not wait for ever for those that do not
// heed their context.
func (r *genericRun) end(ctx context.Context) {
	r.endServing()
	r.endOpening()
	r.endSources()
	r.cut() // listeners that the stop came too early for
	over := make(chan struct{})
	go func() { // ends when the last of them does
		r.tasks.Wait()
		close(over)
	}()
	grace := time.NewTimer(taskGrace)
	defer grace.Stop()
	select {
	case <-over:
		return
	case <-grace.C:
	case <-ctx.Done():
	}
	select {
	case <-over:
	default:
		r.s.log.Warn("hooks or sources have not ended with the server", slog.String("server", r.s.name))
	}
}
