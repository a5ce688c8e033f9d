package serve

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1"
	"github.com/penstock-edge/penstock/serve/h2"
	"github.com/penstock-edge/penstock/serve/shard"
)

// conn joins a shard's connection with its engine: it is the shard's Driver
// and the engine's Host. Under TLS it stands between the two as well.
type conn struct {
	*shard.Conn
	part   *part
	tls    *tls.Conn // nil: clear
	link   *link     // what tls reads and writes
	engine protocol  // nil: not negotiated yet

	// Of the write half, whose lock is the engine's.
	encrypted int         // bytes given to tls, until it makes full records
	corked    bool        // WriteMore has left a part in the cork
	chosen    atomic.Bool // engine is set: for those who do not own the connection
}

var (
	_ shard.Driver = (*conn)(nil)
	_ h1.Host      = (*conn)(nil)
	_ h2.Host      = h2Host{}
)

// open makes the driver of an accepted connection. It runs on the leader.
func (p *part) open(sc *shard.Conn) shard.Driver {
	c := &conn{Conn: sc, part: p}
	if p.svc.tlsConfig == nil {
		c.choose("")
		return c
	}
	c.link = &link{c: c}
	c.tls = tls.Server(c.link, p.svc.tlsConfig)
	if t := p.svc.srv.Options.handshakeTimeout(); t > 0 {
		sc.SetTimer(sc.Now().Add(t))
	}
	return c
}

// choose makes the engine for the protocol that was negotiated.
func (c *conn) choose(alpn string) {
	ctx := c.part.svc.context(c.face())
	var state *tls.ConnectionState
	if c.tls != nil {
		s := c.tls.ConnectionState()
		state = &s
	}
	switch c.part.svc.srv.Options.negotiate(c.tls != nil, alpn) {
	case versionHTTP1:
		c.engine = h1.NewConn(c.part.h1, c, h1.Attachment{Context: ctx, TLS: state})
	case versionHTTP2:
		c.Share()
		c.engine = h2.NewConn(c.part.h2, h2Host{c}, h2.Attachment{Context: ctx, TLS: state})
	default:
		c.Conn.Done(errNotThisProto)
		return
	}
	c.chosen.Store(true)
}

// prefaceReader is a Host that can change from HTTP/1 to HTTP/2.
type prefaceReader interface {
	switchToHTTP2(read *bufpool.Buffer)
}

// switchToHTTP2 is what HTTP/1 engines of clear listeners do with HTTP/2's preface.
func switchToHTTP2(host h1.Host, read *bufpool.Buffer) { host.(prefaceReader).switchToHTTP2(read) }

// switchToHTTP2 puts the HTTP/2 engine in place of the HTTP/1 engine, in its step.
func (c *conn) switchToHTTP2(read *bufpool.Buffer) {
	c.Share()
	engine := h2.NewConn(c.part.h2, h2Host{c}, h2.Attachment{Context: c.part.svc.context(c.face())})
	engine.Preread(read)
	c.engine = engine
}

// follow steps the engine that has taken the place of was in was's own step.
func (c *conn) follow(was protocol, now time.Time) {
	if c.engine != was {
		c.engine.OnReadable(now)
	}
}

// face is the connection as handlers and hooks may see it.
func (c *conn) face() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.Conn
}

// OnReadable: the shard's event.
func (c *conn) OnReadable(now time.Time) {
	switch {
	case c.engine != nil:
		e := c.engine
		e.OnReadable(now)
		c.follow(e, now)
	case c.link != nil && !c.link.begun:
		c.startHandshake()
	}
}

func (c *conn) OnWritable(now time.Time) {
	if e := c.engine; e != nil {
		e.OnWritable(now)
		c.follow(e, now)
	}
}

func (c *conn) OnTimer(now time.Time) {
	if c.engine == nil {
		c.Conn.Done(os.ErrDeadlineExceeded) // no ClientHello came
		return
	}
	e := c.engine
	e.OnTimer(now)
	c.follow(e, now)
}

// OnHangup, OnCut and OnOvertaken: a handshake may be under way, and its
// goroutine choose the engine.
func (c *conn) OnHangup() {
	if c.chosen.Load() {
		c.engine.OnHangup()
	}
}

func (c *conn) OnCut() {
	if c.chosen.Load() {
		c.engine.OnCut()
	}
}

func (c *conn) OnOvertaken() {
	if c.chosen.Load() {
		c.engine.OnOvertaken()
	}
}

func (c *conn) Drain(now time.Time) {
	if e := c.engine; e != nil {
		e.Drain(now)
		c.follow(e, now)
	}
	// A handshake goes on under its own deadline; its engine drains then.
}

// Close ends the engine; the shard closes the descriptor.
func (c *conn) Close() error {
	if c.engine != nil {
		return c.engine.Close()
	}
	return nil
}

// Blocks: the event loop's reads do not.
func (c *conn) Blocks() bool { return false }

// Read reads what is there, decrypted.
func (c *conn) Read(p []byte) (int, error) { return c.readAs(p, h1.ErrWouldBlock) }

// readAs is Read with the engine's own word for "nothing now".
func (c *conn) readAs(p []byte, wouldBlock error) (int, error) {
	var n int
	var err error
	if c.tls != nil {
		n, err = c.tls.Read(p)
	} else {
		n, err = c.Conn.Read(p)
	}
	if n > 0 {
		return n, nil // an error behind bytes comes again
	}
	if err == shard.ErrWouldBlock {
		return 0, wouldBlock
	}
	return 0, err
}

// tlsWrite bounds what is encrypted for one system call: three full records
// and their frames fit a 64 KiB buffer.
const tlsWrite = 48 << 10

// Write sends p; under TLS all its records leave in one system call.
func (c *conn) Write(p []byte) (int, error) {
	if c.tls == nil {
		return c.Conn.Write(p)
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), tlsWrite)
		if err := c.writeRecords(rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

const (
	tlsRecord = 16 << 10 // RFC 8446 §5.1
	// tlsBoost is what crypto/tls has sent, at least, when it makes all records
	// as large as they may be; before, the first of a connection are small.
	tlsBoost = 256 << 10
)

// writeRecords encrypts and sends p. What makes one record needs no cork, and
// goes to the socket from where it was encrypted (BenchmarkHelloH2/h2).
func (c *conn) writeRecords(p []byte) error {
	if c.encrypted >= tlsBoost && len(p) <= tlsRecord && !c.corked {
		_, err := c.tls.Write(p)
		return err
	}
	c.encrypted += len(p)
	c.Cork()
	c.corked = false
	if _, err := c.tls.Write(p); err != nil {
		return err
	}
	return c.Uncork()
}

// WriteMore is Write with more to come at once.
func (c *conn) WriteMore(p []byte) (int, error) {
	if c.tls == nil {
		return c.Conn.WriteMore(p)
	}
	if len(p) > tlsWrite {
		return c.Write(p)
	}
	c.Cork() // the next Write lets it out
	c.corked = true
	return c.tls.Write(p)
}

// WriteBoth sends head and the begin of body together.
func (c *conn) WriteBoth(head, body []byte) (int, error) {
	if c.tls == nil {
		return c.Conn.WriteBoth(head, body)
	}
	_, err := c.WriteMore(head)
	return 0, err
}

// CanSendFile: only bytes that go out as they lie on the disk.
func (c *conn) CanSendFile() bool { return c.tls == nil }

// SendFile is sendfile(2).
func (c *conn) SendFile(f *os.File, off, n int64) (int64, error) {
	sent, err := c.Conn.SendFile(f, off, n)
	if err == shard.ErrWouldBlock {
		err = h1.ErrWouldBlock
	}
	return sent, err
}

// SetReadDeadline and SetWriteDeadline bound a handler's waits.
func (c *conn) SetReadDeadline(t time.Time)  { c.Conn.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) { c.Conn.SetWriteDeadline(t) }

// WatchHangup: the epoll set always watches, but a FIN that came with the
// request was harvested before anybody asked.
func (c *conn) WatchHangup() {
	if c.Conn.WatchHangup() {
		c.engine.OnHangup()
	}
}

// StopWatch: there is nothing to stop.
func (c *conn) StopWatch() {}

// ShedKeepAlive: memory is short (S-7).
func (c *conn) ShedKeepAlive() bool { return c.part.svc.srv.pressure.shedKeepAlive() }

// CloseWrite sends close_notify, then FIN.
func (c *conn) CloseWrite() error {
	if c.tls != nil {
		c.tls.CloseWrite()
	}
	return c.Conn.CloseWrite()
}

// Done ends the connection; a clean end says so to a TLS peer (RFC 8446 §6.1).
func (c *conn) Done(err error) {
	if err == nil && c.tls != nil && c.engine != nil {
		c.tls.CloseWrite()
	}
	c.Conn.Done(err)
}

// Hijack gives the connection away. Under TLS the tls.Conn goes, with a plain
// connection beneath it from here on.
func (c *conn) Hijack() (net.Conn, error) {
	plain, err := c.Conn.Hijack()
	if err != nil || c.tls == nil {
		return plain, err
	}
	c.link.plain.Store(&plain)
	return c.tls, nil
}

func (c *conn) SetState(s http.ConnState) { c.Conn.SetState(s) }

// context is the parent of a connection's request contexts.
func (svc *service) context(c net.Conn) context.Context {
	if f := svc.srv.Options.ConnContext; f != nil {
		return f(svc.base, c)
	}
	return svc.base
}
