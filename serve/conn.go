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
	awaits bool      // its PROXY header

	// Of the write half, whose lock is the engine's.
	encrypted int         // bytes given to tls, until it makes full records
	corked    bool        // WriteMore has left a part in the cork
	chosen    atomic.Bool // engine is set: for those who do not own the connection

	counted atomic.Int32 // version that it is counted as, in part.speak; versionNone: none yet, or no more
}

var (
	_ shard.Driver = (*conn)(nil)
	_ h1.Host      = (*conn)(nil)
	_ h2.Host      = h2Host{}
)

// open makes the driver of an accepted connection. It runs on the leader.
func (p *part) open(sc *shard.Conn) shard.Driver {
	c := &conn{Conn: sc, part: p}
	switch {
	case !sc.Proxied():
		c.begin()
	case !c.awaitHeader():
		return nil
	}
	return c
}

// begin is the begin of what the client says: TLS, or HTTP.
func (c *conn) begin() {
	svc := c.part.svc
	if svc.tlsConfig == nil {
		c.choose("")
		return
	}
	c.link = &link{c: c}
	c.tls = tls.Server(c.link, svc.tlsConfig)
	if t := svc.srv.Options.handshakeTimeout(); t > 0 {
		c.Conn.SetTimer(c.Conn.Now().Add(t))
	}
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
		c.count(versionHTTP1)
		c.engine = h1.NewConn(c.part.h1, c, h1.Attachment{Context: ctx, TLS: state})
	case versionHTTP2:
		c.count(versionHTTP2)
		c.Share()
		c.engine = h2.NewConn(c.part.h2, h2Host{c}, h2.Attachment{Context: ctx, TLS: state})
	default:
		c.Conn.Done(errNotThisProto)
		return
	}
	c.chosen.Store(true)
}

// count makes it one of the open connections of v; of versionNone: of none. It is
// called by the owner, and by a handler that hijacks while a cut closes.
func (c *conn) count(v version) {
	if v != versionNone {
		c.part.speak[v].Add(1)
	}
	if was := c.counted.Swap(int32(v)); was != int32(versionNone) {
		c.part.speak[was].Add(-1)
	}
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
	c.count(versionHTTP2)
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
	case c.awaits:
		c.takeHeader(now)
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

// OnResume: only HTTP/1's handlers run as tasks.
func (c *conn) OnResume(now time.Time) {
	e := c.engine
	e.(*h1.Conn).OnResume(now)
	c.follow(e, now)
}

func (c *conn) OnTimer(now time.Time) {
	if c.engine == nil { // no ClientHello came, or header
		c.countHeader(os.ErrDeadlineExceeded)
		c.Conn.Done(os.ErrDeadlineExceeded)
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
	// A header or handshake is waited for until its own deadline; the engine
	// drains then.
}

// Close ends the engine; the shard closes the descriptor.
func (c *conn) Close() error {
	c.endWait()
	c.count(versionNone)
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

const (
	tlsRecord = 16 << 10 // RFC 8446 §5.1
	// tlsBoost is what crypto/tls has sent, at least, when it makes all records
	// as large as they may be; before, the first of a connection are small.
	tlsBoost = 256 << 10
	// tlsCork bounds what small records are gathered for one system call: with
	// their frames they fit a 64 KiB buffer.
	tlsCork = 48 << 10
)

// Write sends p.
func (c *conn) Write(p []byte) (int, error) {
	switch {
	case c.tls == nil:
		return c.Conn.Write(p)
	case c.encrypted >= tlsBoost && !c.corked:
		return c.writeFull(p, false)
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), tlsCork)
		if err := c.writeCorked(rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// writeFull sends p in full records, each from where it was encrypted: a send
// with MSG_MORE costs less than the copy that would join it to the next
// (BenchmarkBodyTLS). more: so does the last.
func (c *conn) writeFull(p []byte, more bool) (n int, err error) {
	if last := max(len(p)-1, 0) / tlsRecord * tlsRecord; last > 0 && !more {
		c.link.more.Store(true)
		n, err = c.tls.Write(p[:last])
		p = p[last:]
	}
	c.link.more.Store(more)
	if err == nil {
		var m int
		m, err = c.tls.Write(p)
		n += m
	}
	c.link.more.Store(false)
	return n, err
}

// writeCorked sends p, at most tlsCork, whose small records leave in one system
// call.
func (c *conn) writeCorked(p []byte) error {
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
	switch {
	case c.tls == nil:
		return c.Conn.WriteMore(p)
	case c.encrypted >= tlsBoost && !c.corked:
		return c.writeFull(p, true)
	case len(p) > tlsCork:
		return c.Write(p)
	}
	c.encrypted += len(p)
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

// SendPipe is splice(2).
func (c *conn) SendPipe(fd int, n int64) (int64, error) {
	sent, err := c.Conn.SendPipe(fd, n)
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
	if err == nil {
		c.count(versionNone)
	}
	if err != nil || c.tls == nil {
		return plain, err
	}
	c.link.plain.Store(&plain)
	return c.tls, nil
}

func (c *conn) SetState(s http.ConnState) { c.Conn.SetState(s) }

// RunTask: see h1.Host.
func (c *conn) RunTask(r interface{ Run() }) (parked bool) { return c.Conn.RunTask(r) }

// ContextValue gives a request's handler the task that it runs as.
func (c *conn) ContextValue(key any) (any, bool) {
	if _, ok := key.(shard.TaskKey); !ok {
		return nil, false
	}
	if t := c.Task(); t != nil {
		return t, true
	}
	return c.PlainTask(), true
}

// context is the parent of a connection's request contexts.
func (svc *service) context(c net.Conn) context.Context {
	if f := svc.srv.Options.ConnContext; f != nil {
		return f(svc.base, c)
	}
	return svc.base
}
