package handler

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

const (
	// logChunk is what goes into one write: the largest class of bufpool.
	logChunk = 64 << 10
	// defaultLogBytes and defaultLogLines hold a second of a disk that stalls, at
	// 16,000 requests per second.
	defaultLogBytes = 4 << 20
	defaultLogLines = 32 << 10
	// defaultLogFlush bounds the wake-ups by ten a second while lines are few.
	defaultLogFlush = 100 * time.Millisecond
)

// logQueue gathers lines in chunks, which one goroutine writes.
type logQueue struct {
	// Immutable after newLogQueue.
	sink      *logSink
	errorLog  *slog.Logger
	maxBytes  int
	maxLines  int
	flush     time.Duration
	wake      chan struct{} // there is a line, after there was none
	urgent    chan struct{} // a chunk is full
	stop      chan struct{} // closed by close
	done      chan struct{} // closed at the end of run
	closeOnce sync.Once

	// Atomic; written by any goroutine.
	written atomic.Uint64
	dropped atomic.Uint64
	failed  atomic.Uint64

	// mu guards the following. It is held for a copy of a line at most, never
	// while something is written.
	mu     sync.Mutex
	chunks []logPart // the last is filled
	bytes  int       // of all lines that are not written, those in a write included
	lines  int
	closed bool

	// Owned by run.
	torn       bool // the last line written has no end
	reported   uint64
	reportedAt time.Time
}

// logPart is one chunk of whole lines.
type logPart struct {
	buf   *bufpool.Buffer
	lines int
}

func newLogQueue(sink *logSink, opts AccessLogOptions) *logQueue {
	q := &logQueue{
		sink: sink, errorLog: opts.ErrorLog, maxBytes: opts.QueueBytes, maxLines: opts.QueueLines, flush: opts.FlushInterval,
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if q.maxBytes <= 0 {
		q.maxBytes = defaultLogBytes
	}
	if q.maxLines <= 0 {
		q.maxLines = defaultLogLines
	}
	if q.flush == 0 {
		q.flush = defaultLogFlush
	}
	go q.run() // close waits for done
	return q
}

// put copies a line into the queue, or drops it. It never waits for the writer.
func (q *logQueue) put(line []byte) {
	q.mu.Lock()
	if q.closed || q.bytes+len(line) > q.maxBytes || q.lines >= q.maxLines {
		q.mu.Unlock()
		q.dropped.Add(1)
		return
	}
	first, full := len(q.chunks) == 0, false
	if n := len(q.chunks); n == 0 || len(q.chunks[n-1].buf.B)+len(line) > logChunk {
		q.chunks = append(q.chunks, logPart{buf: bufpool.Get(logChunk)})
		full = !first
	}
	last := &q.chunks[len(q.chunks)-1]
	last.buf.B = append(last.buf.B, line...)
	last.lines++
	q.bytes += len(line)
	q.lines++
	q.mu.Unlock()
	if first {
		signal(q.wake)
	}
	if full {
		signal(q.urgent)
	}
}

// signal leaves a token, unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *logQueue) stats() AccessLogStats {
	q.mu.Lock()
	queued := q.bytes
	q.mu.Unlock()
	return AccessLogStats{Written: q.written.Load(), Dropped: q.dropped.Load(), Errors: q.failed.Load(), Queued: queued}
}

// close takes no more lines and waits until those there are are written, or ctx
// ends: then they are dropped.
func (q *logQueue) close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.closeOnce.Do(func() { close(q.stop) })
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	for _, c := range q.chunks {
		q.bytes -= len(c.buf.B)
		q.lines -= c.lines
		q.dropped.Add(uint64(c.lines))
		c.buf.Release()
	}
	q.chunks = nil
	q.mu.Unlock()
	q.sink.interrupt()
	return context.Cause(ctx)
}
