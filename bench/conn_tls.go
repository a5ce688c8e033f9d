package bench

import (
	"context"
	"crypto/tls"
	"io"
	"iter"
	"net"
	"time"
)

// tlsConn is crypto/tls on a connection that does not block. The handshake, which
// cannot be left in the middle, runs as a coroutine: it waits by going back to the
// loop.
type tlsConn struct {
	c    *conn
	conn *tls.Conn

	next  func() (struct{}, bool)
	end   func()
	yield func(struct{}) bool // while the handshake runs
	err   error               // its result

	// drained: the last read had all that the socket held. A further one in the same
	// turn would be a system call that finds nothing: one of four of a request over
	// TLS (TestGeneratorCost, h1s and h2m1).
	drained bool
}

func newTLSConn(c *conn) *tlsConn {
	t := &tlsConn{c: c}
	t.conn = tls.Client((*tlsLink)(t), c.w.plan.tls)
	t.next, t.end = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		t.err = t.conn.HandshakeContext(context.Background())
		t.yield = nil
	})
	return t
}

// shake goes on with the handshake until it waits, or is done.
func (t *tlsConn) shake() (done bool, err error) {
	if _, more := t.next(); more {
		return false, nil
	}
	return true, t.err
}

// stop ends a handshake that still runs.
func (t *tlsConn) stop() { t.end() }

// tlsLink is the net.Conn under crypto/tls.
type tlsLink tlsConn

func (l *tlsLink) Read(b []byte) (int, error) {
	if l.drained {
		return 0, errWouldBlock
	}
	for {
		n, err := l.c.socket.receive(b)
		l.drained = n < len(b) && err == nil && l.yield == nil && !l.c.toEnd
		if err != errWouldBlock || l.yield == nil {
			return n, err
		}
		if !l.yield(struct{}{}) {
			return 0, io.ErrClosedPipe
		}
	}
}

func (l *tlsLink) Write(b []byte) (int, error) {
	l.c.send(b)
	return len(b), nil
}

func (l *tlsLink) Close() error                     { return nil } // the connection's affair
func (l *tlsLink) LocalAddr() net.Addr              { return nil }
func (l *tlsLink) RemoteAddr() net.Addr             { return nil }
func (l *tlsLink) SetDeadline(time.Time) error      { return nil }
func (l *tlsLink) SetReadDeadline(time.Time) error  { return nil }
func (l *tlsLink) SetWriteDeadline(time.Time) error { return nil }
