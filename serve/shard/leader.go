package shard

import "runtime"

// leader is one goroutine's turn at the head of a shard. It is the goroutine's
// own: what must survive being overtaken (which connection it serves) is kept
// here, not in the shard.
type leader struct {
	sh    *Shard
	epoch uint64 // of its leadership
	c     *Conn  // in a step; nil between steps
	free  *Task  // that it has resumed, without a connection of its own
}

// lead runs the loop. The caller holds leadership (the word says engine); lead
// returns when it has been overtaken, or when the shard has ended.
//
//	harvest -> batch: step, step, ... -> inbox -> timers -> fresh conns -+
//	   ^                                                                 |
//	   +---- yield, or wait in Go's poller when nothing was ready <------+
func (sh *Shard) lead() {
	l := leader{sh: sh, epoch: sh.token.epoch()}
	defer l.rescue()
	for l.resume() && l.batch() && l.readInbox() && l.drainOpen() && l.expire() && l.readFresh() {
		if sh.ended && sh.live == 0 {
			sh.endTasks()
			if !sh.coroutines.away() {
				sh.finish()
				return
			}
		}
		sh.rest()
	}
}

// batch serves what was harvested. The rest of a batch belongs to whoever
// leads, so a taker goes on where the overtaken leader stopped.
func (l *leader) batch() bool {
	sh := l.sh
	for sh.next < sh.n {
		ev := &sh.events[sh.next]
		sh.next++
		if ev.gen == listenerGen {
			sh.accept(sh.sockets[ev.slot])
			continue
		}
		// A connection closed earlier in this batch may have passed its slot on.
		c := sh.conns[ev.slot]
		if c == nil || c.gen != ev.gen {
			continue
		}
		if !l.dispatch(c, ev.mask) {
			return false
		}
	}
	return true
}

// dispatch gives one event to its connection. False: overtaken.
func (l *leader) dispatch(c *Conn, mask uint32) bool {
	if mask&(evRdhup|evHup|evErr) != 0 {
		// A FIN that came with data makes one edge only: read to the end.
		c.toEnd.Store(true)
	}
	if c.client != nil {
		return l.clientEvent(c, mask)
	}
	if c.busy {
		c.notify(mask)
		return true
	}
	if mask&(evOut|evErr|evHup) != 0 && c.Buffered() > 0 {
		if !l.writable(c) {
			return false
		}
		if c.state == connClosed {
			return true
		}
	}
	if mask&(evIn|evRdhup|evHup|evErr) != 0 {
		return l.readable(c)
	}
	return true
}

// readable runs a reading step. False: overtaken.
func (l *leader) readable(c *Conn) bool {
	c.drained = false
	l.c = c
	c.drv.OnReadable(l.sh.now)
	return l.after(c)
}

// look steps a connection that comes to this leader from elsewhere: bytes may
// wait that no edge tells of, and it may have missed the drain. False: overtaken.
func (l *leader) look(c *Conn) bool {
	if !l.readable(c) {
		return false
	}
	if c.Draining() && !c.busy && c.state != connClosed {
		return l.drain(c)
	}
	return true
}

// writable lets out what the cork holds, and tells the engine when it is empty.
func (l *leader) writable(c *Conn) bool {
	l.c = c
	if err := c.flush(); err != nil {
		c.Done(err)
	} else if c.Buffered() == 0 && !c.over {
		c.drv.OnWritable(l.sh.now)
	}
	return l.after(c)
}

// after ends a step: an overtaken goroutine gives its connection back and
// leads no more; the leader registers, arms or closes it.
func (l *leader) after(c *Conn) bool {
	l.c = nil
	if c.away {
		return true // it is a goroutine's of Detach, which may be done already, or Share
	}
	if c.shared && l.lost() {
		return false
	}
	if c.parking {
		return l.park(c)
	}
	if c.detached {
		l.sh.giveBack(c)
		return false
	}
	l.sh.settle(c)
	return true
}

// park leaves a connection whose handler waits as a task. From here on any leader
// may resume it. False: overtaken.
func (l *leader) park(c *Conn) bool {
	inline := !c.detached
	c.parking, c.detached = false, false
	_ = c.register() // an error comes again when the handler is back
	c.task.park()
	return inline
}

// readFresh tries the first read of accepted connections before they are
// registered: when the request is there and the answer ends the connection, its
// whole life is accept4, read, write, close.
func (l *leader) readFresh() bool {
	sh := l.sh
	for len(sh.fresh) > 0 {
		c := sh.fresh[len(sh.fresh)-1]
		sh.fresh = sh.fresh[:len(sh.fresh)-1]
		if c.busy || c.state == connClosed {
			continue
		}
		if !l.look(c) {
			return false
		}
	}
	return true
}

// rescue runs when a leader's goroutine ends. A handler that called
// runtime.Goexit ends it inside a step: its connection ends, another leads.
func (l *leader) rescue() {
	c, sh := l.c, l.sh
	if t := l.free; t != nil {
		sh.coroutines.forget(t.co)
		if t.Leave() {
			sh.spawn(sh.lead)
		} else {
			sh.taskEnded(false)
		}
		return
	}
	if c == nil {
		return
	}
	if c.shared { // its driver has ended the exchange; the connection goes on
		if !l.lost() {
			sh.current = c
			sh.spawn(sh.lead)
		}
		return
	}
	c.Done(errGoexit)
	switch {
	case c.detached: // overtaken before: somebody leads
		sh.giveBack(c)
	case !c.busy: // the engine's own deferred EndHandler kept leadership here
		sh.settle(c)
		sh.spawn(sh.lead)
	default:
		c.detached = true
		if sh.token.take(c.word.Load()) {
			sh.spawn(sh.lead)
		}
		sh.giveBack(c)
	}
}

// settle brings a connection that no handler owns into its resting state.
func (sh *Shard) settle(c *Conn) {
	if c.over && (c.err != nil || c.Buffered() == 0) {
		sh.closeConn(c)
		return
	}
	if err := c.register(); err != nil {
		c.Done(err)
		sh.closeConn(c)
		return
	}
	sh.wheel.place(sh, c)
}

// rest ends a round: it harvests again, yields now and then, and waits when
// nothing is ready.
func (sh *Shard) rest() {
	sh.current = nil
	sh.next = 0
	sh.n = sh.poll.harvest(&sh.events)
	if sh.n == 0 && !sh.inbox.pending() && len(sh.fresh) == 0 {
		sh.park(false)
		sh.n = sh.poll.harvest(&sh.events)
		sh.standby.bell(sh)
		return
	}
	sh.setNow()
	switch busy := sh.now.Sub(sh.busyAt); {
	case busy >= spinLimit:
		// A yield is no poll: now and then let the scheduler look at the rest
		// of Go's poller, though this batch is ready.
		sh.park(true)
	case sh.now.Sub(sh.yielded) >= yieldEvery:
		// Others of this core: detached handlers, timers.
		sh.yielded = sh.now
		runtime.Gosched()
	}
	sh.standby.bell(sh)
}

// park waits in Go's poller: with yield until the scheduler has polled once,
// else until something happens.
func (sh *Shard) park(yield bool) {
	sh.standby.quiet()
	if !yield {
		sh.sleeping.Store(true)
		if sh.inbox.pending() { // pushed before it could see sleeping
			sh.sleeping.Store(false)
			return
		}
		sh.armTimer()
	}
	if err := sh.poll.wait(yield); err != nil {
		panic("BUG: shard gate: " + err.Error())
	}
	sh.sleeping.Store(false)
	sh.setNow()
	sh.busyAt = sh.now
	if sh.wheel.count == 0 {
		sh.wheel.done = sh.ticks(sh.now) / wheelTick
	}
	sh.watchdog.rouse()
}
