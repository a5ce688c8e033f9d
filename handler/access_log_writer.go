package handler

import (
	"bytes"
	"log/slog"
	"time"
)

// logReportEvery bounds what a full disk adds to the error log.
const logReportEvery = 10 * time.Second

// run writes until it is stopped, and then what is left.
func (q *logQueue) run() {
	defer close(q.done)
	defer q.sink.close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-q.wake:
			q.linger(timer)
		case <-q.stop:
		}
		// Not until there is none: lines that come meanwhile gather again.
		for n := q.waiting(); n > 0; n-- {
			q.writeNext()
		}
		q.report()
		select {
		case <-q.stop:
			if q.waiting() == 0 {
				q.reportedAt = time.Time{} // the last word is not held back
				q.report()
				return
			}
		default:
		}
	}
}

// linger lets lines gather.
func (q *logQueue) linger(timer *time.Timer) {
	if q.flush < 0 {
		return
	}
	timer.Reset(q.flush)
	select {
	case <-timer.C:
	case <-q.urgent:
	case <-q.stop:
	}
}

func (q *logQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.chunks)
}

// writeNext writes the oldest chunk, if it was not dropped meanwhile.
func (q *logQueue) writeNext() {
	q.mu.Lock()
	if len(q.chunks) == 0 {
		q.mu.Unlock()
		return
	}
	c := q.chunks[0]
	n := copy(q.chunks, q.chunks[1:])
	q.chunks[n] = logPart{}
	q.chunks = q.chunks[:n]
	q.mu.Unlock()

	size := len(c.buf.B)
	lost := q.write(c.buf.B)
	c.buf.Release()
	q.written.Add(uint64(c.lines - lost))
	q.dropped.Add(uint64(lost))

	q.mu.Lock()
	q.bytes -= size
	q.lines -= c.lines
	q.mu.Unlock()
}

// write writes whole lines. What fails is lost, not tried again: the next lines
// try. A line that was cut is ended before the next, so that only it is lost.
func (q *logQueue) write(p []byte) (lost int) {
	if q.torn {
		if _, err := q.sink.write([]byte{'\n'}); err != nil {
			q.failed.Add(1)
			return bytes.Count(p, []byte{'\n'})
		}
		q.torn = false
	}
	n, err := q.sink.write(p)
	if err == nil {
		return 0
	}
	q.failed.Add(1)
	n = min(max(n, 0), len(p))
	q.torn = n > 0 && p[n-1] != '\n'
	return bytes.Count(p[n:], []byte{'\n'})
}

// report tells the error log of lines that were lost.
func (q *logQueue) report() {
	dropped := q.dropped.Load()
	now := time.Now()
	if dropped == q.reported || now.Sub(q.reportedAt) < logReportEvery {
		return
	}
	lost := dropped - q.reported
	q.reported, q.reportedAt = dropped, now
	args := []any{slog.Uint64("lines", lost)}
	if err := q.sink.lastError(); err != nil {
		args = append(args, slog.String("error", err.Error()))
	}
	q.errorLog.Warn("access log has lost lines", args...)
}
