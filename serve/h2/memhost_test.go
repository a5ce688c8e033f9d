package h2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// memHost is a connection in memory, in both of Host's forms. Its clock is
// package time's, so that synctest can drive it.
//
// In the event loop's form a goroutine leads: it steps the engine at each edge,
// with handlers inline. When a handler is about to wait (LeadTurn), or the test
// says so (overtake), another goroutine leads and steps the engine at once,
// while the old handler goes on.
//
// In the portable form a goroutine stays in OnReadable and waits in Read; a
// second is the kernel, which takes what was written and calls OnWritable;
// timers have their own.
//
// What the engine may not do is noted in faults.
type memHost struct {
	conn     *Conn
	portable bool
	ended    chan struct{} // the connection is closed

	mu   sync.Mutex
	cond *sync.Cond // anything below changed

	// The reading half.
	in      [][]byte // segments; one Read takes from one of them
	eof     bool
	readErr error

	// The writing half.
	out      []byte // what the peer has got
	kept     []byte // taken by Write, not yet by the kernel
	window   int    // what the kernel still takes; negative: all
	writeErr error
	writes   int // calls
	largest  int // bytes of one call
	reads    int // calls

	// Leadership, in the event loop's form.
	pending  edge
	epoch    int    // of the leader: counts takeovers
	turn     Turn   // of the handler that runs inline; 0: none
	turns    Turn   // so far
	inStep   bool   // the leader is in the engine, in no handler
	leader   string // its goroutine
	takeIn   int    // forced takeover after so many calls under a handler; 0: none
	takeEach int    // likewise, in each handler anew
	behind   int    // WorkBehind calls
	timerAt  time.Time
	timer    *time.Timer
	timerSet int // calls

	draining bool
	told     bool // the engine of the portable form, of the drain
	shed     bool
	cut      bool
	fin      bool // CloseWrite
	done     bool
	doneErr  error
	closed   bool
	states   []http.ConnState
	faults   []string
}

// edge is what happened, for the leader.
type edge uint8

const (
	edgeDrain edge = 1 << iota // in the order in which they are served
	edgeTimer
	edgeWritable
	edgeReadable
)

func newMemHost(portable bool) *memHost {
	h := &memHost{portable: portable, window: -1, ended: make(chan struct{})}
	h.cond = sync.NewCond(&h.mu)
	return h
}

// serve drives the engine until the connection is closed.
func (h *memHost) serve(conn *Conn) {
	h.mu.Lock()
	h.conn = conn
	h.mu.Unlock()
	if h.portable {
		go h.kernel()
		go h.run()
		return
	}
	h.pending = edgeReadable // the first step
	go h.lead(false)
}

// fault notes what the engine may not do. mu is held.
func (h *memHost) fault(format string, args ...any) {
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

// lead is a goroutine's leadership; resume: it has overtaken another one, and
// steps the connection first.
func (h *memHost) lead(resume bool) {
	for {
		h.mu.Lock()
		for !resume && h.pending == 0 && !h.over() {
			h.cond.Wait()
		}
		if h.over() {
			h.mu.Unlock()
			h.close()
			return
		}
		e := edgeReadable
		if !resume {
			e = h.pending & -h.pending
			h.pending &^= e
		}
		h.mu.Unlock()
		resume = false
		if !h.step(e) {
			return // overtaken
		}
	}
}

// step makes one step. False: this goroutine was overtaken in it.
func (h *memHost) step(e edge) (leads bool) {
	h.mu.Lock()
	if h.inStep {
		h.fault("two steps at once")
	}
	h.inStep, h.leader = true, goid()
	epoch := h.epoch
	h.mu.Unlock()

	returned := false
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if leads = h.epoch == epoch; !leads {
			return
		}
		h.inStep = false
		if !returned { // runtime.Goexit: the connection goes on under another leader
			h.epoch++
			go h.lead(true)
		}
	}()
	now := time.Now()
	switch e {
	case edgeDrain:
		h.conn.Drain(now)
	case edgeTimer:
		h.conn.OnTimer(now)
	case edgeWritable:
		h.conn.OnWritable(now)
	case edgeReadable:
		h.conn.OnReadable(now)
	}
	returned = true
	return leads
}

// over tells whether the connection is to be closed now. mu is held.
func (h *memHost) over() bool {
	return h.cut || h.done && (h.doneErr != nil || len(h.kept) == 0)
}

func (h *memHost) close() {
	h.conn.Close()
	h.mu.Lock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.cond.Broadcast()
	h.mu.Unlock()
	close(h.ended)
}

// run is the reader of the portable form.
func (h *memHost) run() {
	h.conn.OnReadable(time.Now())
	h.mu.Lock()
	if !h.done && !h.cut {
		h.fault("OnReadable returned before the connection was done")
	}
	for len(h.kept) > 0 && h.writeErr == nil && !h.cut {
		h.cond.Wait()
	}
	h.mu.Unlock()
	h.close()
}

// kernel takes what is written, in the portable form.
func (h *memHost) kernel() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.closed {
		switch {
		case len(h.kept) == 0 || h.writeErr == nil && h.window == 0:
			h.cond.Wait()
			continue
		case h.writeErr != nil && h.done:
			return
		case h.writeErr != nil:
			h.done, h.doneErr = true, h.writeErr // it ends the reader's wait
		default:
			h.sendLocked()
			if len(h.kept) > 0 {
				continue
			}
		}
		h.cond.Broadcast()
		h.mu.Unlock()
		h.conn.OnWritable(time.Now())
		h.mu.Lock()
	}
}

// edge tells the leader of e.
func (h *memHost) edge(e edge) {
	h.mu.Lock()
	h.pending |= e
	h.cond.Broadcast()
	h.mu.Unlock()
}

// enter is the begin of each of Host's methods: a handler may be overtaken
// between any two of them. mu is held.
func (h *memHost) enter() {
	if h.turn != 0 && h.takeIn > 0 {
		if h.takeIn--; h.takeIn == 0 {
			h.take0()
		}
	}
}

// inStepOnly checks that the leader calls, from a step. mu is held.
func (h *memHost) inStepOnly(what string) {
	switch {
	case h.conn == nil: // NewConn
	case h.closed:
		h.fault("%s after Close", what)
	case !h.portable && (!h.inStep || h.leader != goid()):
		h.fault("%s outside a step", what)
	}
}

func (h *memHost) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("Read")
	h.reads++
	if len(p) == 0 {
		h.fault("Read into nothing")
	}
	for {
		switch {
		case h.cut:
			return 0, net.ErrClosed
		case h.portable && h.draining && !h.told:
			h.told = true
			h.mu.Unlock()
			h.conn.Drain(time.Now())
			h.mu.Lock()
			continue
		case len(h.in) > 0 && !(h.portable && h.done):
			n := copy(p, h.in[0])
			if h.in[0] = h.in[0][n:]; len(h.in[0]) == 0 {
				h.in = h.in[1:]
			}
			return n, nil
		case h.readErr != nil:
			return 0, h.readErr
		case h.eof:
			return 0, io.EOF
		case !h.portable:
			return 0, ErrWouldBlock
		case h.done:
			return 0, os.ErrDeadlineExceeded
		}
		h.cond.Wait()
	}
}

func (h *memHost) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter()
	if h.closed {
		h.fault("Write after Close")
	}
	if len(p) == 0 {
		h.fault("Write of nothing")
	}
	h.writes++
	h.largest = max(h.largest, len(p))
	if h.writeErr != nil {
		return 0, h.writeErr
	}
	if h.cut {
		return 0, net.ErrClosed
	}
	if h.fin {
		h.fault("Write after CloseWrite")
	}
	h.kept = append(h.kept, p...)
	if !h.portable { // there, the kernel is another goroutine
		h.sendLocked()
	}
	h.cond.Broadcast()
	return len(p), nil
}

// sendLocked moves what the kernel takes.
func (h *memHost) sendLocked() {
	n := len(h.kept)
	if h.window >= 0 {
		n = min(n, h.window)
		h.window -= n
	}
	h.out = append(h.out, h.kept[:n]...)
	h.kept = h.kept[n:]
}

// take lets the kernel take n bytes more; negative: all from now on.
func (h *memHost) take(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n < 0 {
		h.window = -1
	} else if h.window >= 0 {
		h.window += n
	}
	if !h.portable && len(h.kept) > 0 {
		if h.sendLocked(); len(h.kept) == 0 {
			h.pending |= edgeWritable
		}
	}
	h.cond.Broadcast()
}

// takeovers is how often leadership has changed.
func (h *memHost) takeovers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// stop lets the kernel take n bytes more and then nothing.
func (h *memHost) stop(n int) {
	h.mu.Lock()
	h.window = n
	h.mu.Unlock()
}

func (h *memHost) Buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter()
	return len(h.kept)
}

func (h *memHost) Blocks() bool { return h.portable }

func (h *memHost) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("Now")
	return time.Now()
}

func (h *memHost) TurnClock(Turn) time.Time { return time.Now() }

func (h *memHost) SetTimer(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("SetTimer")
	h.timerSet++
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	h.timerAt = t
	if t.IsZero() || h.done {
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(time.Until(t), func() {
		h.mu.Lock()
		current := h.timer == mine && !h.closed
		h.mu.Unlock()
		switch {
		case !current:
		case h.portable:
			h.conn.OnTimer(time.Now())
		default:
			h.edge(edgeTimer)
		}
	})
	h.timer = mine
}

func (h *memHost) ContextValue(any, Turn, Task) (any, bool) { return nil, false }

func (h *memHost) RunTask(TaskRunner) (parked, inline bool) { panic("no tasks here") }

func (h *memHost) BeginTurn() Turn {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("BeginTurn")
	if h.portable {
		return 0
	}
	h.turns++
	h.turn, h.inStep = h.turns, false
	t := h.turn
	if h.takeEach > 0 {
		h.takeIn = h.takeEach
	}
	h.enter()
	return t
}

func (h *memHost) EndTurn(t Turn) (inline bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter()
	if h.turn != t {
		return false
	}
	h.turn, h.inStep = 0, true
	return true
}

func (h *memHost) LeadTurn(t Turn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t != 0 && h.turn == t {
		h.take0()
	}
}

// take0 takes leadership from the handler that runs inline. mu is held.
func (h *memHost) take0() {
	h.turn = 0
	h.epoch++
	go h.lead(true)
}

// overtake is what a standby does to a handler that does not come back. False:
// none runs inline.
func (h *memHost) overtake() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turn == 0 {
		return false
	}
	h.take0()
	return true
}

func (h *memHost) Leading(t Turn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter()
	return t != 0 && h.turn == t
}

func (h *memHost) WorkBehind() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("WorkBehind")
	h.behind++
}

func (h *memHost) Wake() {
	if h.portable {
		h.conn.OnWritable(time.Now()) // by the caller: it holds no lock
		return
	}
	h.edge(edgeWritable)
}

func (h *memHost) Draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

func (h *memHost) ShedKeepAlive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shed
}

func (h *memHost) CloseWrite() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("CloseWrite")
	if len(h.kept) > 0 {
		h.fault("CloseWrite with %d bytes buffered", len(h.kept))
	}
	if h.fin {
		h.fault("CloseWrite twice")
	}
	h.fin = true
	h.cond.Broadcast()
	return nil
}

func (h *memHost) Done(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("Done")
	if h.done && h.writeErr == nil {
		h.fault("Done twice")
	}
	h.done, h.doneErr = true, err
	h.cond.Broadcast()
}

func (h *memHost) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}
}

func (h *memHost) LocalAddr() net.Addr      { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }
func (h *memHost) RemoteAddrString() string { return "192.0.2.7:4711" }

func (h *memHost) SetState(s http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inStepOnly("SetState")
	h.states = append(h.states, s)
}

// give is a segment from the peer.
func (h *memHost) give(p []byte) {
	h.mu.Lock()
	h.in = append(h.in, p)
	h.pending |= edgeReadable
	h.cond.Broadcast()
	h.mu.Unlock()
}

// startDrain tells the engine that the server stops.
func (h *memHost) startDrain() {
	h.mu.Lock()
	h.draining = true
	h.pending |= edgeDrain
	h.cond.Broadcast()
	h.mu.Unlock()
}

// hangup is the peer's FIN, or its reset if hard is not nil.
func (h *memHost) hangup(hard error) {
	h.mu.Lock()
	h.eof, h.readErr = true, hard
	h.pending |= edgeReadable
	h.cond.Broadcast()
	h.mu.Unlock()
}

// failWrites makes every write fail from now on.
func (h *memHost) failWrites(err error) {
	h.mu.Lock()
	h.writeErr = err
	h.cond.Broadcast()
	h.mu.Unlock()
}

// shutdown is the server's cut, and waits for the end.
func (h *memHost) shutdown() {
	if h.portable {
		h.conn.Close()
	}
	h.mu.Lock()
	h.cut = true
	h.cond.Broadcast()
	h.mu.Unlock()
	h.overtake()
	<-h.ended
}

// goid names the calling goroutine.
func goid() string {
	var b [40]byte
	n := runtime.Stack(b[:], false) // "goroutine 7 [running]:..."
	f := bytes.Fields(b[:n])
	if len(f) < 2 {
		return strconv.Itoa(n)
	}
	return string(f[1])
}

var _ Host = (*memHost)(nil)
