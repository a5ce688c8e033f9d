package shard

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// chunk bounds one system call, so that one large answer does not hold the
// loop. The kernel takes what its buffer has room for; the progress rule looks
// at what stays behind.
const chunk = 256 << 10

// Write sends p, and keeps what the socket does not take now (or, corked, all
// of it), so that p may be reused at once. It never waits; producers stop at
// their high-water mark and call WaitWritable. An error is final.
func (c *Conn) Write(p []byte) (int, error) { return c.write(p, 0) }

// WriteMore is Write with MSG_MORE: the kernel waits for the rest of a segment.
func (c *Conn) WriteMore(p []byte) (int, error) { return c.write(p, msgMore) }

// WriteBoth sends head and of body what the socket takes now, in one system
// call, and tells how much of body that was: the rest is the
// caller's. What is not taken of head is kept, as by Write.
func (c *Conn) WriteBoth(head, body []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.cut.Load() {
		return 0, net.ErrClosed
	}
	if c.corked || c.out != nil || len(head) == 0 || len(body) == 0 {
		return 0, c.writeLocked(head, 0)
	}
	sent, e := rawSendBoth(c.fd, head, body[:min(len(body), chunk)])
	switch {
	case again(e):
		sent = 0
	case e != 0:
		return 0, os.NewSyscallError("sendmsg", e)
	}
	if sent >= len(head) {
		return sent - len(head), nil
	}
	return 0, c.writeLocked(head[sent:], 0)
}

func (c *Conn) write(p []byte, flags int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.cut.Load() {
		return 0, net.ErrClosed
	}
	if err := c.writeLocked(p, flags); err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeLocked sends p and keeps back what the socket does not take.
func (c *Conn) writeLocked(rest []byte, flags int) error {
	for !c.corked && c.out == nil && len(rest) > 0 {
		piece := rest[:min(len(rest), chunk)]
		n, e := rawSend(c.fd, piece, flags)
		if again(e) {
			break
		}
		if e != 0 {
			return os.NewSyscallError("send", e)
		}
		rest = rest[n:]
		if n < len(piece) {
			break
		}
	}
	if len(rest) == 0 {
		return nil
	}
	c.keep(rest)
	if c.corked {
		return nil
	}
	return c.armOut()
}

// keep appends rest to what is kept back, whose buffer grows from class to
// class: one that append grew would be garbage (BenchmarkBodyTLS).
func (c *Conn) keep(rest []byte) {
	switch {
	case c.out == nil:
		c.out, c.off = bufpool.Get(max(len(rest), 4<<10)), 0
	case c.off > 0 && cap(c.out.B)-len(c.out.B) < len(rest):
		c.out.B = c.out.B[:copy(c.out.B, c.out.B[c.off:])]
		c.off = 0
	}
	c.out = c.out.WithRoom(len(rest))
	c.out.B = append(c.out.B, rest...)
	c.kept.Add(int64(len(rest)))
}

// Cork gathers what is written until Uncork sends it in one call.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

// Uncork sends what was gathered.
func (c *Conn) Uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	stalled := c.stalledAt != 0
	err := c.flushLocked()
	if stalled && c.out == nil && c.shared {
		c.Wake() // the edge will find nothing kept back, and OnWritable is due
	}
	return err
}

// Buffered is the number of bytes taken by Write and not yet by the kernel.
func (c *Conn) Buffered() int { return int(c.kept.Load()) }

// flush sends what is kept back.
func (c *Conn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushLocked()
}

func (c *Conn) flushLocked() error {
	if c.out == nil || c.corked {
		return nil
	}
	if c.fd < 0 {
		return net.ErrClosed
	}
	for c.off < len(c.out.B) {
		piece := c.out.B[c.off:min(len(c.out.B), c.off+chunk)]
		n, e := rawSend(c.fd, piece, 0)
		if again(e) {
			return c.armOut()
		}
		if e != 0 {
			return os.NewSyscallError("send", e)
		}
		c.off += n
		c.kept.Add(int64(-n))
		c.progress(n)
		if n < len(piece) {
			return c.armOut()
		}
	}
	c.release()
	return nil
}

// release gives the buffer back.
func (c *Conn) release() {
	if c.out != nil {
		c.out.Release()
		c.out, c.off = nil, 0
		c.kept.Store(0)
	}
	c.stalledAt = 0
}

// armOut asks for EPOLLOUT after a write came short, and starts the clock of
// the progress rule.
func (c *Conn) armOut() error {
	if c.stalledAt == 0 {
		now := c.sh.clock()
		c.stalledAt, c.since, c.left = now, now, 0
		if c.shared {
			c.Wake() // whoever wrote may lead no more: the step places it in the wheel
		}
	}
	if c.outArmed || !c.registered.Load() {
		return nil // register arms it
	}
	c.outArmed = true
	return os.NewSyscallError("epoll_ctl", c.sh.poll.addOut(c.fd, c.slot, c.gen))
}

// progress notes that n bytes have left.
func (c *Conn) progress(n int) {
	if c.stalledAt != 0 {
		c.stalledAt = c.sh.clock()
		c.left += int64(n)
	}
}

// SendFile sends up to n bytes of f from off with sendfile(2), as much as the
// socket takes now, at most a turn's worth. The file's own position is neither
// used nor moved.
func (c *Conn) SendFile(f *os.File, off, n int64) (sent int64, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.cut.Load() {
		return 0, net.ErrClosed
	}
	if c.Buffered() > 0 {
		return 0, ErrWouldBlock // what is kept back goes first
	}
	cerr := raw.Control(func(in uintptr) {
		for sent < n {
			m, e := sendfile(c.fd, int(in), &off, int(min(n-sent, sendfileChunk)))
			if m > 0 {
				sent += int64(m)
				c.progress(m)
				continue
			}
			switch {
			case e == nil:
				err = io.ErrUnexpectedEOF // the file has shrunk
			case e == syscall.EAGAIN && sent > 0:
			case e == syscall.EAGAIN:
				err = ErrWouldBlock
			default:
				err = os.NewSyscallError("sendfile", e)
			}
			break
		}
	})
	if cerr != nil {
		return sent, cerr
	}
	if err == ErrWouldBlock || err == nil && sent < n {
		if e := c.armOut(); e != nil {
			return sent, e
		}
	} else if err == nil {
		c.stalledAt = 0
	}
	return sent, err
}

// sendfileChunk bounds one sendfile(2).
const sendfileChunk = 1 << 20

// again tells that the kernel takes nothing now, and will later.
func again(e syscall.Errno) bool {
	return e == syscall.EAGAIN || e == syscall.ENOBUFS || e == syscall.ENOMEM
}
