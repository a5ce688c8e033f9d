package h2

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
)

// tunnel is an exchange after 2xx to an extended CONNECT (RFC 8441). Read is for the
// handler, Write for one goroutine, Close for any.
type tunnel struct {
	s    *stream
	rest []byte // of a piece; owned by the reader

	writer link.Waiter // of a goroutine; owned by the writer
	once   sync.Once
	mu     sync.Mutex // guards the following
	late   time.Time  // of writes
}

func newTunnel(s *stream) *tunnel {
	return &tunnel{s: s, writer: new(link.Portable).Waiter(s.ctx)}
}

func (t *tunnel) Read(p []byte) (int, error) {
	s := t.s
	for len(t.rest) == 0 {
		piece, err, ok := s.take()
		switch {
		case err != nil:
			return 0, err
		case ok:
			t.rest = piece
			continue
		}
		s.conn.mu.Lock()
		until := s.readBy
		s.conn.mu.Unlock()
		if !until.IsZero() && !time.Now().Before(until) {
			return 0, os.ErrDeadlineExceeded
		}
		if err := s.waiter.Wait(until); err != nil && !isTimeout(err) {
			return 0, err
		}
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

func (t *tunnel) Write(p []byte) (done int, err error) {
	s := t.s
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.sender = t.writer // before anything is written, as in pump.send
	defer func() { s.sender = nil }()
	for done < len(p) {
		switch {
		case s.err != nil:
			return done, s.err
		case s.sendClosed || c.dead != nil:
			return done, io.ErrClosedPipe
		}
		done += s.sendData(p[done:], false)
		c.flush()
		if done == len(p) {
			break
		}
		c.mu.Unlock()
		t.mu.Lock()
		late := t.late
		t.mu.Unlock()
		err := t.writer.Wait(late)
		c.mu.Lock()
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// CloseWrite ends our direction.
func (t *tunnel) CloseWrite() error {
	c := t.s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.s.sendClosed {
		t.s.sendData(nil, true)
		c.flush()
	}
	return nil
}

// Close may be called twice. The reader comes out.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		c := t.s.conn
		c.mu.Lock()
		if t.s.err == nil && !(t.s.recvClosed && t.s.sendClosed) {
			t.s.fail(local(errClosed))
		}
		c.mu.Unlock()
		t.s.close()
	})
	return nil
}

func (t *tunnel) SetReadDeadline(d time.Time) error {
	c := t.s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	t.s.readBy = d
	t.s.wake()
	return nil
}

func (t *tunnel) SetWriteDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.late = d
	return nil
}
