package handler

import (
	"context"
	"io"
	"math"
	"sync"
	"time"
)

// Bounds of the queue of events. TestAuditBounds crosses them.
const (
	defaultAuditEvents  = 10_000  // as many as kube-apiserver's
	defaultAuditBytes   = 4 << 20 // some 400 bytes an event
	defaultAuditTimeout = 5 * time.Second
	// keptAuditBytes is how large a buffer stays after a burst.
	keptAuditBytes = 256 << 10
)

// auditQueue takes lines from all requests and gives them to the sink from one
// goroutine: while that writes one buffer, the lines gather in another.
type auditQueue struct {
	// Immutable after newAuditQueue.
	sink                io.Writer
	blocking            bool
	maxEvents, maxBytes int
	timeout             time.Duration // 0: none
	wake                chan struct{} // capacity 1: there are lines, or the end has come
	done                chan struct{} // closed when the goroutine has ended

	// mu guards the following.
	mu      sync.Mutex
	waiting auditLines
	writing auditLines    // what the goroutine is at; its bytes are read without mu
	room    chan struct{} // closed when there is room again; nil: nobody waits
	closed  bool
	counts  AuditStats
}

// auditLines are whole lines.
type auditLines struct {
	bytes  []byte
	events int
}

func newAuditQueue(o AuditOptions) *auditQueue {
	return &auditQueue{
		sink: o.Sink, blocking: o.Mode == AuditBlocking,
		maxEvents: boundOr(o.MaxEvents, defaultAuditEvents), maxBytes: boundOr(o.MaxBytes, defaultAuditBytes),
		timeout: durationOr(o.BlockTimeout, defaultAuditTimeout),
		wake:    make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// boundOr is the contract of options: zero is the default, negative none.
func boundOr(n, fallback int) int {
	switch {
	case n == 0:
		return fallback
	case n < 0:
		return math.MaxInt
	}
	return n
}

func (q *auditQueue) start() { go q.drain() } // shutdown waits for it

// add takes a copy of the line, or counts it as dropped.
func (q *auditQueue) add(ctx context.Context, line []byte) {
	q.mu.Lock()
	if q.blocking && len(line) <= q.maxBytes {
		q.wait(ctx, line)
	}
	if q.closed || !q.fits(line) {
		q.counts.Dropped++
		q.mu.Unlock()
		return
	}
	q.waiting.bytes = append(q.waiting.bytes, line...)
	q.waiting.events++
	first := q.waiting.events == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
}

// fits is called with mu held.
func (q *auditQueue) fits(line []byte) bool {
	return q.waiting.events+q.writing.events < q.maxEvents &&
		len(line) <= q.maxBytes-len(q.waiting.bytes)-len(q.writing.bytes)
}

// wait lets a request wait for room. It is called, and returns, with mu held.
func (q *auditQueue) wait(ctx context.Context, line []byte) {
	if q.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.timeout)
		defer cancel()
	}
	for !q.closed && !q.fits(line) && ctx.Err() == nil {
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		q.mu.Lock()
	}
}

func (q *auditQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// drain writes until the queue is closed and empty.
func (q *auditQueue) drain() {
	defer close(q.done)
	torn := false // the sink's last line has no end
	for {
		lines, closed := q.take()
		if lines.events == 0 {
			if closed {
				return
			}
			<-q.wake
			continue
		}
		if torn {
			lines.bytes = append(lines.bytes, 0)
			copy(lines.bytes[1:], lines.bytes)
			lines.bytes[0] = '\n'
		}
		n, err := q.sink.Write(lines.bytes)
		if n < 0 || n > len(lines.bytes) {
			n = 0
		}
		if n > 0 {
			torn = lines.bytes[n-1] != '\n'
		}
		q.release(lines, err == nil && n == len(lines.bytes))
	}
}

// take moves the lines that wait to those being written.
func (q *auditQueue) take() (auditLines, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting, q.writing = auditLines{bytes: q.writing.bytes[:0]}, q.waiting
	return q.writing, q.closed
}

// release ends a write.
func (q *auditQueue) release(lines auditLines, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ok {
		q.counts.Written += uint64(lines.events)
	} else {
		q.counts.Failed += uint64(lines.events)
	}
	q.writing = auditLines{bytes: lines.bytes[:0]}
	if cap(lines.bytes) > keptAuditBytes {
		q.writing.bytes = nil
	}
	q.wakeWaiters()
}

// wakeWaiters is called with mu held.
func (q *auditQueue) wakeWaiters() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

func (q *auditQueue) shutdown(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.wakeWaiters()
	q.mu.Unlock()
	q.signal()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *auditQueue) stats() AuditStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.counts
}
