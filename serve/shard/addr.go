package shard

import (
	"net"
	"net/netip"
)

// RemoteAddr is the peer's address. For a Unix socket its name is empty.
func (c *Conn) RemoteAddr() net.Addr {
	if !c.remote.IsValid() {
		return &net.UnixAddr{Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(c.remote)
}

// Peer is the peer's address without allocation; invalid for Unix sockets.
func (c *Conn) Peer() netip.AddrPort { return c.remote }

// RemoteAddrString is RemoteAddr().String(), rendered once a connection.
func (c *Conn) RemoteAddrString() string {
	if c.host == "" {
		if !c.remote.IsValid() {
			c.host = "@"
		} else {
			c.host = c.remote.String()
		}
	}
	return c.host
}

// LocalAddr asks the kernel each time: few handlers want it.
func (c *Conn) LocalAddr() net.Addr {
	if c.local != nil {
		return net.TCPAddrFromAddrPort(*c.local)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		if a := localAddr(c.fd); a != nil {
			return a
		}
	}
	return c.svc.Listener.Addr()
}

// Close ends the connection: its buffered bytes leave first. It makes Conn a
// net.Conn; engines call Done.
func (c *Conn) Close() error {
	c.Done(nil)
	return nil
}
