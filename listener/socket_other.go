//go:build !linux

package listener

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// Socket is the one listening socket of a Group. Only the net.Listener form of
// the group is of use on this system: there is no event loop for raw descriptors.
type Socket struct {
	l        net.Listener
	accepted atomic.Uint64
}

// FD is -1 on this system.
func (s *Socket) FD() int { return -1 }

// Index is the socket's place in its group.
func (s *Socket) Index() int { return 0 }

// Accepted is the number of connections accepted so far.
func (s *Socket) Accepted() uint64 { return s.accepted.Load() }

// Accept is for event loops, which this system has none of: use Group.Accept.
func (s *Socket) Accept() (fd int, remote netip.AddrPort, err error) {
	return -1, netip.AddrPort{}, errors.ErrUnsupported
}

// Quiesce does nothing: the queue is drained, but what arrives in the meantime
// may be reset.
func (s *Socket) Quiesce() error { return nil }

// Close closes the listener. Closing twice is no error.
func (s *Socket) Close() error {
	if err := s.l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *Socket) startPolling() error { return nil }

// acceptConn waits for a connection.
func (s *Socket) acceptConn(*Group) (net.Conn, error) {
	c, err := s.l.Accept()
	if err != nil {
		return nil, err
	}
	s.accepted.Add(1)
	return &Conn{c}, nil
}

// acceptQueued accepts what is queued already: with a deadline, as package net
// has no accept that does not wait.
func (s *Socket) acceptQueued(g *Group) (net.Conn, error) {
	s.setDeadline(time.Now().Add(10 * time.Millisecond))
	c, err := s.acceptConn(g)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errQueueEmpty
	}
	return c, err
}

// interrupt ends acceptConn with os.ErrDeadlineExceeded.
func (s *Socket) interrupt() { s.setDeadline(time.Unix(1, 0)) }

func (s *Socket) setDeadline(t time.Time) {
	if l, ok := s.l.(interface{ SetDeadline(t time.Time) error }); ok {
		_ = l.SetDeadline(t) // fails on a closed listener only
	}
}
