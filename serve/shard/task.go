package shard

import (
	"sync/atomic"
	"time"
)

// Task is a run of user code that waits for other connections of its shard, an
// answer from an upstream for the most part.
//
// In the common form it is a coroutine: the leader switches to it, and while it
// waits it switches back, so that a wait costs neither a wake-up nor a turn of
// Go's scheduler (BenchmarkTask, against a semaphore). A task that was overtaken
// parks just the same, and the next leader resumes it.
//
// The other form is a goroutine that hands leadership on and blocks: that of
// handlers which were not started as tasks, and of those that have hijacked their
// connection, for which the shard does not stay (block).
//
//	          Wait                     Wake, event
//	running ---------> parked -------------------> running (a leader resumes it)
//	   |                  \------> queued ---------^   (woken from elsewhere: inbox)
//	   +-------------> blocked -------------------> running (the goroutine form)
type Task struct {
	// Immutable while it runs.
	sh *Shard
	co *coroutine // nil: the goroutine form
	c  *Conn      // whose handler it is; nil: of Go

	// Owned by the task.
	left bool // the last park, or the end, left leadership where it was
	over bool // it has ended its turn for good

	// Atomic; any goroutine.
	word        atomic.Uint64 // of its present run; see token
	state       atomic.Uint32
	woken       atomic.Bool
	run         atomic.Uint64 // counts what the coroutine has carried
	interrupted atomic.Uint64 // 1 + the last run that was
	blocks      atomic.Bool   // it has the goroutine form, though it is a coroutine
	signal      chan struct{} // capacity 1; of the goroutine form
}

const (
	taskRunning = iota
	taskParked
	taskQueued
	taskBlocked
)

// A Runner is user code that runs as a task.
type Runner interface{ Run() }

// TaskKey asks a request's context for the Task it runs as.
type TaskKey struct{}

// NewTask is the goroutine form of the handler that runs in turn t; zero: of one
// that never led.
func (c *Conn) NewTask(t Turn) *Task {
	task := &Task{sh: c.sh, c: c, signal: make(chan struct{}, 1)}
	task.word.Store(uint64(t))
	return task
}

// PlainTask is NewTask for the handler that BeginHandler has marked.
func (c *Conn) PlainTask() *Task { return c.NewTask(Turn(c.word.Load())) }

// Shard is where the task runs.
func (t *Task) Shard() *Shard { return t.sh }

// Lead hands leadership on if the task runs inline: it is about to block, which
// is not Wait. Any goroutine of the handler.
func (t *Task) Lead() {
	if t.sh.token.take(t.word.Load()) {
		t.sh.counters.HandOffs.Add(1)
		t.sh.spawn(t.sh.lead)
	}
}

// Wait gives the shard to others until Wake, one from before included. Spurious
// returns happen: the caller looks again at what it waits for. Called by the
// task itself only.
func (t *Task) Wait() {
	if t.woken.Swap(false) {
		return
	}
	if t.co != nil && !t.blocks.Load() {
		t.left = t.sh.token.leave(t.word.Load())
		t.co.yield(parked)
		t.woken.Store(false)
		return
	}
	t.Lead()
	t.state.Store(taskBlocked)
	// Stored first, asked after; Wake does it the other way round.
	if !t.woken.Swap(false) || !t.state.CompareAndSwap(taskBlocked, taskRunning) {
		<-t.signal
	}
	t.woken.Store(false)
}

// block has the task wait in the goroutine form until it ends: nobody would resume
// a coroutine behind the shard's end. Called by its handler.
func (t *Task) block() {
	if t.signal == nil {
		t.signal = make(chan struct{}, 1)
	}
	t.blocks.Store(true)
}

// Wake ends a Wait, or the next one. Any goroutine.
func (t *Task) Wake() {
	t.woken.Store(true)
	if t.state.CompareAndSwap(taskParked, taskQueued) {
		t.sh.inbox.push(t.sh, message{task: t}) // false: the shard has ended, and its tasks before it
	} else if t.state.CompareAndSwap(taskBlocked, taskRunning) {
		t.signal <- struct{}{}
	}
}

// WakeAt wakes the task at d from now, unless stop is called before.
func (t *Task) WakeAt(d time.Duration) (stop func() bool) { return time.AfterFunc(d, t.Wake).Stop }

// Interrupt tells the task that its request has ended, and wakes it. Any
// goroutine, while the task cannot end.
func (t *Task) Interrupt() { t.interrupt(t.run.Load()) }

// Interrupter is Interrupt for who may come late: called when the task has ended it
// does nothing, for the Task may be another request's by then (TestLateInterrupt).
// It is asked for while the task cannot end, and the answer is for any goroutine.
func (t *Task) Interrupter() func() {
	run := t.run.Load()
	return func() { t.interrupt(run) }
}

func (t *Task) interrupt(run uint64) {
	for was := t.interrupted.Load(); was <= run; was = t.interrupted.Load() {
		if t.run.Load() != run {
			return
		}
		if t.interrupted.CompareAndSwap(was, run+1) {
			break // a run that has begun since does not mind
		}
	}
	t.Wake() // at worst a spurious one
}

// Interrupted tells whether Interrupt was called.
func (t *Task) Interrupted() bool { return t.interrupted.Load() == t.run.Load()+1 }

// park lets leaders resume the task. It is called by the goroutine that came
// back from it, as the last thing it does with it.
func (t *Task) park() {
	t.state.Store(taskParked)
	if t.woken.Load() && t.state.CompareAndSwap(taskParked, taskQueued) {
		t.sh.inbox.push(t.sh, message{task: t})
	}
}

// RunTask runs r as a task, between BeginHandler and EndHandler. parked: it
// waits; the step returns, and OnResume comes when it goes on.
func (c *Conn) RunTask(r Runner) (parked bool) {
	co := c.sh.coroutines.get(c.sh, false)
	co.begin(c, r)
	c.task = &co.task
	return c.switchTo(co)
}

// ResumeTask goes on with the task that has parked, between BeginHandler and
// EndHandler, as RunTask.
func (c *Conn) ResumeTask() (parked bool) { return c.switchTo(c.task.co) }

func (c *Conn) switchTo(co *coroutine) (isParked bool) {
	co.task.word.Store(c.word.Load())
	if co.resume() == parked {
		c.detached = !co.task.left
		c.parking = true
		return true
	}
	c.task = nil
	c.sh.coroutines.put(co)
	return false
}

// Task is the one that the connection's handler runs as; nil: it is none.
func (c *Conn) Task() *Task { return c.task }

// Go runs f as a task of its own, inline on whoever leads. Any goroutine.
// False: the shard has ended.
func (sh *Shard) Go(f func(*Task)) bool {
	co := sh.coroutines.get(sh, true)
	co.begin(nil, freeRun{co, f})
	co.task.state.Store(taskQueued)
	if !sh.inbox.push(sh, message{task: &co.task}) {
		co.run = nil
		sh.coroutines.put(co)
		return false
	}
	return true
}

// freeRun is a Runner for a function.
type freeRun struct {
	co *coroutine
	f  func(*Task)
}

func (r freeRun) Run() { r.f(&r.co.task) }

// wakeTask resumes t if it is parked, or wakes it for later. False: overtaken.
func (l *leader) wakeTask(t *Task) bool {
	if !t.state.CompareAndSwap(taskParked, taskRunning) {
		t.Wake()
		return true
	}
	return l.resumeTask(t)
}

// takeTask resumes a task that came through the inbox. False: overtaken.
func (l *leader) takeTask(t *Task) bool {
	if !t.state.CompareAndSwap(taskQueued, taskRunning) {
		return true
	}
	return l.resumeTask(t)
}

// resumeTask goes on with t, which is running by now. False: overtaken.
func (l *leader) resumeTask(t *Task) bool {
	c := t.c
	if c == nil {
		return l.runFree(t)
	}
	l.c = c
	c.drv.(TaskDriver).OnResume(l.sh.now)
	if !l.after(c) {
		return false
	}
	// What came while it was parked is no edge any more (TestBytesWhileParked).
	if !c.busy && !c.shared && c.state != connClosed && c.takeEvents(evRead) {
		return l.readable(c)
	}
	return true
}

// runFree gives a task without a connection its turn. False: overtaken.
func (l *leader) runFree(t *Task) bool {
	sh := l.sh
	sh.current = sh.nobody
	t.word.Store(sh.token.enter())
	l.free = t
	v := t.co.resume()
	l.free = nil
	if v == parked {
		inline := t.left
		t.park()
		return inline
	}
	inline := t.Leave()
	sh.coroutines.put(t.co)
	sh.taskEnded(inline)
	return inline
}

// taskEnded lets a shard that waits for its last task look again, if that has ended
// beside the leader.
func (sh *Shard) taskEnded(inline bool) {
	if !inline {
		sh.inbox.push(sh, message{do: func(time.Time) {}}) // false: it has ended already
	}
}

// Leave ends the turn of a task that is about to end; twice is no matter. False:
// it was overtaken, and whoever resumed it leads no more.
func (t *Task) Leave() (inline bool) {
	if !t.over {
		t.over = true
		t.left = t.sh.token.leave(t.word.Load())
	}
	return t.left
}

// idleDriver is that of a task without a connection.
type idleDriver struct{}

func (idleDriver) OnReadable(time.Time) {}
func (idleDriver) OnWritable(time.Time) {}
func (idleDriver) OnTimer(time.Time)    {}
func (idleDriver) OnHangup()            {}
func (idleDriver) OnCut()               {}
func (idleDriver) OnOvertaken()         {}
func (idleDriver) Drain(time.Time)      {}
func (idleDriver) Close() error         { return nil }
