package h3

import "time"

// EnableFullDuplex says that the peer may be silent for long while the handler
// waits for it (S-2 does not count). HTTP/3 is full duplex in any case.
func (w *response) EnableFullDuplex() error {
	w.s.body.duplex.Store(true)
	return nil
}

// SetReadDeadline bounds the reads of this request's body (http.ResponseController).
// It waits for nothing: another goroutine of the handler may be writing.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.over.Load() {
		return errOver
	}
	w.timed.Store(true)
	w.s.body.deadline.Store(unixNano(t))
	return w.s.str.SetReadDeadline(time.Now()) // a reader that waits looks again
}

// SetWriteDeadline bounds this answer: past it, writes fail and an answer that
// is not whole is reset.
func (w *response) SetWriteDeadline(t time.Time) error {
	if w.over.Load() {
		return errOver
	}
	w.timed.Store(true)
	w.deadline.Store(unixNano(t))
	return w.s.str.SetWriteDeadline(time.Now()) // a write that waits looks again
}

// unixNano is t as a deadline is kept: 0 for none.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.UnixNano())
}
