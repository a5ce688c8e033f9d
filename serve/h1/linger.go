package h1

import (
	"errors"
	"io"
	"os"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// startLinger sends FIN behind the last answer and goes on reading for a
// while, so that bytes still under way do not make the kernel answer with a
// reset that overtakes the answer (RFC 9112 §9.6).
func (c *Conn) startLinger() {
	if c.writeErr != nil {
		c.over(c.writeErr)
		return
	}
	c.enter(stateLinger)
	c.spent = 0
	c.ending = c.host.Now().Sub(epoch) + lingerTimeout
	if c.host.Buffered() == 0 {
		c.closeWrite()
	}
}

func (c *Conn) closeWrite() {
	c.spent = max(c.spent, 1) // FIN is sent
	if err := c.host.CloseWrite(); err != nil {
		c.over(nil)
	}
}

// linger throws away input until the peer closes too.
func (c *Conn) linger() bool {
	if c.host.Buffered() > 0 {
		return false
	}
	if c.spent == 0 {
		c.closeWrite()
	}
	return c.discard(maxLingerBytes)
}

// discard reads and drops. False: nothing more to do now.
func (c *Conn) discard(limit int) bool {
	if c.in != nil {
		c.spent += len(c.in.B) - c.off
		c.in.Release()
		c.in, c.off = nil, 0
	}
	if c.blocks {
		c.host.SetTimer(epoch.Add(c.ending))
	}
	b := bufpool.Get(readSize)
	defer b.Release()
	for c.state != stateOver {
		n, err := c.host.Read(b.B[:cap(b.B)])
		if c.spent += n; c.spent > limit {
			c.over(io.ErrShortWrite)
			return false
		}
		switch {
		case err == nil:
		case err == ErrWouldBlock:
			return false
		case errors.Is(err, os.ErrDeadlineExceeded) && c.host.Now().Sub(epoch) < c.ending:
			c.host.SetTimer(epoch.Add(c.ending))
		default:
			c.over(nil)
			return false
		}
	}
	return false
}
