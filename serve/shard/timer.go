package shard

import (
	"errors"
	"time"
)

var errStalled = errors.New("shard: the peer takes too little of what it asked for")

const (
	// wheelTick is the grain of coarse deadlines: they fire up to this late.
	wheelTick = int64(100 * time.Millisecond)
	// wheelSlots times wheelTick is the horizon; later deadlines are placed at
	// its end and looked at again there.
	wheelSlots = 1024
)

// wheel finds the connections whose deadline has come. It is lazy: a request
// only stores a new time (SetTimer), and the connection moves when its old slot
// comes up. Only an earlier deadline moves it at once. Owned by the leader.
type wheel struct {
	slots [wheelSlots]*Conn
	done  int64 // the tick up to which slots were emptied
	count int
	first int64 // no slot before this tick is occupied
	extra int64 // a time at which somebody else (a paused listener) wants a look; 0: none
}

func tickOf(at int64) int64 { return at/wheelTick + 1 }

// place puts c where its next deadline is: the engine's timer, or the look at
// a writer that may have stalled.
func (w *wheel) place(sh *Shard, c *Conn) {
	at := c.timerAt
	if c.Buffered() > 0 {
		if look := sh.ticks(sh.now) + int64(time.Second); at == 0 || look < at {
			at = look
		}
	}
	if at == 0 {
		return // an old place does no harm: it is looked at once and dropped
	}
	tick := tickOf(at)
	tick = max(tick, w.done+1)
	tick = min(tick, w.done+wheelSlots-1)
	if c.wheelAt != 0 {
		if c.wheelAt <= tick {
			return
		}
		w.remove(c)
	}
	w.insert(c, tick)
}

func (w *wheel) insert(c *Conn, tick int64) {
	slot := &w.slots[tick%wheelSlots]
	c.wheelAt, c.prev, c.next = tick, nil, *slot
	if *slot != nil {
		(*slot).prev = c
	}
	*slot = c
	if w.count++; w.count == 1 || tick < w.first {
		w.first = tick
	}
}

func (w *wheel) remove(c *Conn) {
	if c.wheelAt == 0 {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.slots[c.wheelAt%wheelSlots] = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.wheelAt, c.prev, c.next = 0, nil, nil
	w.count--
}

// want asks for a look at time at.
func (w *wheel) want(at int64) {
	if w.extra == 0 || at < w.extra {
		w.extra = at
	}
}

// expire runs the deadlines that have come. False: overtaken.
func (l *leader) expire() bool {
	sh := l.sh
	w := &sh.wheel
	now := sh.ticks(sh.now)
	if w.extra != 0 && now >= w.extra {
		w.extra = 0
		sh.resume()
	}
	for end := now / wheelTick; w.done < end; {
		tick := w.done + 1
		if w.count == 0 {
			w.done = end
			break
		}
		c := w.slots[tick%wheelSlots]
		if c == nil {
			w.done = tick
			continue
		}
		w.remove(c)
		if !l.expireConn(c, now) {
			return false
		}
	}
	return true
}

// expireConn looks at one connection whose slot came up. False: overtaken.
func (l *leader) expireConn(c *Conn, now int64) bool {
	sh := l.sh
	switch {
	case c.client != nil:
		return l.expireClient(c, now)
	case c.busy:
		// The waits of its handler have deadlines of their own. It is placed
		// anew when it comes back.
		return true
	case c.isStalled():
		c.Done(errStalled)
		sh.counters.Stalled.Add(1)
		sh.settle(c)
		return true
	case c.timerAt != 0 && c.timerAt <= now:
		c.timerAt = 0
		l.c = c
		c.drv.OnTimer(sh.now)
		return l.after(c)
	default:
		sh.wheel.place(sh, c)
		return true
	}
}

// armTimer makes the gate ring when the wheel is due next, before the leader
// waits. An idle shard with no connection has no timer.
func (sh *Shard) armTimer() {
	at := sh.wheel.due()
	if at == sh.timerAt {
		return // armed already, or nothing to arm
	}
	sh.timerAt = at
	if at == 0 {
		sh.timer.Stop()
		return
	}
	sh.timer.Reset(time.Duration(max(at-sh.clock(), 0)) + time.Millisecond)
}

// due is when the wheel wants a look; 0: never. No slot before first is
// occupied, so the wheel is searched only after a look.
func (w *wheel) due() int64 {
	at := w.extra
	if w.count == 0 {
		return at
	}
	for w.first = max(w.first, w.done+1); w.slots[w.first%wheelSlots] == nil; w.first++ {
	}
	if t := w.first * wheelTick; at == 0 || t < at {
		at = t
	}
	return at
}

// clock is the present on the shard's clock. Any goroutine.
func (sh *Shard) clock() int64 { return int64(time.Since(sh.base)) }

// isStalled tells whether the peer has broken the progress rule.
func (c *Conn) isStalled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalledLocked()
}

// stalledLocked tells whether the peer has broken the progress rule (S-3):
// nothing taken for WriteIdleTimeout, or less than WriteMinRate on average once
// the grace is over.
func (c *Conn) stalledLocked() bool {
	if c.stalledAt == 0 {
		return false
	}
	cfg, now := &c.sh.cfg, c.sh.clock()
	if cfg.WriteIdleTimeout > 0 && now-c.stalledAt >= int64(cfg.WriteIdleTimeout) {
		return true
	}
	waited := time.Duration(now - c.since)
	return cfg.WriteMinRate > 0 && waited > writeRateGrace &&
		float64(c.left) < float64(cfg.WriteMinRate)*waited.Seconds()
}
