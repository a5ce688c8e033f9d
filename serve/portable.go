package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1"
	"github.com/penstock-edge/penstock/serve/h2"
)

// portable is the other form behind an engine's Host: one goroutine serves one
// connection of any net.Listener, and its reads and writes wait.
type portable struct {
	part   *part
	conn   net.Conn // what is read and written; a *tls.Conn under TLS
	engine protocol
	h2     *portableH2 // as the HTTP/2 engine's Host; nil: HTTP/1

	state  atomic.Int32 // http.ConnState
	told   bool         // the engine knows of the drain; guarded as the read half is
	over   bool
	failed error
	gone   bool // hijacked
	addr   string

	proxied bool       // its PROXY header has not come yet, nor has its observer heard of it
	gated   bool       // counted by the gate, as a connection of counted
	counted netip.Addr // zero: nobody's

	mu       sync.Mutex
	shaking  bool      // hands: such a wait is not ended by the drain
	writeEnd time.Time // the handler's

	watching chan struct{} // closed when the watcher has ended; nil: none
	ahead    []byte        // the byte it read
	aheadErr error
}

var _ h1.Host = (*portable)(nil)

// RunTask and ResumeTask: the engine does not ask for them, since Blocks.
func (c *portable) RunTask(interface{ Run() }) bool { panic("BUG: a task without an event loop") }
func (c *portable) ResumeTask() bool                { panic("BUG: a task without an event loop") }

// ContextValue: no shard serves here.
func (c *portable) ContextValue(any) (any, bool) { return nil, false }

// past ends a wait at once.
var past = time.Unix(1, 0)

// run takes the PROXY header where one is due, shakes hands, chooses the engine and
// serves until the connection is over.
func (c *portable) run() {
	srv := c.part.svc.srv
	if c.proxied && !c.takeHeader() {
		return
	}
	c.SetState(http.StateNew)
	at := h1.Attachment{}
	alpn := ""
	if cfg := c.part.svc.tlsConfig; cfg != nil {
		tc := tls.Server(c.conn, cfg)
		if t := srv.Options.handshakeTimeout(); t > 0 {
			c.conn.SetDeadline(time.Now().Add(t))
		}
		c.setShaking(true)
		err := tc.Handshake()
		c.setShaking(false)
		if err != nil {
			srv.stats.HandshakeErrors.Add(1)
			return
		}
		srv.stats.Handshakes.Add(1)
		c.conn.SetDeadline(time.Time{})
		state := tc.ConnectionState()
		at.TLS, alpn = &state, state.NegotiatedProtocol
		srv.portables.mu.Lock() // tell and cut look at it
		c.conn = tc
		srv.portables.mu.Unlock()
	}
	at.Context = c.part.svc.context(c.conn)
	switch srv.Options.negotiate(at.TLS != nil, alpn) {
	case versionHTTP1:
		engine := h1.NewConn(c.part.h1, c, at)
		c.setEngine(engine)
		engine.OnReadable(time.Now())
	case versionHTTP2:
		c.newHTTP2(h2.Attachment{Context: at.Context, TLS: at.TLS})
	default:
		return
	}
	if c.h2 != nil { // from the begin, or by its preface
		c.h2.serve()
	}
}

// setEngine shows the engine to those who drain and cut.
func (c *portable) setEngine(e protocol) {
	c.part.svc.srv.portables.mu.Lock()
	c.engine = e
	c.part.svc.srv.portables.mu.Unlock()
}

// newHTTP2 makes the HTTP/2 engine.
func (c *portable) newHTTP2(at h2.Attachment) {
	c.h2 = &portableH2{portable: c}
	c.h2.idle.L = &c.h2.mu
	c.h2.engine = h2.NewConn(c.part.h2, c.h2, at)
	c.setEngine(c.h2.engine)
}

// switchToHTTP2 is called by the HTTP/1 engine in its step, which ends then.
func (c *portable) switchToHTTP2(read *bufpool.Buffer) {
	c.newHTTP2(h2.Attachment{Context: c.part.svc.context(c.conn)})
	c.h2.engine.Preread(read)
	c.conn.SetReadDeadline(time.Time{}) // the HTTP/1 engine's timer
}

func (c *portable) setShaking(on bool) {
	c.mu.Lock()
	c.shaking = on
	c.mu.Unlock()
}

// tell ends the present wait, so that the engine looks at Draining; the next
// Read does where there is none. A handshake and a watch go on.
func (c *portable) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shaking && c.watching == nil {
		c.conn.SetReadDeadline(past)
	}
}

// Blocks: Read and Write wait.
func (c *portable) Blocks() bool { return true }

// Read waits for bytes; what the watcher took comes first.
func (c *portable) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	if c.aheadErr != nil {
		return 0, c.aheadErr
	}
	if !c.told && c.Draining() {
		// tell may have come before this wait, and its deadline been replaced.
		c.told = true
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.conn.Read(p)
	if n > 0 {
		err = nil
	}
	return n, err
}

// Write waits until p is taken, 64 KiB at a time, each within the progress
// deadline (S-3).
func (c *portable) Write(p []byte) (int, error) {
	const chunk = 64 << 10
	for sent := 0; sent < len(p); {
		c.conn.SetWriteDeadline(c.writeDeadline())
		n, err := c.conn.Write(p[sent:min(len(p), sent+chunk)])
		if sent += n; err != nil {
			return sent, err
		}
	}
	return len(p), nil
}

func (c *portable) writeDeadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := c.writeEnd
	if idle := c.part.svc.srv.Options.writeIdleTimeout(); idle > 0 {
		if t := time.Now().Add(idle); due.IsZero() || t.Before(due) {
			due = t
		}
	}
	return due
}

// WriteBoth writes head; the body follows by itself.
func (c *portable) WriteBoth(head, _ []byte) (int, error) {
	_, err := c.Write(head)
	return 0, err
}

func (c *portable) WriteMore(p []byte) (int, error) { return c.Write(p) }
func (c *portable) Buffered() int                   { return 0 }
func (c *portable) CanSendFile() bool               { return false }
func (c *portable) WaitReadable() error             { return nil }
func (c *portable) WaitWritable(int) error          { return nil }

// SendFile is not had here; CanSendFile says so.
func (c *portable) SendFile(*os.File, int64, int64) (int64, error) { return 0, errors.ErrUnsupported }

// SendPipe likewise.
func (c *portable) SendPipe(int, int64) (int64, error) { return 0, errors.ErrUnsupported }

// WakeReader ends a read of another goroutine.
func (c *portable) WakeReader() { c.conn.SetReadDeadline(past) }

// SetTimer bounds the next read of the engine itself.
func (c *portable) SetTimer(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.SetReadDeadline(t)
}

// SetReadDeadline bounds the handler's reads.
func (c *portable) SetReadDeadline(t time.Time) { c.conn.SetReadDeadline(t) }

// SetWriteDeadline bounds the handler's writes.
func (c *portable) SetWriteDeadline(t time.Time) {
	c.mu.Lock()
	c.writeEnd = t
	c.mu.Unlock()
	c.conn.SetWriteDeadline(c.writeDeadline())
}

func (c *portable) Now() time.Time            { return time.Now() }
func (c *portable) WallClock() time.Time      { return time.Now() }
func (c *portable) BeginHandler()             {}
func (c *portable) EndHandler() (inline bool) { return true }
func (c *portable) Lead()                     {}

// WatchHangup reads ahead by one byte on a goroutine of its own, as net/http
// does: the only way to see a peer go away through a net.Conn.
func (c *portable) WatchHangup() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watching != nil || len(c.ahead) > 0 || c.gone {
		return
	}
	done := make(chan struct{})
	c.watching = done
	c.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(done)
		var b [1]byte
		n, err := c.conn.Read(b[:])
		if n > 0 {
			c.ahead = b[:1]
			return
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.aheadErr = err
			c.engine.OnHangup()
		}
	}()
}

// StopWatch ends the watcher and waits for it.
func (c *portable) StopWatch() {
	c.mu.Lock()
	done := c.watching
	c.watching = nil
	c.mu.Unlock()
	if done == nil {
		return
	}
	c.conn.SetReadDeadline(past)
	<-done
	c.conn.SetReadDeadline(time.Time{})
}

func (c *portable) Draining() bool {
	return c.part.svc.srv.draining.Load() || c.part.svc.draining.Load()
}
func (c *portable) ShedKeepAlive() bool { return c.part.svc.srv.pressure.shedKeepAlive() }

// CloseWrite sends the end of our half.
func (c *portable) CloseWrite() error {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Done: the goroutine ends when the engine returns.
func (c *portable) Done(err error) {
	if !c.over {
		c.over, c.failed = true, err
	}
}

// Hijack gives the connection to the handler.
func (c *portable) Hijack() (net.Conn, error) {
	c.gone = true
	srv := c.part.svc.srv
	srv.portables.mu.Lock()
	delete(srv.portables.conns, c)
	srv.portables.mu.Unlock()
	c.conn.SetDeadline(time.Time{}) // nobody tells or cuts it any more
	srv.signalEmpty()
	c.SetState(http.StateHijacked)
	if len(c.ahead) > 0 {
		return &aheadConn{c.conn, c.ahead}, nil
	}
	return c.conn, nil
}

// aheadConn gives back the byte that the watcher read.
type aheadConn struct {
	net.Conn
	ahead []byte
}

func (a *aheadConn) Read(p []byte) (int, error) {
	if len(a.ahead) > 0 {
		n := copy(p, a.ahead)
		a.ahead = a.ahead[n:]
		return n, nil
	}
	return a.Conn.Read(p)
}

func (c *portable) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
func (c *portable) LocalAddr() net.Addr  { return c.conn.LocalAddr() }

func (c *portable) RemoteAddrString() string {
	if c.addr == "" {
		if a := c.conn.RemoteAddr(); a != nil {
			c.addr = a.String()
		}
	}
	return c.addr
}

// SetState reports to ConnState and keeps the state for the count of a cut.
func (c *portable) SetState(s http.ConnState) {
	c.state.Store(int32(s))
	if f := c.part.svc.srv.Options.ConnState; f != nil {
		f(c.conn, s)
	}
}
