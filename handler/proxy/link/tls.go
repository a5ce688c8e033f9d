package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// gatherBytes is the most that WriteBoth joins: one TLS record.
const gatherBytes = 16 << 10

// TLS is a TLS connection over another one. Who may call what is as for any Conn.
type TLS struct {
	conn *tls.Conn
	in   *records

	// Atomic.
	idle atomic.Bool // no request is attached
}

// Handshake makes a TLS client connection of raw, which is attached, within
// timeout (0: none) and until its request ends. What protocols are offered, and
// which server name is verified, cfg says. On an error raw is closed.
func Handshake(raw Conn, cfg *tls.Config, timeout time.Duration) (*TLS, error) {
	in := &records{Conn: raw}
	c := &TLS{conn: tls.Client(in, cfg), in: in}
	if timeout > 0 {
		raw.SetDeadline(time.Now().Add(timeout))
	}
	// Not HandshakeContext: raw knows the request, and its waits end with it.
	if err := c.conn.Handshake(); err != nil {
		raw.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	if timeout > 0 {
		raw.SetDeadline(time.Time{})
	}
	return c, nil
}

// NegotiatedProtocol is what ALPN has agreed on; empty: on nothing.
func (c *TLS) NegotiatedProtocol() string { return c.conn.ConnectionState().NegotiatedProtocol }

// Read: see Conn. The end of the connection without a closure alert is
// io.ErrUnexpectedEOF: anybody on the way could have made it (RFC 9112 §9.8).
func (c *TLS) Read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	return n, c.end(err)
}

func (c *TLS) end(err error) error {
	if err == io.EOF && c.in.ended {
		return io.ErrUnexpectedEOF
	}
	return err
}

// TryRead: see Conn.
func (c *TLS) TryRead(p []byte) (int, error) {
	c.in.mode = readNowOnly
	n, err := c.conn.Read(p)
	c.in.mode = readWaits
	if n > 0 && err == ErrWouldBlock {
		err = nil // half an alert lies behind the data
	}
	return n, c.end(err)
}

// Write: see Conn.
func (c *TLS) Write(p []byte) (int, error) { return c.conn.Write(p) }

// WriteBoth joins head and the begin of body, so that a small message is one
// record and one system call.
func (c *TLS) WriteBoth(head, body []byte) error {
	if len(body) > 0 && len(head) < gatherBytes {
		buf := bufpool.Get(gatherBytes)
		defer buf.Release()
		n := min(len(body), gatherBytes-len(head))
		buf.B = append(append(buf.B, head...), body[:n]...)
		head, body = buf.B, body[n:]
	}
	if _, err := c.conn.Write(head); err != nil || len(body) == 0 {
		return err
	}
	_, err := c.conn.Write(body)
	return err
}

// CloseWrite: see Conn.
func (c *TLS) CloseWrite() error {
	if err := c.conn.CloseWrite(); err != nil {
		return err
	}
	return c.in.CloseWrite()
}

// Close: see Conn. Only an idle connection says goodbye: in the midst of an
// exchange the alert could wait behind bytes that the peer does not take, and the
// cut is what it shall see.
func (c *TLS) Close() error {
	if c.idle.Load() {
		return c.conn.Close()
	}
	return c.in.Close()
}

// Attach: see Conn.
func (c *TLS) Attach(ctx context.Context) {
	c.idle.Store(false)
	c.in.Attach(ctx)
}

// Detach: see Conn.
func (c *TLS) Detach() {
	c.in.Detach()
	c.idle.Store(true)
}

// Stale: see Conn. A ticket or key update that came after the last answer counts
// as bytes that nobody asked for: seldom, and it costs a new connection only.
func (c *TLS) Stale() bool {
	if c.in.Stale() {
		return true
	}
	var p [1]byte
	c.in.mode = readNothing
	_, err := c.conn.Read(p[:])
	c.in.mode = readWaits
	return err != ErrWouldBlock // bytes lay above the socket, or it has failed before
}

func (c *TLS) SetDeadline(t time.Time) error      { return c.in.SetDeadline(t) }
func (c *TLS) SetReadDeadline(t time.Time) error  { return c.in.SetReadDeadline(t) }
func (c *TLS) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }

// LocalAddr and RemoteAddr are the transport connection's.
func (c *TLS) LocalAddr() net.Addr  { return c.in.LocalAddr() }
func (c *TLS) RemoteAddr() net.Addr { return c.in.RemoteAddr() }

// ConnectionState is crypto/tls's.
func (c *TLS) ConnectionState() tls.ConnectionState { return c.conn.ConnectionState() }

// records is the connection that crypto/tls reads its records from.
type records struct {
	Conn

	// Owned by whoever reads.
	mode  readMode
	ended bool // io.EOF came from below
}

type readMode uint8

const (
	readWaits   readMode = iota
	readNowOnly          // never wait
	readNothing          // what was read before only
)

func (r *records) Read(p []byte) (n int, err error) {
	switch r.mode {
	case readWaits:
		n, err = r.Conn.Read(p)
	case readNowOnly:
		n, err = r.Conn.TryRead(p)
	case readNothing:
		return 0, ErrWouldBlock
	}
	if err == io.EOF {
		r.ended = true
	}
	return n, err
}
