package h2

import (
	"time"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// expire applies the deadlines that have passed.
func (c *Conn) expire() {
	switch {
	case c.phase == phaseLinger:
		if c.now >= c.ending {
			c.over(nil)
		}
		return
	case c.phase == phaseOver:
		return
	}
	c.expireStalled()
	c.expireWithheld()
	if c.phase > phaseOpen {
		return // stalled
	}
	due, end := c.next()
	if due == 0 || c.now < due {
		return
	}
	end(c)
}

// deadline is when the connection wants to be looked at next; zero: never.
func (c *Conn) deadline() time.Time {
	due := c.ending
	switch c.phase {
	case phaseLinger:
	case phaseOver:
		return time.Time{}
	default:
		due, _ = c.next()
		due = earlier(due, c.stallAt)
		if c.withheldAt != 0 {
			due = earlier(due, c.withheldAt+withholdTimeout)
		}
	}
	if due == 0 {
		return time.Time{}
	}
	return epoch.Add(due)
}

// earlier is the earlier of two times, of which zero is none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// next is the earliest deadline of the connection as a whole, and what it
// means. Zero: none.
func (c *Conn) next() (due time.Duration, end func(*Conn)) {
	set := func(from, after time.Duration, f func(*Conn)) { // no method values: they allocate
		if from != 0 && after > 0 && (due == 0 || from+after < due) {
			due, end = from+after, f
		}
	}
	switch {
	case c.phase == phasePreface:
		set(c.born, prefaceTimeout, (*Conn).endSilent)
	case c.phase == phaseSettings:
		set(c.idleAt, settingsTimeout, (*Conn).endSilent) // whatever comes but SETTINGS
	default:
		set(c.settingsAt, ackTimeout, (*Conn).endUnacknowledged)
		set(c.headAt, c.cfg.ReadHeadTimeout, (*Conn).endSlowHead)
		if c.goaway == goawayFirst {
			set(c.goawayAt, drainGrace, (*Conn).lastGoAway)
		}
		if c.open == 0 {
			set(c.idleAt, c.cfg.IdleTimeout, (*Conn).endIdle)
		}
		switch {
		case c.pingAt != 0:
			set(c.pingAt, c.cfg.PingTimeout, (*Conn).endDead)
		default:
			set(c.lastRead, c.cfg.PingInterval, (*Conn).askAlive)
		}
	}
	return due, end
}

// endSilent: the client has not begun (H2-11).
func (c *Conn) endSilent() { c.fail(frame.SettingsTimeout, "3.4: the preface did not come in time") }

// endUnacknowledged: RFC 9113 §6.5.3.
func (c *Conn) endUnacknowledged() {
	c.fail(frame.SettingsTimeout, "6.5.3: SETTINGS were not acknowledged in time")
}

func (c *Conn) endSlowHead() {
	c.cfg.Counters.TimedOut.Add(1)
	c.calm(ReasonSlowHead)
}

// endIdle: an orderly end, of which the last stream is told (S-4).
func (c *Conn) endIdle() { c.sendFinal(frame.NoError, "") }

// endDead: the peer does not answer PING.
func (c *Conn) endDead() {
	c.cfg.Counters.TimedOut.Add(1)
	c.sendFinal(frame.NoError, "")
}

func (c *Conn) askAlive() {
	c.pingAt = c.now
	c.sendPing(pingAlive)
}

// stallLimit is how long output may wait for a peer that takes nothing.
func (c *Conn) stallLimit() time.Duration {
	if c.cfg.WriteIdleTimeout == 0 {
		return 1 << 62
	}
	return c.cfg.WriteIdleTimeout
}

// earned is how much longer n bytes let it wait: a drip earns next to nothing (H2-5).
func (c *Conn) earned(n int64) time.Duration {
	if c.cfg.WriteMinRate == 0 {
		return 1 << 61
	}
	return time.Duration(float64(n) / float64(c.cfg.WriteMinRate) * float64(time.Second))
}

// expireStalled ends what the peer asked for and does not take: a stream, when
// others of the connection go on, else the connection.
func (c *Conn) expireStalled() {
	if c.stallAt == 0 || c.now < c.stallAt {
		return
	}
	c.stallAt = 0
	for _, s := range c.streams {
		if s.stalledAt == 0 {
			continue
		}
		due := s.stalledAt + c.stallLimit() + c.earned(s.sentBytes)
		switch {
		case c.now < due:
			c.stallAt = earlier(c.stallAt, due)
		case s.sendWin > 0 && c.sendWin > 0:
			// It waits for its turn, or for the socket, of which the host sees to (S-3).
			c.stallAt = earlier(c.stallAt, c.now+c.stallLimit())
		default:
			c.cfg.Counters.TimedOut.Add(1)
			if c.now-s.stalledAt >= c.stallLimit()+c.earned(c.dataBytes-s.connBytes) {
				c.calm(ReasonStalled)
				return
			}
			c.reset(s, frame.EnhanceYourCalm)
		}
	}
}
