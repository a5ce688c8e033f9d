package h1

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
)

// memHome dials connections of memory.
type memHome struct {
	index int
	dial  func() link.Conn
}

func (h *memHome) Index() int { return h.index }

func (h *memHome) Dial(context.Context, string, string) (link.Conn, error) { return h.dial(), nil }

func (h *memHome) Waiter(context.Context) link.Waiter { panic("nothing to wait for") }

func (h *memHome) Lead() {}

func (h *memHome) Go(ctx context.Context, f func(context.Context)) { go f(ctx) }

// memConn gives segments, one at a Read, then would block or ends. With answer it
// gives that for each Write instead.
type memConn struct {
	answer   []byte
	due      int
	segments [][]byte
	end      error // of the segments; nil: io.EOF
	stale    bool

	attached bool
	closed   atomic.Bool // also by who did not write: a request body's pump may be at it
	written  []byte      // kept if keep
	keep     bool
	t        testing.TB
}

func (c *memConn) Read(p []byte) (int, error) {
	n, err := c.TryRead(p)
	if err == link.ErrWouldBlock {
		c.t.Fatal("a read waits for what never comes")
	}
	return n, err
}

func (c *memConn) TryRead(p []byte) (int, error) {
	switch {
	case c.closed.Load():
		return 0, net.ErrClosed
	case !c.attached:
		c.t.Fatal("read of a connection without a request")
	case c.answer != nil && c.due == 0:
		return 0, link.ErrWouldBlock
	case c.answer != nil:
		c.due--
		return copy(p, c.answer), nil
	case len(c.segments) == 0 && c.end != nil:
		return 0, c.end
	case len(c.segments) == 0:
		return 0, io.EOF
	}
	n := copy(p, c.segments[0])
	if c.segments[0] = c.segments[0][n:]; len(c.segments[0]) == 0 {
		c.segments = c.segments[1:]
	}
	return n, nil
}

func (c *memConn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	c.due++
	if c.keep {
		c.written = append(c.written, p...)
	}
	return len(p), nil
}

func (c *memConn) WriteBoth(head, body []byte) error {
	if _, err := c.Write(head); err != nil {
		return err
	}
	if c.keep {
		c.written = append(c.written, body...)
	}
	return nil
}

func (c *memConn) Attach(context.Context) {
	if c.attached {
		c.t.Fatal("attached twice")
	}
	c.attached = true
}

func (c *memConn) Detach()                          { c.attached = false }
func (c *memConn) Stale() bool                      { return c.stale }
func (c *memConn) CloseWrite() error                { return nil }
func (c *memConn) LocalAddr() net.Addr              { return nil }
func (c *memConn) RemoteAddr() net.Addr             { return nil }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

func (c *memConn) Close() error {
	c.closed.Store(true)
	return nil
}

// memory is a home whose connections answer each request alike.
func memory(t testing.TB, answer string) *memHome {
	return &memHome{dial: func() link.Conn { return &memConn{answer: []byte(answer), attached: true, t: t} }}
}

// scripted is a home whose only connection gives segments.
func scripted(t testing.TB, segments ...string) (*memHome, *memConn) {
	k := &memConn{attached: true, keep: true, t: t}
	for _, s := range segments {
		k.segments = append(k.segments, []byte(s))
	}
	return &memHome{dial: func() link.Conn { return k }}, k
}
