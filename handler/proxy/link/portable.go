package link

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Portable is the home of requests that no shard serves.
type Portable struct {
	// Dialer connects. nil: net.Dialer without keep-alive options of its own.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// Index is always 0.
func (p *Portable) Index() int { return 0 }

// Dial: see Home.
func (p *Portable) Dial(ctx context.Context, network, address string) (Conn, error) {
	dial := p.Dialer
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	nc, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &portableConn{Conn: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.Attach(ctx)
	return c, nil
}

// Waiter: see Home.
func (p *Portable) Waiter(ctx context.Context) Waiter {
	return &portableWaiter{ctx: ctx, woken: make(chan struct{}, 1)}
}

// Lead: nobody waits for the caller here.
func (p *Portable) Lead() {}

// Go: see Home.
func (p *Portable) Go(ctx context.Context, f func(context.Context)) { go f(ctx) }

// portableConn waits in net's poller.
type portableConn struct {
	net.Conn
	raw syscall.RawConn // nil: there is no socket to be reached

	// Owned by the attached request.
	stop func() bool // of the AfterFunc that ends waits with ctx

	mu    sync.Mutex // guards the following: an ending ctx sets deadlines from aside
	ctx   context.Context
	turn  uint64 // counts Attach: an AfterFunc that comes late belongs to another one
	ended bool
	read  time.Time
	write time.Time
}

// past is a deadline that ends all waits.
var past = time.Unix(1, 0)

func (c *portableConn) Attach(ctx context.Context) {
	if c.stop != nil {
		c.Detach()
	}
	c.mu.Lock()
	c.turn++
	turn := c.turn
	c.ctx = ctx
	c.mu.Unlock()
	c.stop = context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.turn == turn && c.ctx != nil {
			c.ended = true
			c.Conn.SetDeadline(past)
		}
	})
}

func (c *portableConn) Detach() {
	if c.stop == nil {
		return
	}
	c.stop()
	c.stop = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = nil
	if c.ended || !c.read.IsZero() || !c.write.IsZero() {
		c.ended, c.read, c.write = false, time.Time{}, time.Time{}
		c.Conn.SetDeadline(time.Time{})
	}
}

func (c *portableConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	if c.ended {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *portableConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	if c.ended {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *portableConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// cause turns the deadline that an ended request left into its reason.
func (c *portableConn) cause(err error) error {
	if err == nil || err == io.EOF || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil && c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return err
}

func (c *portableConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.cause(err)
}

func (c *portableConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.cause(err)
}

func (c *portableConn) WriteBoth(head, body []byte) error {
	if len(body) == 0 {
		_, err := c.Write(head)
		return err
	}
	bufs := net.Buffers{head, body}
	_, err := bufs.WriteTo(c.Conn)
	return c.cause(err)
}

// TryRead reads without waiting where the socket can be reached, else with a
// deadline that has nearly passed.
func (c *portableConn) TryRead(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.raw != nil {
		n, err = tryRead(c.raw, p)
		if err != errors.ErrUnsupported {
			return n, c.cause(err)
		}
	}
	c.mu.Lock()
	if !c.ended {
		c.Conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	}
	c.mu.Unlock()
	n, err = c.Conn.Read(p)
	c.mu.Lock()
	ended := c.ended
	if !ended {
		c.Conn.SetReadDeadline(c.read)
	}
	c.mu.Unlock()
	if n == 0 && !ended && errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, ErrWouldBlock
	}
	return n, c.cause(err)
}

func tryRead(raw syscall.RawConn, p []byte) (n int, err error) {
	// Not raw.Read, which a deadline that has passed would keep from reading.
	rerr := raw.Control(func(fd uintptr) { n, err = readNow(fd, p) })
	switch {
	case rerr != nil:
		return 0, rerr
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (c *portableConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *portableConn) Stale() bool {
	var p [1]byte
	_, err := c.TryRead(p[:])
	return err != ErrWouldBlock
}

// portableWaiter waits on a channel.
type portableWaiter struct {
	ctx   context.Context
	woken chan struct{}
}

func (w *portableWaiter) Wait(until time.Time) error {
	var late <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		late = t.C
	}
	select {
	case <-w.woken:
		return nil
	case <-late:
		return os.ErrDeadlineExceeded
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (w *portableWaiter) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}
