package shard

import (
	"iter"
	"sync"
)

// maxCoroutines bounds those that are kept for the next task. Each keeps its grown
// stack, 8 KiB as a rule: 4 MiB a shard. Streams of HTTP/2 come and go by the
// hundred (BenchmarkTask), and making one costs as much as 20 switches.
const maxCoroutines = 512

// verdict is what a coroutine has switched back for.
type verdict bool

const (
	parked   verdict = false
	finished verdict = true
)

// coroutine carries one task after the other. iter.Pull switches to it and back
// without the scheduler, and raises its panics and Goexits in the resumer.
type coroutine struct {
	next  func() (verdict, bool)
	stop  func()
	yield func(verdict) bool
	run   Runner
	task  Task

	// coroutines.mu guards the following.
	free          bool // no connection is its task's own
	before, after *coroutine
}

func newCoroutine(sh *Shard) *coroutine {
	co := &coroutine{}
	co.task.sh, co.task.co = sh, co
	co.next, co.stop = iter.Pull(func(yield func(verdict) bool) {
		co.yield = yield
		for {
			co.run.Run()
			co.run = nil
			if !yield(finished) {
				return
			}
		}
	})
	return co
}

// begin readies the coroutine's task for r, the handler of c.
func (co *coroutine) begin(c *Conn, r Runner) {
	co.run = r
	t := &co.task
	t.c = c
	t.state.Store(taskRunning)
	t.woken.Store(false)
	t.blocks.Store(false)
	t.run.Add(1)
	t.over = false
}

// resume switches to the coroutine until it has parked or finished.
func (co *coroutine) resume() verdict {
	v, _ := co.next()
	return v
}

// coroutines keeps idle ones, last in first out. Locked: overtaken tasks end here
// too.
type coroutines struct {
	mu     sync.Mutex
	idle   []*coroutine
	free   *coroutine // those whose task has no connection of its own; a list
	closed bool
}

// get takes an idle coroutine, or makes one. free: its task has no connection of its
// own, and the shard ends behind it.
func (s *coroutines) get(sh *Shard, free bool) *coroutine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var co *coroutine
	if n := len(s.idle); n > 0 {
		co = s.idle[n-1]
		s.idle[n-1] = nil
		s.idle = s.idle[:n-1]
	} else {
		co = newCoroutine(sh)
	}
	if free {
		co.free, co.after = true, s.free
		if s.free != nil {
			s.free.before = co
		}
		s.free = co
	}
	return co
}

// unlist takes co out of the list of free ones. mu is held.
func (s *coroutines) unlist(co *coroutine) {
	if !co.free {
		return
	}
	if co.before != nil {
		co.before.after = co.after
	} else {
		s.free = co.after
	}
	if co.after != nil {
		co.after.before = co.before
	}
	co.free, co.before, co.after = false, nil, nil
}

// put takes a coroutine back whose task has ended.
func (s *coroutines) put(co *coroutine) {
	co.task.c = nil
	s.mu.Lock()
	s.unlist(co)
	keep := !s.closed && len(s.idle) < maxCoroutines
	if keep {
		s.idle = append(s.idle, co)
	}
	s.mu.Unlock()
	if !keep {
		co.stop()
	}
}

// forget drops a coroutine that runtime.Goexit has ended.
func (s *coroutines) forget(co *coroutine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlist(co)
}

// away tells whether a free task has not ended.
func (s *coroutines) away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free != nil
}

// interrupt ends the waits of all free tasks.
func (s *coroutines) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for co := s.free; co != nil; co = co.after {
		co.task.Interrupt()
	}
}

// close ends the idle ones; the others end when they are done.
func (s *coroutines) close() {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, co := range idle {
		co.stop()
	}
}
