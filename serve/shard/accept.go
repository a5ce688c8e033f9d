package shard

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

const (
	// acceptBurst bounds the accepts between two batches, so that a flood of
	// connections does not starve those that are open.
	acceptBurst = 64

	// listenerGen in an event marks a listening socket.
	listenerGen = 0

	// evictions is how many of the oldest idle connections make room at the
	// ceiling (rule S-4): one scan of the table pays for that many accepts.
	evictions = 32
)

// socket is one listening socket of the shard. Owned by the leader.
type socket struct {
	*listener.Socket
	svc      *Service
	slot     uint32
	dealt    int
	paused   bool
	resumeAt time.Time
	backoff  listener.Backoff
}

// listen begins to accept from s.
func (sh *Shard) listen(s *listener.Socket, svc *Service) error {
	k := &socket{Socket: s, svc: svc, slot: uint32(len(sh.sockets))}
	if err := sh.poll.addListener(s.FD(), k.slot); err != nil {
		return fmt.Errorf("watch listening socket: %w", err)
	}
	sh.sockets = append(sh.sockets, k)
	return nil
}

// accept takes what waits in the queue, at most a burst; a level-triggered
// socket reports the rest again.
func (sh *Shard) accept(k *socket) {
	if k == nil || k.paused {
		return
	}
	sh.spare.Regain()
	for range acceptBurst {
		fd, remote, err := k.Accept()
		if err != nil {
			sh.acceptFailed(k, err)
			return
		}
		sh.counters.Accepted.Add(1)
		a := accepted{fd: fd, remote: remote, proxied: k.svc.Proxies.Trusts(remote)}
		if !sh.admit(k.svc, &a) {
			sh.counters.Refused.Add(1)
			rawClose(fd)
			continue
		}
		sh.deal(a, k)
	}
}

// accepted is a connection on its way to its shard.
type accepted struct {
	fd      int
	remote  netip.AddrPort
	gated   bool // counted by the gate, which wants it back
	proxied bool // it begins with a PROXY header
}

// counted is the address that the gate counts it by: a proxy has no ceiling of its
// own, and its client is not known yet.
func (a accepted) counted() netip.Addr {
	if a.proxied {
		return netip.Addr{}
	}
	return a.remote.Addr()
}

// deal gives a connection to the next shard, where one socket serves several.
func (sh *Shard) deal(a accepted, k *socket) {
	to := k.svc
	if n := len(k.svc.Spread); n > 0 {
		k.dealt++
		to = k.svc.Spread[k.dealt%n]
	}
	if to.Shard == nil || to.Shard == sh {
		sh.open(a, to)
	} else if !to.Shard.Do(func(time.Time) { to.Shard.open(a, to) }) {
		rawClose(a.fd) // that shard has ended, and so does the server
		if a.gated {
			k.svc.Gate.Release(a.counted())
		}
	}
}

// admit asks the ceilings; near the total the oldest idle connections go first.
func (sh *Shard) admit(svc *Service, a *accepted) bool {
	if svc.Gate == nil {
		return true
	}
	v := svc.Gate.Admit(a.counted())
	if v == listener.RefusedTotal && sh.evictIdle(evictions) > 0 {
		v = svc.Gate.Admit(a.counted())
	}
	a.gated = v == listener.Admitted
	return a.gated
}

// acceptFailed sorts an error into its class (rule S-5).
func (sh *Shard) acceptFailed(k *socket, err error) {
	switch listener.Classify(err) {
	case listener.ClassAgain:
		k.backoff.Reset()
	case listener.ClassRetry:
		// The peer's fault (ECONNABORTED, EINTR): level-triggered, so it is tried again.
	case listener.ClassBackOff:
		delay, log := k.backoff.Next(sh.now, err)
		if log {
			sh.cfg.Log.Error("accept failed; waiting", slog.String("address", k.svc.Listener.Addr().String()),
				slog.String("error", err.Error()), slog.Duration("delay", delay))
		}
		sh.evictIdle(evictions) // make room where descriptors are what lacks
		if k.backoff.Failing(sh.now) >= listener.ShedAfter {
			// Clients that wait this long are better told so than left hanging.
			sh.counters.Refused.Add(uint64(sh.spare.Shed(k.Socket)))
		}
		k.paused, k.resumeAt = true, sh.now.Add(delay)
		sh.poll.pauseListener(k.FD(), k.slot)
		sh.wheel.want(sh.ticks(k.resumeAt))
	default:
		sh.forget(k)
		if sh.cfg.Fatal != nil {
			sh.cfg.Fatal(fmt.Errorf("accept on %s: %w", k.svc.Listener.Addr(), err))
		}
	}
}

// resume ends the pauses that are over.
func (sh *Shard) resume() {
	for _, k := range sh.sockets {
		if k == nil || !k.paused {
			continue
		}
		if sh.now.Before(k.resumeAt) {
			sh.wheel.want(sh.ticks(k.resumeAt))
			continue
		}
		k.paused = false
		sh.poll.resumeListener(k.FD(), k.slot)
	}
}

// forget stops accepting from k. Its slot is not used again.
func (sh *Shard) forget(k *socket) {
	sh.poll.remove(k.FD())
	sh.sockets[k.slot] = nil
}

// Leave takes svc's sockets out of the shard after everything that the kernel
// has completed was accepted, and reports through done. The caller has
// quiesced the group and waited a round trip, and closes the sockets. The queue of
// sockets that another process has too (Service.Shared) is left to it: nobody
// keeps new connections out there, so it might never be empty.
func (sh *Shard) Leave(svc *Service, done func()) {
	ok := sh.Do(func(time.Time) {
		for _, k := range sh.sockets {
			if k != nil && k.svc == svc {
				if svc.Shared == nil || !svc.Shared() {
					sh.drainQueue(k)
				}
				sh.forget(k)
			}
		}
		done()
	})
	if !ok {
		done()
	}
}

// drainQueue accepts until the queue is empty; the group is quiesced, so the
// backlog bounds it. The ceilings are not asked: these clients were let in
// before the stop. Out of descriptors, idle connections and then the spare
// one make room.
func (sh *Shard) drainQueue(k *socket) {
	for {
		fd, remote, err := k.Accept()
		if err == nil {
			sh.counters.Accepted.Add(1)
			sh.deal(accepted{fd: fd, remote: remote, proxied: k.svc.Proxies.Trusts(remote)}, k)
			continue
		}
		switch listener.Classify(err) {
		case listener.ClassRetry:
		case listener.ClassBackOff:
			if sh.evictIdle(evictions) == 0 {
				sh.counters.Refused.Add(uint64(sh.spare.Shed(k.Socket)))
				return
			}
		default:
			return
		}
	}
}

// open makes a connection of an accepted descriptor. Its first step comes at
// the end of the batch, before it is registered anywhere.
func (sh *Shard) open(a accepted, svc *Service) {
	c := &Conn{sh: sh, fd: a.fd, svc: svc, remote: a.remote, gated: a.gated, nameless: a.proxied, proxied: a.proxied}
	sh.place(c)
	c.unix = !a.remote.IsValid()
	sh.live++
	sh.counters.Open.Add(1)
	svc.open.Add(1)
	if !a.proxied { // whom it is from is not known before Introduce
		c.SetState(http.StateNew)
	}
	if c.drv = svc.Open(c); c.drv == nil {
		c.Done(syscall.ECONNABORTED)
		sh.closeConn(c)
		return
	}
	sh.fresh = append(sh.fresh, c)
}

// place gives c a slot in the table, and a generation.
func (sh *Shard) place(c *Conn) {
	if n := len(sh.free); n > 0 {
		c.slot = sh.free[n-1]
		sh.free = sh.free[:n-1]
		sh.conns[c.slot] = c
	} else {
		c.slot = uint32(len(sh.conns))
		sh.conns = append(sh.conns, c)
	}
	sh.lastGen++
	if sh.lastGen == listenerGen {
		sh.lastGen++
	}
	c.gen = sh.lastGen
}

// evictIdle closes up to n of the connections that have been idle longest.
func (sh *Shard) evictIdle(n int) (closed int) {
	oldest := sh.idleSince(n)
	for _, c := range sh.conns {
		if closed == n {
			break
		}
		if c != nil && c.idle() && c.idleSince <= oldest {
			sh.counters.Evicted.Add(1)
			c.Done(nil)
			sh.settle(c)
			closed++
		}
	}
	return closed
}

// idleSince finds the time up to which about n connections have been idle.
func (sh *Shard) idleSince(n int) int64 {
	kept := make([]int64, 0, n+1) // the n smallest, sorted
	for _, c := range sh.conns {
		if c == nil || !c.idle() {
			continue
		}
		i := len(kept)
		for i > 0 && kept[i-1] > c.idleSince {
			i--
		}
		if i == n {
			continue
		}
		kept = append(kept, 0)
		copy(kept[i+1:], kept[i:])
		kept[i] = c.idleSince
		kept = kept[:min(len(kept), n)]
	}
	if len(kept) == 0 {
		return -1
	}
	return kept[len(kept)-1]
}
