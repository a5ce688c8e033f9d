package h3

import (
	"time"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// The end of a connection, by a stop of the server, by age, or for idleness:
//
//	drain ──┬─ GOAWAY 2^62-4: requests that are on their way are served
//	        ├─ a round trip later GOAWAY with the last of them; what is above is rejected
//	        ├─ requests finish
//	        ├─ what was sent has arrived
//	        └─ CONNECTION_CLOSE, whether or not the client has closed (RFC 9114 §5.2)

// highestID is the largest identifier of a request stream (RFC 9114 §5.2).
const highestID = 1<<62 - 4

// drain ends the connection without losing a request. It waits for that; the
// first call counts.
func (c *conn) drain() {
	if !c.sayGoAway(phaseGoAway) {
		return
	}
	rtt := c.q.ConnectionStats().SmoothedRTT
	if !c.sleep(min(2*rtt+10*time.Millisecond, drainGrace)) || !c.sayGoAway(phaseLast) {
		return
	}
	select {
	case <-c.quieted():
	case <-c.q.Context().Done():
		return
	}
	c.linger()
	c.close(frame.NoError, "")
}

// sayGoAway moves on to p, and tells the peer. False: it is there already.
func (c *conn) sayGoAway(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= p {
		return false
	}
	c.phase = p
	id := uint64(highestID)
	if p == phaseLast {
		id = uint64(c.next) // the first that will not be served
	}
	if c.control != nil {
		// A few bytes: if there is no credit for them the peer's own fault is told
		// to it by the close.
		_ = c.control.TryWriteAll(frame.AppendGoAway(nil, id))
	}
	return true
}

// quieted is closed when no request is active.
func (c *conn) quieted() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	quiet := make(chan struct{})
	if len(c.active) == 0 {
		close(quiet)
	} else {
		c.quiet = quiet
	}
	return quiet
}

// linger waits until what was sent has arrived: the transport tells of that to
// nobody, and a close throws away what waits for room or for its repetition. As
// long as there is such, a packet goes out at each probe timeout (RFC 9002 §6.2),
// so that a window without any says that there is none. The timeout doubles while
// nothing comes back: after a silence, the next probe is no further away than the
// silence is long, and a timeout. A peer that makes us send without an end (a
// ping asks for an acknowledgement) is not waited for beyond lingerTime.
func (c *conn) linger() {
	begun := time.Now()
	heard := begun // the peer, at least until then
	before := c.q.ConnectionStats()
	for from := begun; from.Sub(begun) < lingerTime; from = time.Now() {
		pto := before.SmoothedRTT + max(4*before.MeanDeviation, time.Millisecond) + maxAckDelay
		if !c.sleep(3*pto + from.Sub(heard)) {
			return
		}
		now := c.q.ConnectionStats()
		if now.PacketsSent == before.PacketsSent {
			return
		}
		if now.PacketsReceived != before.PacketsReceived {
			heard = from
		}
		before = now
	}
}

// maxAckDelay is how long peers put their acknowledgements off (RFC 9000 §18.2:
// the default).
const maxAckDelay = 25 * time.Millisecond

// sleep waits. False: the connection has ended.
func (c *conn) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.q.Context().Done():
		return false
	}
}

// sweep looks after connections on which nothing happens, until none is left.
func (s *Server) sweep() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	var conns []*conn
	for {
		var now time.Time
		select {
		case now = <-ticker.C:
		case <-s.empty:
			return
		}
		s.mu.Lock()
		if len(s.conns) == 0 {
			s.sweeping = false
			s.mu.Unlock()
			return
		}
		conns = conns[:0]
		for c := range s.conns {
			conns = append(conns, c)
		}
		s.mu.Unlock()
		for _, c := range conns {
			c.sweep(now)
		}
		clear(conns)
	}
}

// sweep ends a connection that is old or idle for too long, and takes from an
// idle one what it need not hold.
func (c *conn) sweep(now time.Time) {
	cfg := c.srv.cfg
	c.mu.Lock()
	idle := len(c.active) == 0 && now.Sub(c.idleAt) >= sweepInterval
	if idle {
		c.give(len(c.held))
		c.held, c.memo = nil, nil
	}
	over := c.age > 0 && now.Sub(c.begun) >= c.age ||
		idle && cfg.IdleTimeout > 0 && now.Sub(c.idleAt) >= cfg.IdleTimeout
	c.mu.Unlock()
	if over {
		go c.drain()
	}
}
