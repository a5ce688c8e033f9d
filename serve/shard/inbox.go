package shard

import (
	"sync"
	"sync/atomic"
	"time"
)

// message is what others give to a shard: a connection that comes back from a
// detached goroutine or wants a step, a task that goes on, or something to do on
// the leader.
type message struct {
	conn    *Conn
	step    *Conn // a shared connection that asked for a step (Wake)
	task    *Task // one that is to go on
	closing *Conn // an upstream connection that its user has closed
	do      func(now time.Time)
}

// inbox is the one locked queue into a shard. Its length is bounded by the
// connections (each is given back once, and woken once) and by the few callers
// of Do.
type inbox struct {
	some   atomic.Bool
	mu     sync.Mutex
	queue  []message
	closed bool

	// Owned by the leader: the messages being read. A takeover in the middle
	// leaves the rest to the taker.
	reading []message
	next    int
}

// push queues m and wakes the leader if it waits. False: the shard has ended.
func (b *inbox) push(sh *Shard, m message) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.queue = append(b.queue, m)
	b.some.Store(true)
	b.mu.Unlock()
	// The leader stores sleeping, then looks at some; here it is the other way
	// round, so one of the two sees the other.
	if sh.sleeping.Load() && sh.sleeping.CompareAndSwap(true, false) {
		sh.poll.wake()
	}
	return true
}

// pending tells whether there is something to read.
func (b *inbox) pending() bool { return b.next < len(b.reading) || b.some.Load() }

// fetch makes what was pushed so far the messages to read, once those of before
// are read.
func (b *inbox) fetch() {
	if b.next < len(b.reading) || !b.some.Load() {
		return
	}
	clear(b.reading) // keep no connection alive
	b.mu.Lock()
	b.reading, b.queue = b.queue, b.reading[:0]
	b.some.Store(false)
	b.mu.Unlock()
	b.next = 0
}

// readInbox takes back connections and runs what others asked for. What they
// push meanwhile waits for the next round: connections that are woken again
// and again (Wake) hold up nobody. False: overtaken.
func (l *leader) readInbox() bool {
	b := &l.sh.inbox
	b.fetch()
	for b.next < len(b.reading) {
		m := b.reading[b.next]
		b.next++
		switch {
		case m.do != nil:
			m.do(l.sh.now)
		case m.step != nil:
			if !l.step(m.step) {
				return false
			}
		case m.task != nil:
			if !l.takeTask(m.task) {
				return false
			}
		case m.closing != nil:
			l.sh.closeClient(m.closing)
		case !l.takeBack(m.conn):
			return false
		}
	}
	return true
}

// giveBack returns a connection from the detached goroutine that owned it.
func (sh *Shard) giveBack(c *Conn) {
	c.detached = false
	if c.hijacked.Load() {
		return // it left with its new owner
	}
	if !sh.inbox.push(sh, message{conn: c}) {
		panic("BUG: shard ended before its connections")
	}
}

// takeBack makes a connection the leader's again. What came while it was busy
// is looked at now; bytes may also wait above the socket, which no edge tells.
func (l *leader) takeBack(c *Conn) bool {
	c.busy, c.away = false, false
	sh := l.sh
	if c.state == connClosed {
		return true
	}
	if c.cut.Load() {
		c.Done(errCut)
	}
	if c.over {
		sh.settle(c)
		return true
	}
	c.events.Store(0)
	if c.Buffered() > 0 {
		if !l.writable(c) {
			return false
		}
		if c.busy || c.state == connClosed {
			return true
		}
	}
	return l.look(c)
}
