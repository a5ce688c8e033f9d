package listener

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection that Group.Accept returned: a stream socket in Go's
// poller that asks the kernel for addresses only when somebody wants them. Like
// any net.Conn it may be used by several goroutines.
type Conn struct {
	// Immutable.
	file   *os.File
	group  *Group
	remote netip.AddrPort

	// Atomic; made at the first call, for a net.Addr is an allocation.
	remoteAddr atomic.Pointer[net.TCPAddr]
	localOnce  sync.Once
	local      net.Addr
	// Atomic; set by Close.
	closed atomic.Bool
}

func newConn(fd int, remote netip.AddrPort, g *Group) *Conn {
	return &Conn{file: os.NewFile(uintptr(fd), "conn"), group: g, remote: remote}
}

// Read reads up to len(b) bytes; at the end of the stream it returns io.EOF.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.file.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.opError("read", err)
	}
	return n, err
}

// Write writes all of b, or returns an error.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	return n, c.opError("write", err)
}

// ReadFrom copies r to the connection, by sendfile(2) if r is a regular file
// or an io.LimitedReader of one.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	n, handled, err := c.sendFile(r)
	if !handled {
		n, err = io.Copy(struct{ io.Writer }{c}, r)
		return n, err
	}
	return n, c.opError("sendfile", err)
}

// Close closes the connection and ends calls that wait.
func (c *Conn) Close() error {
	err := c.file.Close()
	if err != nil {
		err = c.opError("close", err)
	}
	c.closed.Store(true)
	return err
}

// CloseRead shuts down the reading side.
func (c *Conn) CloseRead() error { return c.shutdown(unix.SHUT_RD) }

// CloseWrite shuts down the writing side: the peer sees the end of the stream.
func (c *Conn) CloseWrite() error { return c.shutdown(unix.SHUT_WR) }

// SetDeadline, SetReadDeadline and SetWriteDeadline are as in net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.opError("set", c.file.SetDeadline(t)) }

// SetReadDeadline is as in net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.opError("set", c.file.SetReadDeadline(t)) }

// SetWriteDeadline is as in net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.file.SetWriteDeadline(t))
}

// SyscallConn gives access to the descriptor; see syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.file.SyscallConn() }

// RemoteAddrPort is the peer's address without an allocation, the zero
// AddrPort for unix sockets.
func (c *Conn) RemoteAddrPort() netip.AddrPort { return c.remote }

// RemoteAddr is a *net.TCPAddr or, for unix sockets, a *net.UnixAddr.
func (c *Conn) RemoteAddr() net.Addr {
	if !c.remote.IsValid() {
		return &net.UnixAddr{Name: "@", Net: "unix"} // peers seldom have a name; package net says "@" as well
	}
	if a := c.remoteAddr.Load(); a != nil {
		return a
	}
	a := net.TCPAddrFromAddrPort(c.remote)
	c.remoteAddr.Store(a)
	return a
}

// LocalAddr is the address the peer connected to. It takes a system call the
// first time, if the group is bound to no single address.
func (c *Conn) LocalAddr() net.Addr {
	c.localOnce.Do(func() { c.local = c.localAddr() })
	return c.local
}

func (c *Conn) localAddr() net.Addr {
	bound, ok := c.group.addr.(*net.TCPAddr)
	if !ok || !bound.IP.IsUnspecified() {
		return c.group.addr
	}
	var addr net.Addr = bound // the answer for a conn that is closed already
	_ = c.control(func(fd int) error {
		if a, err := localAddr(fd); err == nil {
			addr = a
		}
		return nil
	})
	return addr
}

func (c *Conn) shutdown(how int) error {
	return c.opError("close", c.control(func(fd int) error {
		return os.NewSyscallError("shutdown", unix.Shutdown(fd, how))
	}))
}

// control runs f while the descriptor is certain to be open.
func (c *Conn) control(f func(fd int) error) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	err = raw.Control(func(fd uintptr) { ferr = f(int(fd)) })
	return errors.Join(err, ferr)
}

// opError turns the errors of os.File into those of package net, which callers
// look for (net.Error, net.ErrClosed).
func (c *Conn) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if errors.Is(err, os.ErrClosed) || (c.closed.Load() && !os.IsTimeout(err)) {
		err = net.ErrClosed // os.File does not always say so
	}
	e := &net.OpError{Op: op, Net: c.group.addr.Network(), Source: c.group.addr, Err: err}
	if c.remote.IsValid() {
		e.Addr = c.RemoteAddr()
	}
	return e
}
