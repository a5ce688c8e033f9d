package h2

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// ErrWouldBlock is what Host.Read answers when nothing is there now. Only the
// event loop's hosts answer it; a blocking one waits instead.
var ErrWouldBlock = errors.New("h2: would block")

// A Turn is one inline run of a handler, as its host names it. Zero: the
// handler has a goroutine of its own and never led.
type Turn uint64

// A Task is a handler that runs as a coroutine of the loop: it may wait without its
// goroutine, and goes on beside the steps of its connection.
type Task interface {
	// CurrentTurn is that of its present run.
	CurrentTurn() uint64
	// Leave is EndTurn, called by the task itself.
	Leave() (inline bool)
	// Park lets a task that waits go on. Nothing may be done with it afterwards.
	Park()
}

// A TaskRunner is what runs as a task, and is told as which before it does.
type TaskRunner interface {
	SetTask(t Task)
	Run()
}

// Host is the connection under the engine: a byte stream, and the loop that
// drives it.
//
// Two forms stand behind it. In the event loop one goroutine at a time leads
// and makes the engine's steps; nothing here waits. In the portable form a
// goroutine waits in Read, OnWritable and OnTimer come from others, and
// handlers start on goroutines of their own.
type Host interface {
	// Read reads what is there into p. n == 0 with ErrWouldBlock: nothing now.
	// io.EOF: the peer has closed its half. Never (0, nil). In a step only; in
	// the portable form without the engine's lock.
	Read(p []byte) (n int, err error)
	// Write takes all of p and never waits: what the socket does not take now is
	// copied, so p may be reused at once. Calls come one at a time, from any
	// goroutine, under the engine's lock. An error is final.
	Write(p []byte) (n int, err error)
	// Buffered is the number of bytes Write took and the kernel did not yet. When
	// it falls to zero after it was more, OnWritable is called.
	Buffered() int
	// Blocks tells that Read waits (the portable form).
	Blocks() bool

	// Now is the present. In a step only.
	Now() time.Time
	// TurnClock is the wall clock for the handler of t, from any goroutine.
	TurnClock(t Turn) time.Time
	// SetTimer arms the connection's one coarse timer: OnTimer is called at or
	// after t. Zero t: none. In a step only.
	SetTimer(t time.Time)

	// BeginTurn is called right before a handler runs inline, EndTurn right after
	// (also when it panicked). inline false: it was overtaken. Others lead the
	// connection now; this goroutine finishes its own stream under the engine's
	// lock and returns from the step at once.
	BeginTurn() Turn
	EndTurn(t Turn) (inline bool)
	// LeadTurn hands leadership on if t still runs inline: it is about to wait.
	LeadTurn(t Turn)
	// Leading tells whether t runs inline still. What is gathered under the
	// engine's lock while it does leaves with the step, whoever ends it.
	Leading(t Turn) bool
	// WorkBehind tells that a step has more to do behind the handler that comes next.
	WorkBehind()
	// ContextValue answers what the handler of t asks its context of the host; ok
	// false: it does not know the key. task is nil where it runs as none.
	ContextValue(key any, t Turn, task Task) (value any, ok bool)
	// RunTask runs a handler as a task, in place of BeginTurn and EndTurn: parked, it
	// waits, and Task.Park lets it go on; inline as EndTurn's. Only with Config.Tasks.
	RunTask(r TaskRunner) (parked, inline bool)
	// Wake asks for OnWritable soon. Any goroutine, without the engine's lock.
	Wake()

	// Draining tells that the server is stopping.
	Draining() bool
	// ShedKeepAlive tells that memory is short (S-7): the connection is to end.
	ShedKeepAlive() bool
	// CloseWrite sends FIN (TLS: close_notify, then FIN). In a step only, when
	// nothing is buffered.
	CloseWrite() error
	// Done ends the connection: closed by the host when the step returns and
	// what is buffered has left, or at once if err is not nil. In a step only.
	Done(err error)

	RemoteAddr() net.Addr
	LocalAddr() net.Addr
	// RemoteAddrString is RemoteAddr().String(). In a step only.
	RemoteAddrString() string
	// SetState reports http.ConnState changes (StateActive, StateIdle; the host
	// knows the others). In a step only.
	SetState(http.ConnState)
}
