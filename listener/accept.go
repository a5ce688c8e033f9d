package listener

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"time"
)

// errNotListening is Accept's error before Listen.
var errNotListening = errors.New("bound, but not listening yet")

// Accept returns the next connection of any of the sockets; the first call
// starts one accept loop per socket on Go's poller. While Close drains the
// group it returns what the kernel had completed, then an error that wraps
// net.ErrClosed: call it until then. Aborted connections and a lack of
// descriptors or memory are dealt with here; any other error is final.
func (g *Group) Accept() (net.Conn, error) {
	if err := g.startAccepting(); err != nil {
		return nil, g.opError("accept", err)
	}
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.drained:
		if c := g.takePending(); c != nil {
			return c, nil
		}
		return nil, g.opError("accept", net.ErrClosed)
	case <-g.failed:
		return nil, g.opError("accept", g.failure)
	}
}

// startAccepting starts the accept loops if they do not run yet.
func (g *Group) startAccepting() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.accepting: // also while closing, for the sake of what is pending
		return nil
	case g.closing:
		return net.ErrClosed
	case !g.listening:
		return errNotListening
	}
	for _, s := range g.sockets {
		if err := s.startPolling(); err != nil {
			return err
		}
	}
	g.accepting = true
	g.spare = NewSpare()
	for _, s := range g.sockets {
		g.loops.Go(func() { g.acceptLoop(s) })
	}
	return nil
}

// acceptLoop takes connections from one socket until the group stops.
func (g *Group) acceptLoop(s *Socket) {
	var backoff Backoff
	for {
		c, err := s.acceptConn(g)
		switch Classify(err) {
		case ClassNone:
			backoff.Reset()
			g.deliver(c)
		case ClassAgain, ClassRetry:
		case ClassBackOff:
			if errors.Is(err, os.ErrDeadlineExceeded) { // interrupted by Close
				return
			}
			now, shed := time.Now(), 0
			delay, _ := backoff.Next(now, err)
			if backoff.Failing(now) >= g.cfg.shedAfter {
				shed = g.spare.Shed(s)
			}
			g.logBackoff(now, err, delay, shed)
			if !g.pause(delay) {
				return
			}
			g.spare.Regain()
		case ClassFatal:
			g.fail(err)
			return
		}
		if g.stopped() {
			return
		}
	}
}

// deliver gives a connection to Accept, or keeps it if the group stops first.
func (g *Group) deliver(c net.Conn) {
	select {
	case g.conns <- c:
	case <-g.stop:
		g.keep(c)
	}
}

// keep holds a connection for Accept calls after the drain.
func (g *Group) keep(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending = append(g.pending, c)
}

// takePending returns a kept connection, or nil.
func (g *Group) takePending() net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) == 0 {
		return nil
	}
	c := g.pending[0]
	g.pending[0] = nil
	g.pending = g.pending[1:]
	return c
}

// fail makes Accept return err from now on.
func (g *Group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failure == nil && !g.closing {
		g.failure = err
		close(g.failed)
	}
}

// logBackoff writes at most one line a second for all loops of the group. shed
// connections have been turned away since the loop's last failure.
func (g *Group) logBackoff(now time.Time, err error, delay time.Duration, shed int) {
	g.mu.Lock()
	g.shed += shed
	_, log := g.backoffLog.Next(now, err)
	if !log {
		g.mu.Unlock()
		return
	}
	suppressed, shed := g.backoffLog.Suppressed(), g.shed
	g.shed = 0
	g.mu.Unlock()
	g.cfg.ErrorLog.Error("accept failed; waiting", slog.String("address", g.addr.String()),
		slog.String("error", err.Error()), slog.Duration("delay", delay),
		slog.Int("suppressed", suppressed), slog.Int("shed", shed))
}

// pause waits for d; false: the group stops.
func (g *Group) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.stop:
		return false
	}
}

func (g *Group) stopped() bool {
	select {
	case <-g.stop:
		return true
	default:
		return false
	}
}
