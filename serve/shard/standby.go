package shard

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// slowFor is how long a shard stays alert after a handler was overtaken.
	slowFor = time.Second
	// lateAfter is how long the standby of a machine with idle cores watches a
	// handler before it calls it late. A takeover costs about 1 us, a handler
	// of that length pays for it.
	lateAfter = 20 * time.Microsecond
	// standbyRest is how long the standby stays away after it was woken for
	// nothing: an idle core polls and wakes it although the leader is merely busy.
	standbyRest = time.Millisecond
)

// standby is the goroutine that takes leadership from a handler that parks. It
// waits in Go's poller on an eventfd, the bell. While the leader runs, its core
// does not poll, so a pending ring costs nothing; when the leader's goroutine
// parks inside a handler, the scheduler itself polls, finds the bell, and runs
// the standby.
//
// With more than one core an idle core would answer every ring. There the bell
// is rung only while handlers have lately been overtaken (slowUntil); the
// watchdog finds the first one.
type standby struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
	rung atomic.Bool
}

func (s *standby) init() error {
	fd, err := newEventfd()
	if err != nil {
		return err
	}
	s.fd = fd
	s.file, s.raw, err = pollable(fd, "shard bell")
	return err
}

// bell is called by the leader with a new batch. Work waits behind a handler
// when the batch has more than one; for a batch of one it is rung only in alert
// times, since the ring and its undoing cost two system calls.
func (s *standby) bell(sh *Shard) {
	if sh.n > 1 || sh.n == 1 && sh.alert() {
		s.ring(sh)
	}
}

// ring is called by the leader when work waits behind the handler that comes
// next. With idle cores it is kept for alert times.
func (s *standby) ring(sh *Shard) {
	if s.rung.Load() || sh.procs > 1 && !sh.alert() {
		return
	}
	s.rung.Store(true)
	ringEventfd(s.fd)
}

// alert tells whether a handler was overtaken lately.
func (sh *Shard) alert() bool { return sh.slowUntil.Load() >= sh.ticks(sh.now) }

// quiet takes the ring back before the leader waits itself: nothing waits
// behind a handler then.
func (s *standby) quiet() {
	if s.rung.Load() {
		drainEventfd(s.fd)
		s.rung.Store(false)
	}
}

func (s *standby) close() {
	s.file.Close()
}

// await parks until the bell rings. False: closed.
func (s *standby) await() bool {
	return s.raw.Read(func(uintptr) bool { return drainEventfd(s.fd) }) == nil
}

func (sh *Shard) runStandby() {
	for sh.standby.await() {
		w := sh.token.word.Load()
		if w&inHandler != 0 && sh.late(w) && sh.overtake(w) {
			sh.standby.rung.Store(false) // first: the next leader may ring at once
			sh.spawn(sh.lead)
			continue
		}
		if sh.procs > 1 {
			time.Sleep(standbyRest)
		}
		sh.standby.rung.Store(false)
	}
}

// late tells whether the handler of w does not come back. On one core the
// standby runs only because the handler's goroutine does not.
func (sh *Shard) late(w uint64) bool {
	if sh.procs == 1 {
		return true
	}
	for start := time.Now(); time.Since(start) < lateAfter; {
		if sh.token.word.Load() != w {
			return false
		}
		runtime.Gosched()
	}
	return sh.token.word.Load() == w
}

// overtake takes leadership from the handler that entered with w. True: the
// caller holds it, and starts a leader.
func (sh *Shard) overtake(w uint64) bool {
	if !sh.token.take(w) {
		return false
	}
	sh.counters.Overtaken.Add(1)
	sh.slowUntil.Store(sh.ticks(time.Now().Add(slowFor)))
	// A fresh connection is served before it is registered; from here on its
	// handler may want to know that the peer has gone.
	sh.current.tryRegister()
	// Earlier answers of the connection never wait for its slow handler.
	sh.current.drv.OnOvertaken()
	return true
}
