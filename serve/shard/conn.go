package shard

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// ErrWouldBlock is what Read and SendFile answer when the socket has nothing
// to give or take now. It is a temporary net.Error, which is how crypto/tls
// knows to keep a partial record and to be asked again.
var ErrWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "shard: would block" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// ErrInterrupted ends the waits of a task whose request has ended.
var ErrInterrupted = errors.New("shard: the request has ended")

var (
	errCut    = errors.New("shard: connection cut by the server")
	errGoexit = errors.New("shard: handler called runtime.Goexit")
)

// connState is where a connection stands between the shard and its driver.
type connState uint8

const (
	connOpen connState = iota
	connClosed
)

// Conn is a non-blocking socket of a shard. To the leader nothing here waits;
// the waits are calls of their own (wait.go), which hand leadership on first.
//
// The descriptor is closed by the leader only, and only while no handler of
// the connection runs, so a number can never be closed beneath a raw call.
type Conn struct {
	// Immutable after open, those of proxied connections after Introduce.
	sh       *Shard
	svc      *Service
	drv      Driver
	remote   netip.AddrPort
	local    *netip.AddrPort // what the PROXY header says; nil: the socket's
	slot     uint32
	gen      uint32
	unix     bool
	gated    bool    // counted by svc.Gate
	nameless bool    // but as nobody's
	proxied  bool    // its PROXY header has not come yet
	shared   bool    // see Share; set once
	client   *Client // what it is to a task; nil: it was accepted

	// Owned by the leader.
	busy      bool // a handler, or a detached goroutine, owns the connection
	away      bool // that goroutine is one of Detach
	state     connState
	wheelAt   int64 // where the wheel holds it; 0: nowhere
	next      *Conn // in its wheel slot
	prev      *Conn
	idleSince int64 // 0: not idle

	// Owned by whoever owns the connection: the leader, or while busy the
	// goroutine that runs the handler.
	detached bool   // overtaken
	parking  bool   // its task waits, and the step is on its way back to the loop
	over     bool   // Done was called
	blocking bool   // a goroutine of Detach owns it
	drained  bool   // the last read was short: the socket is empty until an edge
	err      error  // why it is over
	task     *Task  // what its handler runs as; nil: none
	timerAt  int64  // SetTimer, on the shard's clock; 0: none
	host     string // RemoteAddrString, rendered once

	// Atomic.
	word       atomic.Uint64 // of the handler that runs; see token
	events     atomic.Uint32 // seen while busy
	toEnd      atomic.Bool   // RDHUP, HUP or ERR was seen: a short read proves nothing
	registered atomic.Bool
	cut        atomic.Bool
	hijacked   atomic.Bool
	woken      atomic.Bool  // Wake was called
	kept       atomic.Int64 // bytes that Write took and the kernel did not; written under mu
	waiter     atomic.Pointer[waiter]

	// mu guards the descriptor and what is written.
	mu        sync.Mutex
	fd        int // -1 after hijack or close
	out       *bufpool.Buffer
	off       int  // of out, already sent
	corked    bool // gather, do not send
	outArmed  bool // registered for OUT
	stalledAt int64
	since     int64 // when the stall began, and
	left      int64 // how many bytes have left since
}

// Read reads what is there. It answers ErrWouldBlock when nothing is, io.EOF
// at the peer's end, never (0, nil).
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.drained && !c.toEnd.Load() {
		return 0, ErrWouldBlock
	}
	if c.cut.Load() {
		return 0, net.ErrClosed
	}
	n, e := rawReceive(c.fd, p)
	switch {
	case e == 0 && n > 0:
		// Edge-triggered: a short read has emptied the socket, and the next
		// bytes make an edge. Not so when a FIN may share the edge, nor on
		// Unix sockets, whose reads end at message borders.
		if n < len(p) && !c.toEnd.Load() && !c.unix {
			c.drained = true
		}
		return n, nil
	case e == 0:
		return 0, io.EOF
	case e == syscall.EAGAIN:
		return 0, ErrWouldBlock
	default:
		return 0, os.NewSyscallError("recv", e)
	}
}

// Peek copies what is there to p and leaves it there; 0: nothing, or an error. What
// comes later makes an edge also where nothing of this was read.
func (c *Conn) Peek(p []byte) int {
	n, e := rawPeek(c.fd, p)
	if e != 0 {
		return 0
	}
	return n
}

// BeginHandler marks that user code runs from here on, inline, until EndHandler.
func (c *Conn) BeginHandler() {
	c.busy = true
	c.sh.current = c
	c.word.Store(c.sh.token.enter())
}

// EndHandler reports whether this goroutine still leads. If not, it touches
// nothing of the shard any more and returns from its step soon.
func (c *Conn) EndHandler() (inline bool) {
	if c.sh.token.leave(c.word.Load()) {
		c.busy = false
		return true
	}
	c.detached = true
	return false
}

// Lead hands leadership on if this connection's handler runs inline: its
// goroutine is about to wait. Any goroutine of the handler may call it.
func (c *Conn) Lead() {
	if c.sh.token.take(c.word.Load()) {
		c.sh.counters.HandOffs.Add(1)
		c.sh.spawn(c.sh.lead)
	}
}

// Detach runs f on a goroutine of its own, which owns the connection until f
// returns (it may WaitReadable); then the loop takes it back and steps it at
// once. Called by the leader, outside a handler.
func (c *Conn) Detach(f func()) {
	c.busy, c.away, c.blocking = true, true, true
	c.word.Store(0)
	c.sh.spawn(func() {
		finished := false
		defer func() {
			if !finished {
				c.Done(errGoexit)
			}
			c.blocking = false
			c.sh.giveBack(c)
		}()
		f()
		finished = true
	})
}

// SetTimer asks for OnTimer at or soon after t; zero: none. It is cheap: the
// wheel is looked at only when the time comes.
func (c *Conn) SetTimer(t time.Time) {
	if t.IsZero() {
		c.timerAt = 0
		return
	}
	c.timerAt = max(1, c.sh.ticks(t))
}

// Done ends the connection when the step returns: at once with an error, else
// when what is buffered has left. The first call counts.
func (c *Conn) Done(err error) {
	if !c.over {
		c.over, c.err = true, err
	} else if c.err == nil {
		c.err = err
	}
}

// Draining tells that the shard, or the connection's service, takes nothing new.
// Any goroutine.
func (c *Conn) Draining() bool {
	return c.sh.counters.Draining.Load() || c.svc != nil && c.svc.leaving.Load()
}

// register puts the connection into the epoll set. It may be called by the
// leader or, before a wait, by whoever owns a half.
func (c *Conn) register() error {
	if c.registered.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registerLocked()
}

// WatchHangup makes sure that a hang-up will be seen, and tells whether one
// was already. Nobody watches a connection that was hijacked: its handler sees what
// becomes of it. Any goroutine of a handler.
func (c *Conn) WatchHangup() (gone bool) {
	if c.register() != nil {
		return !c.hijacked.Load()
	}
	return c.toEnd.Load()
}

// tryRegister is register for one who must not wait: a handler may hold mu
// through a call that reads a disk (SendFile). Its waits register, or settle.
func (c *Conn) tryRegister() {
	if !c.registered.Load() && c.mu.TryLock() {
		_ = c.registerLocked() // an error comes again when c is given back
		c.mu.Unlock()
	}
}

func (c *Conn) registerLocked() error {
	if c.registered.Load() {
		return nil
	}
	if c.fd < 0 {
		return net.ErrClosed
	}
	// ADD reports bytes and a FIN that came before it.
	if err := c.sh.poll.add(c.fd, c.slot, c.gen); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	c.registered.Store(true)
	if c.stalledAt != 0 {
		return c.armOut()
	}
	return nil
}

// CloseWrite sends FIN. What is buffered has to leave first.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		rawShutdown(c.fd, syscall.SHUT_WR)
	}
	return nil
}

// WallClock is the present for any goroutine of a handler: the loop's while
// the handler runs inline and right after it, the clock's once it was
// overtaken. Only the word is asked, which any goroutine may.
func (c *Conn) WallClock() time.Time {
	if w := c.sh.token.word.Load(); w|inHandler == c.word.Load() {
		return time.Unix(0, c.sh.wall.Load()) // an overtaking meanwhile makes it newer
	}
	return time.Now()
}

// Now is the present: the loop's, which is read once a batch, for the leader,
// the clock's under a handler (who may have been overtaken without knowing it)
// and for a detached goroutine.
func (c *Conn) Now() time.Time {
	if c.busy || c.detached || c.blocking {
		return time.Now()
	}
	return c.sh.now
}

// SetState reports a change to the service's observer and notes idleness.
func (c *Conn) SetState(s http.ConnState) {
	if s == http.StateIdle {
		c.idleSince = c.sh.ticks(c.Now())
	} else {
		c.idleSince = 0
	}
	if c.svc.ConnState != nil {
		c.svc.ConnState(c, s)
	}
}

// idle tells whether c waits between two requests. Leader only.
func (c *Conn) idle() bool { return !c.busy && c.idleSince != 0 && c.Buffered() == 0 }

// notify tells a busy connection's owner what happened. Leader only.
func (c *Conn) notify(mask uint32) {
	if mask&(evRdhup|evHup|evErr) != 0 {
		c.drv.OnHangup()
	}
	c.events.Or(mask)
	if mask&evOut != 0 && c.mu.TryLock() {
		// A handler that computes does not hold up what it wrote before.
		c.flushLocked()
		c.mu.Unlock()
	}
	if w := c.waiter.Load(); w != nil {
		w.signal(mask)
	}
}

// Handshaking tells that a detached goroutine owns the connection and its
// reads wait.
func (c *Conn) Handshaking() bool { return c.blocking }
