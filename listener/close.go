package listener

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// How a group closes without a reset (server-core rules 12.2, O-2):
//
//	      quiesce        RoundTrip          accept until EAGAIN    close
//	─────────┼──────────────────────────────────┼─────────────────────┼───▶
//	SYNs are │ handshakes that are under way    │ the queues are      │ later SYNs
//	dropped  │ complete and are queued          │ empty for good      │ are refused
//
// A client whose SYN was dropped repeats it after a second; by then the sockets
// are gone and it learns so, or a successor has the port.
const (
	// RoundTrip is the wait between quiescing a group and taking the last
	// connections from its queues: time for the last ACK of a handshake whose
	// SYN-ACK has left. 200 ms covers a path across an ocean.
	RoundTrip = 200 * time.Millisecond
	// LoopbackRoundTrip is the same for groups bound to a loopback address,
	// where the kernel completes a handshake within the connect call.
	LoopbackRoundTrip = 5 * time.Millisecond

	// drainPatience bounds how long a drain waits for descriptors or memory.
	drainPatience = 2 * time.Second
)

// RoundTrip is how long to wait between Quiesce and the last accepts on this
// group: RoundTrip or LoopbackRoundTrip, 0 for unix sockets and shared groups.
func (g *Group) RoundTrip() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.roundTrip()
}

// roundTrip is RoundTrip under mu.
func (g *Group) roundTrip() time.Duration {
	tcp, ok := g.addr.(*net.TCPAddr)
	switch {
	case g.shared || !ok:
		return 0
	case tcp.IP.IsLoopback():
		return LoopbackRoundTrip
	default:
		return RoundTrip
	}
}

// Quiesce lets no new connection begin on any socket of the group; those that
// are queued or whose handshake is under way stay. It does nothing to a shared
// group. It cannot be undone.
func (g *Group) Quiesce() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.quiesce()
}

// quiesce is Quiesce under mu.
func (g *Group) quiesce() error {
	if g.shared || g.quiet || !g.listening {
		return nil
	}
	var errs []error
	for _, s := range g.sockets {
		errs = append(errs, s.Quiesce())
	}
	g.quiet, g.quietSince = true, time.Now()
	return errors.Join(errs...)
}

// Close ends the group. If Accept is in use it first drains: it quiesces
// the sockets, waits RoundTrip (less what has passed since Quiesce), takes
// every completed connection out of the queues for Accept to return, and closes
// the sockets; so it takes up to RoundTrip, and never waits for a caller of
// Accept. Where Accept was never called it closes at once: an event loop
// quiesces, waits and accepts the rest by itself before.
//
// An error means that connections may have been lost. Later calls return the
// same.
func (g *Group) Close() error {
	g.closeOnce.Do(func() { g.closeErr = g.close() })
	return g.closeErr
}

func (g *Group) close() error {
	g.mu.Lock()
	g.closing = true
	accepting, shared := g.accepting, g.shared
	var errs []error
	var wait time.Duration
	if accepting {
		errs = append(errs, g.quiesce())
		wait = g.roundTrip() - time.Since(g.quietSince)
	}
	g.mu.Unlock()

	if wait > 0 {
		time.Sleep(wait) // the accept loops go on meanwhile
	}
	close(g.stop)
	if accepting {
		for _, s := range g.sockets {
			s.interrupt()
		}
		g.loops.Wait()
		errs = append(errs, g.spare.Close()) // one more for the drain
	}
	deadline := time.Now().Add(drainPatience)
	for _, s := range g.sockets {
		if accepting && !shared {
			errs = append(errs, g.drain(s, deadline))
		}
	}
	if g.file != nil && !shared {
		errs = append(errs, g.file.remove())
	}
	for _, s := range g.sockets {
		errs = append(errs, s.Close())
	}
	close(g.drained)
	return errors.Join(errs...)
}

// drain takes what waits in the queue of s, which grows no more.
func (g *Group) drain(s *Socket, deadline time.Time) error {
	var backoff Backoff
	for {
		c, err := s.acceptQueued(g)
		switch Classify(err) {
		case ClassNone:
			g.keep(c)
		case ClassRetry:
		case ClassAgain:
			return nil
		case ClassBackOff:
			delay, _ := backoff.Next(time.Now(), err)
			if time.Now().Add(delay).After(deadline) {
				return fmt.Errorf("drain %s: connections are left in the queue: %w", g.addr, err)
			}
			time.Sleep(delay)
		case ClassFatal:
			return fmt.Errorf("drain %s: %w", g.addr, err)
		}
	}
}
