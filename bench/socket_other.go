//go:build !linux

package bench

import (
	"net"
	"time"
)

// The portable form of the event loop: a goroutine reads for each connection, and
// the worker takes what it has read. It costs a goroutine switch a read, so the
// generator is dearer than on Linux.

// portableQueue bounds the pieces that wait for a worker.
const portableQueue = 1024

// socket is a connection of package net.
type socket struct {
	conn net.Conn
	gen  uint32
	in   []byte // read, in order
	err  error  // behind that
}

// piece is something that has come from a connection's goroutine.
type piece struct {
	c    *conn
	gen  uint32
	conn net.Conn // it is connected
	data []byte
	err  error
}

func (s *socket) connect(c *conn) error {
	s.gen++
	s.in, s.err, s.conn = nil, nil, nil
	gen, p := s.gen, &c.w.poller
	address, limit := c.w.plan.address.String(), c.w.plan.Timeout
	go func() { // ends with the connection
		nc, err := net.DialTimeout("tcp", address, limit)
		if !p.hand(piece{c: c, gen: gen, conn: nc, err: err}) || err != nil {
			if nc != nil {
				_ = nc.Close() // nobody wants it any more
			}
			return
		}
		for {
			b := make([]byte, readBytes)
			n, err := nc.Read(b)
			if !p.hand(piece{c: c, gen: gen, data: b[:n], err: err}) || err != nil {
				return
			}
		}
	}()
	return nil
}

func (s *socket) watch(*conn, bool) {} // writes wait by themselves

func (s *socket) connectError() error { return s.err }

func (s *socket) receive(b []byte) (int, error) {
	if len(s.in) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		return 0, errWouldBlock
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *socket) send(b []byte) (int, error) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(defaultTimeout)) // an error comes with the write
	return s.conn.Write(b)
}

func (s *socket) close(*conn) {
	if s.conn != nil {
		_ = s.conn.Close() // nothing is to be kept of it
		s.conn = nil
	}
	s.gen++ // its goroutine's pieces are nobody's now
}

// poller is where the goroutines of a worker's connections hand their pieces.
type poller struct {
	pieces chan piece
	over   chan struct{}
}

func (p *poller) init() {}

func (p *poller) open(int) error {
	p.pieces, p.over = make(chan piece, portableQueue), make(chan struct{})
	return nil
}

func (p *poller) close() { close(p.over) }

// hand tells the worker; false: it has ended.
func (p *poller) hand(x piece) bool {
	select {
	case p.pieces <- x:
		return true
	case <-p.over:
		return false
	}
}

func (p *poller) wait(w *worker, until int64) {
	timer := time.NewTimer(max(0, time.Duration(until-w.plan.now())))
	defer timer.Stop()
	select {
	case x := <-p.pieces:
		w.polledNow(true)
		p.take(x)
	case <-timer.C:
		return
	}
	for range portableQueue {
		select {
		case x := <-p.pieces:
			p.take(x)
		default:
			return
		}
	}
}

func (p *poller) take(x piece) {
	c, s := x.c, &x.c.socket
	if x.gen != s.gen || c.state == connNone {
		if x.conn != nil {
			_ = x.conn.Close() // of a connection that was given up
		}
		return
	}
	if c.state == connConnecting {
		s.conn, s.err = x.conn, x.err
		c.connected()
		return
	}
	s.in = append(s.in, x.data...)
	s.err = x.err
	c.readable()
}
