package h1

import (
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// ErrWouldBlock is what Stream.Read and Stream.SendFile answer when the
// transport has nothing to give or take now. Only the event loop's streams
// answer it; a blocking stream waits instead.
var ErrWouldBlock = errors.New("h1: would block")

// Host is the connection under the engine: a byte stream, and the loop that
// drives it. The engine calls it from whatever goroutine runs the exchange;
// each half (read, write) is used by one goroutine at a time, which the
// engine ensures by its own locks.
//
// Two forms stand behind it. In the event loop nothing here blocks except
// WaitReadable and WaitWritten. In the portable form (one goroutine a
// connection) Read and Write block and the Wait methods return at once.
type Host interface {
	// Read reads what is there into p. n == 0 with ErrWouldBlock: nothing now.
	// io.EOF: the peer has closed its half. Never (0, nil).
	Read(p []byte) (n int, err error)
	// Write takes all of p: what the socket does not take now is copied, so p
	// may be reused at once. One system call, or one for each 64 KiB. An error is final.
	Write(p []byte) (n int, err error)
	// WriteMore is Write when more follows at once (MSG_MORE): a head before SendFile.
	WriteMore(p []byte) (n int, err error)
	// WriteBoth takes all of head, and of body what can leave with it in one
	// system call; n tells how much of body that was, the rest is the caller's.
	WriteBoth(head, body []byte) (n int, err error)
	// Buffered is the number of bytes Write took and the kernel did not yet.
	Buffered() int
	// CanSendFile tells whether SendFile and SendPipe work here (clear TCP on Linux).
	CanSendFile() bool
	// SendFile sends up to n bytes of f from off without moving its position. It sends what the
	// socket takes now and answers ErrWouldBlock when that is nothing, io.ErrUnexpectedEOF
	// when the file ends early. Only while Buffered() == 0.
	SendFile(f *os.File, off, n int64) (sent int64, err error)
	// SendPipe likewise sends up to n bytes that lie in the pipe whose reading end is fd.
	SendPipe(fd int, n int64) (sent int64, err error)

	// WaitReadable is for calls made by a handler (Body.Read): it hands
	// leadership on if this handler runs inline, then waits until the
	// transport may be readable, WakeReader is called, or the read deadline
	// passes (os.ErrDeadlineExceeded). net.ErrClosed when the connection was cut.
	WaitReadable() error
	// WaitWritable likewise, until Buffered() <= max, or (SendFile, SendPipe) the socket takes bytes again.
	// The write progress deadline (rule S-3) is the host's.
	WaitWritable(max int) error
	// WakeReader ends a WaitReadable of another goroutine (it returns nil; the caller looks again).
	WakeReader()

	// Blocks tells that Read and Write wait (the portable form): before a Read
	// the engine sends what it gathered and sets its timer.
	Blocks() bool
	// WallClock is the present for the Date field. Any goroutine of a handler
	// may ask.
	WallClock() time.Time
	// Now is the present: the loop's, read once a batch, or the clock's.
	// Only for whoever steps the connection, not from inside a handler.
	Now() time.Time
	// SetTimer arms the connection's one coarse timer (replacing the former
	// time): OnTimer is called at or after t if no handler runs. Zero t: none.
	SetTimer(t time.Time)
	// SetReadDeadline and SetWriteDeadline bound the waits of a running
	// handler exactly (ResponseController, body progress). Zero: none.
	SetReadDeadline(t time.Time)
	SetWriteDeadline(t time.Time)

	// BeginHandler is called right before ServeHTTP, EndHandler right after
	// (also when it panicked). inline false: the handler was overtaken, others
	// lead now; the engine finishes this exchange (answer, flush), and returns
	// from the step without looking for the next request. The host gives the
	// connection back to its loop, which calls OnReadable again.
	BeginHandler()
	EndHandler() (inline bool)
	// RunTask runs r as a task between BeginHandler and EndHandler. parked: it
	// waits for something else than this connection. EndHandler is not called then,
	// the step returns, and OnResume comes when it goes on. Not in the portable form.
	RunTask(r interface{ Run() }) (parked bool)
	// ResumeTask goes on with it, likewise between BeginHandler and EndHandler.
	ResumeTask() (parked bool)
	// Lead hands leadership on if this handler runs inline: it is about to wait.
	Lead()
	// ContextValue answers what requests ask their context of the host; ok false:
	// it does not know the key.
	ContextValue(key any) (value any, ok bool)
	// WatchHangup asks for OnHangup when the peer goes away while a handler
	// runs. The event loop always tells; the portable form begins to watch here
	// (once a request; only called when the request body has been read).
	WatchHangup()
	// StopWatch ends the watch before the engine reads again (portable form); bytes
	// the watch read come back by the next Read.
	StopWatch()

	// Draining tells that the server is stopping: answers carry Connection: close.
	Draining() bool
	// ShedKeepAlive tells that memory is short (S-7): answer with Connection: close.
	ShedKeepAlive() bool
	// CloseWrite sends FIN (TLS: close_notify, then FIN) after what is buffered.
	CloseWrite() error
	// Done ends the connection: closed by the host when the step returns and
	// what is buffered has left, or at once if err is not nil. Idempotent.
	Done(err error)
	// Hijack takes the connection out of the loop, passes leadership on, and gives a plain
	// net.Conn (net's deadlines, concurrent Read and Write). The engine is over then.
	Hijack() (net.Conn, error)

	RemoteAddr() net.Addr
	LocalAddr() net.Addr
	// RemoteAddrString is RemoteAddr().String(), rendered once a connection.
	RemoteAddrString() string
	// SetState reports http.ConnState changes (StateActive, StateIdle; the host knows the others).
	SetState(http.ConnState)
}
