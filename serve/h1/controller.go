package h1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// SetReadDeadline bounds the reads of this request's body (http.ResponseController).
func (w *response) SetReadDeadline(t time.Time) error {
	b := &w.x.body
	w.c.deadlines.Lock()
	defer w.c.deadlines.Unlock()
	b.until = t
	if b.waiting {
		b.due = b.deadline(time.Now())
		w.c.host.SetReadDeadline(b.due)
	}
	return nil
}

// SetWriteDeadline bounds the waits of this answer's writes.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.c.deadlines.Lock()
	defer w.c.deadlines.Unlock()
	// Stored first, asked after; finish does it the other way round, so a late
	// call either sees the end or is undone.
	w.bounded.Store(true)
	if w.ended.Load() {
		return errOver
	}
	w.c.host.SetWriteDeadline(t)
	return nil
}

// EnableFullDuplex lets the handler read the body while it writes.
func (w *response) EnableFullDuplex() error {
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	w.fullDuplex = true
	return nil
}

// Hijack gives the connection to the handler: RFC 9112 has no more say.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.c
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.wmu.Lock()
	defer c.wmu.Unlock()
	switch {
	case w.over:
		return nil, nil, errOver
	case w.hijacked:
		return nil, nil, http.ErrHijacked
	case w.headDone && !w.chunked && w.length >= 0 && w.written > 0:
		// As net/http: allowed, the handler knows what it does.
	}
	if w.headDone || w.status != 0 {
		w.sendHead(nil, false)
		w.sendKept()
	}
	c.flushLocked()
	if c.writeErr != nil {
		return nil, nil, c.writeErr
	}
	if w.x.body.watch.Load() {
		c.host.StopWatch()
	}
	conn, err := c.host.Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	var ahead []byte
	if c.in != nil {
		ahead = append(ahead, c.in.B[c.off:]...)
		c.in.Release()
		c.in, c.off = nil, 0
	}
	w.x.body.shut = true
	r := bufio.NewReaderSize(&aheadReader{ahead, conn}, max(4096, len(ahead)))
	if len(ahead) > 0 {
		r.Peek(len(ahead))
	}
	return conn, bufio.NewReadWriter(r, bufio.NewWriter(conn)), nil
}

// aheadReader gives what was read ahead, then the connection.
type aheadReader struct {
	ahead []byte
	r     io.Reader
}

func (a *aheadReader) Read(p []byte) (int, error) {
	if len(a.ahead) > 0 {
		n := copy(p, a.ahead)
		a.ahead = a.ahead[n:]
		return n, nil
	}
	return a.r.Read(p)
}
