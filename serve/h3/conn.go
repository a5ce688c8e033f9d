package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// conn is one connection: its streams, and who leads it.
type conn struct {
	srv      *Server
	q        *quic.Conn
	tls      *tls.ConnectionState
	begun    time.Time
	age      time.Duration // then it is retired; 0: never
	maxTurns int           // requests, likewise

	token     token
	current   *quic.Stream  // the leader's
	lateUntil atomic.Int64  // Unix ns; 0: handlers run inline
	early     atomic.Bool   // the handshake is not done: what comes may be replayed
	settled   chan struct{} // of an early one: closed when the handshake's end has been dealt with

	// mu guards the following.
	mu       sync.Mutex
	room     sync.Cond     // a request has ended, or the connection
	active   []*stream     // requests that are served
	requests int           // so far
	next     quic.StreamID // above the last one
	phase    phase
	quiet    chan struct{} // closed when nothing is active; nil: nobody waits
	idleAt   time.Time     // since when nothing runs
	held     []*quic.Stream
	control  *quic.SendStream
	peer     peer
	addr     net.Addr // that remote is the text of
	remote   string
	memo     *memos
	state    http.ConnState
	admitted netip.Addr // counts in Config.Admit; invalid: it does not
}

// phase is where a connection stands on its way to its end.
type phase uint8

const (
	phaseOpen   phase = iota
	phaseGoAway       // GOAWAY with the highest id: what is on its way is served
	phaseLast         // GOAWAY with the last request
)

func newConn(s *Server, q *quic.Conn) *conn {
	state := q.ConnectionState()
	now := time.Now()
	c := &conn{
		srv: s, q: q, tls: &state.TLS, begun: now, idleAt: now,
		age: jittered(s.cfg.MaxConnAge), maxTurns: jittered(s.cfg.MaxRequests),
	}
	c.room.L = &c.mu
	if s.cfg.Early {
		select {
		case <-q.HandshakeComplete():
		default:
			c.early.Store(true)
			c.settled = make(chan struct{})
		}
	}
	return c
}

// greet sends our SETTINGS. It comes before anybody else can see the connection:
// on the control stream nothing may be ahead of them (RFC 9114 §6.2.1), and a
// drain would say GOAWAY there.
func (c *conn) greet() {
	// Our control stream is the first of the streams a peer must allow (RFC 9114
	// §6.2): one that does not has not read the RFC.
	if err := c.openControl(); err != nil {
		go c.close(frame.StreamCreationError, "no credit for the control stream")
	}
}

// start begins to take streams.
func (c *conn) start() {
	c.setState(http.StateNew)
	if c.early.Load() {
		go c.awaitHandshake()
	}
	go c.lead()
	go c.acceptUni()
}

// awaitHandshake ends the time in which requests may be replayed, in which the
// TLS state is not complete, and in which the client's address is not proved:
// rules about it are not asked before.
func (c *conn) awaitHandshake() {
	defer close(c.settled)
	select {
	case <-c.q.HandshakeComplete():
	case <-c.q.Context().Done():
		return
	}
	state := c.q.ConnectionState()
	c.mu.Lock()
	c.tls = &state.TLS
	c.mu.Unlock()
	c.srv.handshakeDone(c.q)
	if c.admit() {
		c.early.Store(false)
	}
}

// settle waits for awaitHandshake if the handshake is done: what came behind it
// is not early.
func (c *conn) settle() {
	if !c.early.Load() {
		return
	}
	select {
	case <-c.q.HandshakeComplete():
		<-c.settled
	default:
	}
}

// admit asks whether the client may have one more connection, and ends this one
// otherwise.
func (c *conn) admit() bool {
	f := c.srv.cfg.Admit
	if f == nil {
		return true
	}
	addr := addrOf(c.q.RemoteAddr())
	if !f(addr) {
		c.srv.cfg.Counters.Refused.Add(1)
		go c.close(frame.ExcessiveLoad, "too many connections of this client")
		return false
	}
	c.mu.Lock()
	c.admitted = addr
	gone := c.state == http.StateClosed
	c.mu.Unlock()
	if gone { // an early one has ended meanwhile
		c.release()
	}
	return true
}

// lead takes streams and runs their handlers until it is overtaken or the
// connection ends.
func (c *conn) lead() {
	for {
		str, err := c.q.AcceptStream(context.Background())
		if err != nil {
			c.ended(err)
			return
		}
		s := c.enter(str)
		if s == nil {
			continue
		}
		if c.late() {
			go s.serve()
			continue
		}
		c.current = str
		s.turn = c.beginTurn()
		if !s.serve() {
			return
		}
	}
}

// enter lets a request in, once there is room for another handler. Nil: it is
// rejected.
func (c *conn) enter(str *quic.Stream) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.active) >= c.srv.cfg.MaxStreams && !c.awaitRoom() {
		return nil
	}
	id := str.StreamID()
	if c.phase == phaseLast && id >= c.next {
		// Its credit is not given back: no more requests are wanted.
		c.srv.cfg.Counters.Rejected.Add(1)
		abort(str, frame.RequestRejected) // RFC 9114 §4.1.1: nothing of it was done
		return nil
	}
	if len(c.active) == 0 {
		c.stateLocked(http.StateActive)
	}
	c.next = id + 4
	c.requests++
	if c.maxTurns > 0 && c.requests == c.maxTurns || c.phase == phaseOpen && c.srv.cfg.shed() {
		go c.drain()
	}
	s := c.newStream(str)
	s.at = len(c.active)
	c.active = append(c.active, s)
	return s
}

// awaitRoom waits until fewer than MaxStreams requests are active. False: the
// connection has ended, which nobody else would tell this goroutine: it is the
// one that would see it. c.mu is held, but not while it waits.
func (c *conn) awaitRoom() bool {
	stop := context.AfterFunc(c.q.Context(), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.room.Broadcast()
	})
	defer stop()
	for len(c.active) >= c.srv.cfg.MaxStreams {
		if c.q.Context().Err() != nil {
			return false
		}
		c.room.Wait()
	}
	return true
}

// leave tells that a request is over.
func (c *conn) leave(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold(s.str)
	if len(c.active) == c.srv.cfg.MaxStreams {
		c.room.Signal()
	}
	end := len(c.active) - 1
	c.active[s.at] = c.active[end]
	c.active[s.at].at = s.at
	c.active[end] = nil
	c.active = c.active[:end]
	if end > 0 {
		return
	}
	c.idleAt = time.Now()
	c.stateLocked(http.StateIdle)
	if c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
}

// ended is called by the last leader.
func (c *conn) ended(err error) {
	var app *quic.ApplicationError
	var tr *quic.TransportError
	if errors.As(err, &app) && !app.Remote && frame.Code(app.ErrorCode) != frame.NoError || errors.As(err, &tr) && !tr.Remote {
		c.srv.cfg.Counters.Errors.Add(1)
		c.srv.cfg.ErrorLog.Debug("http3: connection ended", slog.String("remote", c.remoteAddr()), slog.Any("error", err))
	}
	c.srv.remove(c)
}

// close ends the connection with code. It waits until the transport has said so.
func (c *conn) close(code frame.Code, reason string) {
	c.q.CloseWithError(quic.ApplicationErrorCode(code), reason)
}

// fail ends the connection for a violation of the protocol.
func (c *conn) fail(err *frame.Error) { c.close(err.Code, err.Reason) }

// busy tells whether a request is under way.
func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.active) > 0
}

// release takes c out of its client's count.
func (c *conn) release() {
	c.mu.Lock()
	addr := c.admitted
	c.admitted = netip.Addr{}
	c.mu.Unlock()
	if addr.IsValid() {
		c.srv.cfg.Release(addr)
	}
}

// remoteAddr is the peer's address as text. It changes when a migration has
// been validated, not before.
func (c *conn) remoteAddr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remoteLocked()
}

func (c *conn) remoteLocked() string {
	if addr := c.q.RemoteAddr(); addr != c.addr {
		c.addr, c.remote = addr, addr.String()
	}
	return c.remote
}

func (c *conn) setState(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stateLocked(state)
}

func (c *conn) stateLocked(state http.ConnState) {
	if c.state == http.StateClosed { // a handler may outlive its connection
		return
	}
	c.state = state
	if f := c.srv.cfg.ConnState; f != nil {
		f(c.q.RemoteAddr(), state)
	}
}

// abort ends both directions of a stream with code.
func abort(str *quic.Stream, code frame.Code) {
	str.CancelRead(quic.StreamErrorCode(code))
	str.CancelWrite(quic.StreamErrorCode(code))
}
