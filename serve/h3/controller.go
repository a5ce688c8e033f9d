package h3

import "time"

// EnableFullDuplex says that the peer may be silent for long while the handler
// waits for it (S-2 does not count). HTTP/3 is full duplex in any case.
func (w *response) EnableFullDuplex() error {
	w.s.body.duplex.Store(true)
	return nil
}

// SetReadDeadline bounds the reads of this request's body (http.ResponseController).
func (w *response) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errOver
	}
	w.timed = true
	var own int64
	if !t.IsZero() {
		own = max(1, t.UnixNano())
	}
	w.s.body.deadline.Store(own)
	return w.s.str.SetReadDeadline(t) // a reader that waits looks again
}

// SetWriteDeadline bounds this answer: past it, writes fail and an answer that
// is not whole is reset.
func (w *response) SetWriteDeadline(t time.Time) error {
	// A write that waits holds mu: it is told first.
	if err := w.s.str.SetWriteDeadline(t); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errOver
	}
	w.timed, w.deadline = true, t
	return nil
}
