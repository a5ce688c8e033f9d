//go:build !linux

package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
)

// errQueueEmpty is ClassAgain.
const errQueueEmpty = syscall.EAGAIN

// Conn is a connection that Group.Accept returned: one of package net, with
// the methods it has on Linux.
type Conn struct{ net.Conn }

// ReadFrom copies r to the connection, by the system's sendfile where package
// net can.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseRead shuts down the reading side.
func (c *Conn) CloseRead() error {
	if h, ok := c.Conn.(interface{ CloseRead() error }); ok {
		return h.CloseRead()
	}
	return errors.ErrUnsupported
}

// CloseWrite shuts down the writing side: the peer sees the end of the stream.
func (c *Conn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn gives access to the descriptor; see syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if h, ok := c.Conn.(syscall.Conn); ok {
		return h.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// RemoteAddrPort is the peer's address, the zero AddrPort for unix sockets.
func (c *Conn) RemoteAddrPort() netip.AddrPort {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
