package shard

import (
	"io"
	"net"
	"os"
)

// Bytes that go from an upstream to a client as they are need not pass through the
// program: splice(2) moves them from socket to pipe and from pipe to socket
// (BenchmarkSplice). Both ends of the pipe are the caller's, and non-blocking.

// SplicePiece bounds one splice(2), as chunk does one send: so much a pipe has to
// hold.
const SplicePiece = chunk

// ReadPipe moves up to n bytes into the empty pipe whose writing end is fd. It waits
// as Read does, and ends as Read does.
func (u *Client) ReadPipe(fd int, n int64) (int64, error) {
	for {
		m, err := u.tryReadPipe(fd, int(min(n, SplicePiece)))
		if err != ErrWouldBlock {
			return m, err
		}
		if err := u.waitReadable(); err != nil {
			return 0, err
		}
	}
}

func (u *Client) tryReadPipe(fd, n int) (int64, error) {
	c := &u.conn
	if err := c.mayRead(); err != nil {
		return 0, err
	}
	m, e := rawSplice(c.fd, fd, n)
	switch {
	case e == 0 && m > 0:
		return int64(m), nil // less than n may be all that the pipe's slots hold: the socket need not be empty
	case e == 0:
		return 0, io.EOF
	case again(e):
		c.drained = !c.toEnd.Load()
		return 0, ErrWouldBlock
	default:
		return 0, os.NewSyscallError("splice", e)
	}
}

// SendPipe sends up to n bytes of those that lie in the pipe whose reading end is
// fd, as many as the socket takes now. ErrWouldBlock: it takes none.
func (c *Conn) SendPipe(fd int, n int64) (sent int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.cut.Load() {
		return 0, net.ErrClosed
	}
	if c.Buffered() > 0 {
		return 0, ErrWouldBlock // what is kept back goes first
	}
	for sent < n {
		m, e := rawSplice(fd, c.fd, int(min(n-sent, SplicePiece)))
		switch {
		case e == 0 && m > 0:
			sent += int64(m)
			c.progress(m)
		case again(e):
			if err = c.armOut(); err == nil && sent == 0 {
				err = ErrWouldBlock
			}
			return sent, err
		case e == 0:
			return sent, io.ErrUnexpectedEOF // the pipe holds less than was said
		default:
			return sent, os.NewSyscallError("splice", e)
		}
	}
	c.stalledAt = 0
	return sent, nil
}
