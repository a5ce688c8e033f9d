package h2

import (
	"time"
)

// EnableFullDuplex says that the peer may be silent for long while the handler
// waits for it (S-2 does not count). HTTP/2 is full duplex in any case.
func (w *response) EnableFullDuplex() error {
	w.s.c.mu.Lock()
	defer w.s.unlock()
	w.duplex = true
	return nil
}

// SetReadDeadline bounds the reads of this request's body (http.ResponseController).
func (w *response) SetReadDeadline(t time.Time) error {
	return w.s.setDeadline(t, func(d *deadlines) **time.Timer { return &d.read }, func(d *deadlines, late bool) {
		w.s.body.late = late
		w.s.body.signal()
	})
}

// SetWriteDeadline bounds this answer: past it, writes fail and an answer that
// is not whole is reset.
func (w *response) SetWriteDeadline(t time.Time) error {
	return w.s.setDeadline(t, func(d *deadlines) **time.Timer { return &d.write }, func(d *deadlines, late bool) {
		d.writeLate = late
		w.s.signalRoom()
	})
}

// deadlines are those of a handler. c.mu guards them.
type deadlines struct {
	read, write *time.Timer
	writeLate   bool
}

// setDeadline replaces one of the two.
func (s *stream) setDeadline(t time.Time, which func(*deadlines) **time.Timer, apply func(d *deadlines, late bool)) error {
	c := s.c // a timer that fires late must not ask the stream, which may be another's
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.w.over {
		return errOver
	}
	if s.waiters == nil {
		s.waiters = new(deadlines)
	}
	d := s.waiters
	timer := which(d)
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	apply(d, false)
	if t.IsZero() {
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		apply(d, true)
		return nil
	}
	var mine *time.Timer
	mine = time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if *timer == mine { // not replaced while it fired
			apply(d, true)
		}
	})
	*timer = mine
	return nil
}

// stop ends both; the request is over.
func (d *deadlines) stop() {
	for _, t := range []**time.Timer{&d.read, &d.write} {
		if *t != nil {
			(*t).Stop()
			*t = nil
		}
	}
}
