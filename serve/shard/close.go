package shard

import (
	"net/http"
	"syscall"
	"time"
)

// closeConn closes and forgets. Leader only, while not busy.
func (sh *Shard) closeConn(c *Conn) {
	if c.state == connClosed {
		return
	}
	c.state = connClosed
	if c.drv != nil { // nil: Open refused it
		c.drv.Close()
	}
	c.mu.Lock()
	if c.fd >= 0 {
		rawClose(c.fd) // which also leaves the epoll set
		c.fd = -1
	}
	c.release()
	c.mu.Unlock()
	sh.forgetConn(c)
	if !c.proxied { // else nobody was told of it
		c.SetState(http.StateClosed)
	}
}

// forgetConn frees c's place in the tables.
func (sh *Shard) forgetConn(c *Conn) {
	sh.wheel.remove(c)
	sh.conns[c.slot] = nil
	sh.free = append(sh.free, c.slot)
	sh.live--
	sh.counters.Open.Add(-1)
	if c.gated {
		c.svc.Gate.Release(c.counted())
	}
	c.svc.open.Add(-1)
	sh.reportGone(c.svc)
	sh.reportEmpty()
}

// drainOpen tells the open connections, once, that the server stops, or that
// their service leaves. An engine
// may serve a request there, so this is a step like any other. False: overtaken;
// the taker goes on behind it.
func (l *leader) drainOpen() bool {
	sh := l.sh
	if !sh.draining && !sh.retiring || sh.drainNext >= len(sh.conns) {
		return true
	}
	for sh.drainNext < len(sh.conns) {
		c := sh.conns[sh.drainNext]
		sh.drainNext++
		if c != nil && !c.busy && c.Draining() && !l.drain(c) {
			return false
		}
	}
	sh.retiring = false // those that were busy look by themselves
	sh.reportEmpty()
	return true
}

// drain tells one connection that the server stops. False: overtaken.
func (l *leader) drain(c *Conn) bool {
	c.drained = false // the engine looks once more; an edge may not be harvested yet
	l.c = c
	c.drv.Drain(l.sh.now)
	return l.after(c)
}

// cutAll ends all connections, those of svc alone unless it is nil, and counts
// those that were not idle.
func (sh *Shard) cutAll(svc *Service) (cut int) {
	for _, c := range sh.conns {
		if c == nil || c.client != nil || c.cut.Load() || svc != nil && c.svc != svc {
			continue
		}
		if !c.idle() {
			cut++
		}
		sh.cutConn(c)
	}
	return cut
}

// cutConn ends a connection. One that a handler owns is shut down here, and
// closed when the handler comes back.
func (sh *Shard) cutConn(c *Conn) {
	if !c.busy {
		c.Done(errCut)
		sh.settle(c)
		return
	}
	c.cut.Store(true)
	c.mu.Lock()
	if c.fd >= 0 {
		if c.registered.Load() {
			sh.poll.remove(c.fd)
		}
		rawShutdown(c.fd, syscall.SHUT_RDWR)
	}
	c.mu.Unlock()
	c.drv.OnCut()
	if w := c.waiter.Load(); w != nil {
		w.signal(evIn | evOut)
	}
}

// finish ends the shard: no connection is left. Leader only.
func (sh *Shard) finish() {
	sh.inbox.mu.Lock()
	sh.inbox.closed = true
	left := sh.inbox.queue
	sh.inbox.mu.Unlock()
	for _, m := range left {
		switch {
		case m.do != nil:
			m.do(sh.now)
		case m.closing != nil:
			sh.closeClient(m.closing)
		}
	}
	sh.cutAll(nil) // one of those may have opened a connection
	sh.endTasks()
	sh.forgetClients()
	sh.timer.Stop()
	sh.poll.close()
	sh.spare.Close()
	sh.standby.close()
	sh.spares.close()
	sh.coroutines.close()
	close(sh.stopped)
}

// CutLargest cuts the connection that keeps most bytes back (rule S-7).
func (sh *Shard) CutLargest() {
	sh.Do(func(time.Time) {
		var worst *Conn
		most := 0
		for _, c := range sh.conns {
			if c == nil || c.client != nil || c.cut.Load() {
				continue
			}
			if n := c.Buffered(); n > most {
				worst, most = c, n
			}
		}
		if worst != nil {
			sh.cutConn(worst)
		}
	})
}
