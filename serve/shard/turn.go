package shard

import (
	"time"
)

// A Turn is one inline run of a handler on a shared connection. The zero Turn
// is of a handler that never led.
type Turn uint64

// Share says that the driver keeps several exchanges on this connection under
// a lock of its own: a handler that is overtaken keeps its exchange and nothing
// else, and the connection goes on at once under the next leader, which steps
// it first: by OnReadable, whatever step was overtaken, and by Drain (again)
// while the shard drains. Such a driver brackets handlers by BeginTurn and
// EndTurn in place of BeginHandler and EndHandler, and is stepped and closed
// while handlers that were overtaken run. Called by the connection's owner: in
// a step, before the first, or in Detach, which a shared one uses no more.
func (c *Conn) Share() { c.shared = true }

// BeginTurn marks that user code runs from here on, inline, until EndTurn. All
// that a step of this connection still has to do must lie in the driver, not
// on this goroutine's stack.
func (c *Conn) BeginTurn() Turn {
	c.sh.current = c
	return Turn(c.sh.token.enter())
}

// EndTurn reports whether this goroutine still leads; it is called also after a
// panic or Goexit (deferred). If it does not lead, the connection
// is another leader's: this goroutine finishes its exchange under the driver's
// lock and returns from its step without touching anything else.
func (c *Conn) EndTurn(t Turn) (inline bool) { return t != 0 && c.sh.token.leave(uint64(t)) }

// LeadTurn hands leadership on if t still runs inline: its goroutine is about
// to wait. Any goroutine of the handler may call it, without the driver's lock.
func (c *Conn) LeadTurn(t Turn) {
	if c.sh.token.take(uint64(t)) {
		c.sh.counters.HandOffs.Add(1)
		c.sh.spawn(c.sh.lead)
	}
}

// Leading tells whether t runs inline still. A caller that holds the driver's
// lock may leave what it has gathered to the step: if t is overtaken afterwards,
// the next leader steps this connection first. Any goroutine.
func (c *Conn) Leading(t Turn) bool { return t != 0 && c.sh.token.word.Load() == uint64(t) }

// TurnClock is the wall clock for any goroutine of a handler: the loop's, read
// once a batch, while t leads.
func (c *Conn) TurnClock(t Turn) time.Time {
	if t != 0 && c.sh.token.word.Load()|inHandler == uint64(t) {
		return time.Unix(0, c.sh.wall.Load())
	}
	return time.Now()
}

// WorkBehind tells that the step has more to do behind the handler that comes
// next, so that the standby is to watch it (see standby.bell). In a step only.
func (c *Conn) WorkBehind() { c.sh.standby.ring(c.sh) }

// Wake asks for a step (OnWritable) of a shared connection soon. Any goroutine,
// at any time; several calls may make one step.
func (c *Conn) Wake() {
	if !c.woken.Swap(true) {
		c.sh.inbox.push(c.sh, message{step: c}) // false: the shard has ended, and c before it
	}
}

// resume goes on with the shared connection whose handler was overtaken: what
// its step had left, and what was gathered there, waits for nobody. False:
// overtaken again.
func (l *leader) resume() bool {
	c := l.sh.current
	l.sh.current = nil
	if c == nil || !c.shared || c.state == connClosed {
		return true
	}
	// The step that ended early may have had an edge of its own still to read,
	// and the drain behind it.
	return l.look(c)
}

// step runs what Wake asked for. False: overtaken.
func (l *leader) step(c *Conn) bool {
	c.woken.Store(false)
	if c.state == connClosed || c.busy {
		return true
	}
	l.c = c
	if !c.over {
		c.drv.OnWritable(l.sh.now)
	}
	return l.after(c)
}

// lost tells whether this goroutine was overtaken in the step that ends.
func (l *leader) lost() bool { return l.sh.token.epoch() != l.epoch }
