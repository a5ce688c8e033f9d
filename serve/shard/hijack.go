package shard

import (
	"net"
	"net/http"
	"os"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

// Hijack takes the connection out of the shard and gives it to its handler as
// a plain connection of package net, with net's deadlines and concurrency. The
// Conn is over; what it still held back has been sent.
func (c *Conn) Hijack() (net.Conn, error) {
	c.Lead()
	for c.Buffered() > 0 {
		if err := c.WaitWritable(0); err != nil {
			return nil, err
		}
	}
	c.hijacked.Store(true) // first: who finds no descriptor any more asks why
	conn, err := c.leave()
	if err != nil {
		c.hijacked.Store(false)
		return nil, err
	}
	if c.task != nil {
		c.task.block()
	}
	c.sh.counters.Hijacked.Add(1)
	c.sh.Do(func(time.Time) {
		if c.state != connClosed {
			c.state = connClosed
			c.sh.forgetConn(c)
		}
	})
	if c.svc.ConnState != nil {
		c.svc.ConnState(conn, http.StateHijacked)
	}
	return conn, nil
}

// leave makes a connection of package net from the descriptor, and ends ours.
func (c *Conn) leave() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 || c.cut.Load() {
		return nil, net.ErrClosed
	}
	// FileConn keeps a duplicate; ours is closed, so that the handler's Close
	// is the last one and sends FIN.
	dup, err := duplicate(c.fd)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(dup), "hijacked connection")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, err
	}
	if c.registered.Load() {
		c.sh.poll.remove(c.fd) // a closed number would stay, for its duplicate lives
	}
	rawClose(c.fd)
	c.fd = -1
	if c.local != nil {
		conn = listener.ProxyHeader{Source: c.remote, Destination: *c.local}.Introduce(conn)
	}
	return conn, nil
}
