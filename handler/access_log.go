package handler

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// AccessLogOptions shapes an AccessLog: where it writes, what, and how much may
// wait for it.
type AccessLogOptions struct {
	// Path is a file that lines are appended to, made with mode 0640 if it is not
	// there; "-" is standard output. Lines are written whole, so that two
	// processes may share a file.
	Path string
	// Off begins without a place, in place of Path and Writer: nothing is written
	// until Move.
	Off bool
	// Writer is used in place of Path. It is not closed. If it has a method
	// SetWriteDeadline, Close ends a write with it that hangs.
	Writer io.Writer
	// QueueBytes and QueueLines bound what waits to be written; lines beyond
	// either are dropped and counted. If zero, 4 MiB and 32,768 lines. Negative
	// values are as zero: there is always a bound.
	QueueBytes int
	QueueLines int
	// FlushInterval is how long a line may wait for others, to be written with
	// them in one call. If zero, 100 ms. If negative, none: lower latency of the
	// log, at a wake-up for almost every line.
	FlushInterval time.Duration
	// Query also logs the query, with "-" in place of the values of fields that
	// are called like credentials (token, password, ...). Off by default: who
	// names a secret otherwise finds it in the log.
	Query bool
	// Client tells the client's address. If nil, the request's RemoteAddr: behind
	// a proxy, that is the proxy's.
	Client func(x *Exchange) string
	// Skip leaves out a request, at its end: probes, for example. If nil, none is.
	Skip func(x *Exchange) bool
	// ErrorLog is told when lines are lost, at most every ten seconds. If nil,
	// slog.Default().
	ErrorLog *slog.Logger
}

// AccessLog writes one line of JSON for each request, when it ends:
//
//	{"time":"2026-10-01T12:00:00.000Z","id":"...","client":"192.0.2.1:40000","method":"GET","host":"a.example",
//	"path":"/x","query":"a=b","protocol":"HTTP/2.0","status":200,"bytes":12,"seconds":0.000123,"route":"/",
//	"user":"u","agent":"curl/8","referer":"https://b.example/","aborted":true}
//
// time is when the request came, bytes the content of the answer, seconds the time
// until its handler ended. status is 499 if the client left before an answer, 0 if
// there was none for another reason, 101 after a Hijack. Fields that are empty are
// left out, but for status and bytes. Values of the client are escaped, so that a
// line is a line and a terminal shows it as it is, and cut with "…". Authorization,
// Cookie and the user info and query of Referer are never written.
//
// No request waits or fails for the log, whatever becomes of disk or pipe: a line
// goes into a bounded queue of memory, and one goroutine writes it. What the queue
// has no room for is dropped and counted.
type AccessLog struct {
	opts  AccessLogOptions
	sink  *logSink
	queue *logQueue
	off   atomic.Bool // nothing is written
}

// AccessLogStats are counts since the start.
type AccessLogStats struct {
	Written uint64 // lines that were written whole
	Dropped uint64 // lines that were lost: the queue was full, or a write failed
	Errors  uint64 // writes that failed
	Queued  int    // bytes that wait now
}

// NewAccessLog opens the file and starts the writing goroutine, which Close ends.
func NewAccessLog(opts AccessLogOptions) (*AccessLog, error) {
	if opts.ErrorLog == nil {
		opts.ErrorLog = slog.Default()
	}
	if opts.Off {
		opts.Path, opts.Writer = "", io.Discard
	}
	sink, err := newLogSink(opts.Path, opts.Writer)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	l := &AccessLog{opts: opts, sink: sink, queue: newLogQueue(sink, opts)}
	l.off.Store(opts.Off)
	return l, nil
}

// LogPlace is an open place that a log may move to. Open it by OpenLogPlace.
type LogPlace struct {
	path string
	file *os.File
	own  bool
}

// OpenLogPlace opens a file as AccessLogOptions.Path does; empty: nowhere.
func OpenLogPlace(path string) (*LogPlace, error) {
	p := &LogPlace{path: path}
	var err error
	switch path {
	case "":
	case "-":
		p.path = ""
		p.file, p.own, err = openStdout()
	default:
		p.file, err = openLog(path)
		p.own = true
	}
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return p, nil
}

// Close lets go of a place that no log has moved to.
func (p *LogPlace) Close() {
	if p.own && p.file != nil {
		_ = p.file.Close() // nothing was written
	}
}

// Move makes the next lines go to another place, which is the log's own from now
// on. What is queued may go there too. Any goroutine may call it.
func (l *AccessLog) Move(p *LogPlace) {
	if p.file == nil {
		l.off.Store(true)
		_ = l.sink.move("", nil, false) // closed: nothing is written anyway
		return
	}
	_ = l.sink.move(p.path, p.file, p.own)
	l.off.Store(false)
}

// Begin has nothing to do.
func (l *AccessLog) Begin(*Exchange) bool { return true }

// End queues the line. It keeps nothing of x.
func (l *AccessLog) End(x *Exchange) {
	if l.off.Load() || l.opts.Skip != nil && l.opts.Skip(x) {
		return
	}
	buf := bufpool.Get(maxLogLine)
	buf.B = l.appendLine(buf.B, x, x.Took())
	l.queue.put(buf.B)
	buf.Release()
}

// Reopen opens the file by its name again, after it was renamed: the next lines
// go there. On an error the old file stays. Any goroutine may call it; for
// standard output and an own Writer it does nothing.
func (l *AccessLog) Reopen() error {
	if err := l.sink.reopen(); err != nil {
		return fmt.Errorf("access log: reopen: %w", err)
	}
	return nil
}

// Stats may be called at any time.
func (l *AccessLog) Stats() AccessLogStats { return l.queue.stats() }

// Close writes what is queued and closes the file. At the end of ctx what still
// waits is dropped and its error returned; a write that hangs for ever then keeps
// its goroutine, and the file open, but nobody waits for them. Requests that end
// later are dropped. It may be called twice.
func (l *AccessLog) Close(ctx context.Context) error {
	if err := l.queue.close(ctx); err != nil {
		return fmt.Errorf("access log: close: %w", err)
	}
	return nil
}

// Readings are the counts for Readings, a collector of metrics.
func (s AccessLogStats) Readings() []Reading {
	return []Reading{
		{Name: "access_log_lines_total", Help: "Lines written to the access log.", Counter: true, Value: float64(s.Written)},
		{Name: "access_log_dropped_total", Help: "Lines of the access log that were lost.", Counter: true, Value: float64(s.Dropped)},
		{Name: "access_log_errors_total", Help: "Writes to the access log that failed.", Counter: true, Value: float64(s.Errors)},
		{Name: "access_log_queued_bytes", Help: "Bytes that wait to be written to the access log.", Value: float64(s.Queued)},
	}
}

// statusClientLeft is what nginx logs when nobody is left to be answered.
const statusClientLeft = 499

// loggedStatus is the status sent, or what tells best why there is none.
func loggedStatus(x *Exchange) int {
	status := x.Status()
	switch {
	case status != 0:
		return status
	case x.Hijacked():
		return http.StatusSwitchingProtocols
	case x.Request.Context().Err() != nil:
		return statusClientLeft
	}
	return 0
}
