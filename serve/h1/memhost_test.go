package h1

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// memHost is a connection in memory, in both of Host's forms. In the event
// loop's form a goroutine of its own steps the engine at each edge, as a
// leader does; a handler that waits is overtaken, and the loop waits until its
// step returns. Its clock is package time's, so that synctest can drive it.
type memHost struct {
	conn     *Conn
	portable bool

	mu   sync.Mutex
	cond *sync.Cond // anything below changed

	pending edge

	// The reading half.
	in       [][]byte // segments; one Read takes from one of them
	eof      bool
	readErr  error
	woken    bool
	readAt   time.Time // SetReadDeadline
	timerAt  time.Time // SetTimer
	watching bool

	// The writing half.
	out      []byte // what the peer has got
	kept     []byte // taken by Write, not yet by the kernel
	window   int    // what the kernel still takes; negative: all
	writeErr error
	writeAt  time.Time
	writes   int // calls
	largest  int // bytes of one call
	waits    int // WaitReadable, WaitWritable
	sent     int64

	inHandler bool
	overtaken bool
	draining  bool
	shed      bool
	cut       bool
	fin       bool // CloseWrite
	done      bool
	doneErr   error
	closed    bool
	hijacked  net.Conn // the peer's end
	states    []http.ConnState

	ended chan struct{} // the loop has returned
}

// edge is what happened, for the loop.
type edge uint8

const (
	edgeReadable edge = 1 << iota
	edgeWritable
	edgeTimer
	edgeDrain
	edgeCut
)

func newMemHost(portable bool) *memHost {
	h := &memHost{portable: portable, window: -1, ended: make(chan struct{})}
	h.cond = sync.NewCond(&h.mu)
	return h
}

// serve starts the loop, which lasts until the connection is closed.
func (h *memHost) serve(conn *Conn) {
	h.conn = conn
	h.pending = edgeReadable // the first step
	go h.loop()
}

func (h *memHost) loop() {
	defer close(h.ended)
	for {
		h.mu.Lock()
		for h.pending == 0 && !h.over() {
			h.cond.Wait()
		}
		if h.over() {
			h.mu.Unlock()
			h.close()
			return
		}
		e := h.pending
		h.pending = 0
		h.mu.Unlock()
		h.dispatch(e)
	}
}

// over tells whether the connection is to be closed now. mu is held.
func (h *memHost) over() bool {
	return h.hijacked != nil || h.done && (h.doneErr != nil || len(h.kept) == 0)
}

func (h *memHost) dispatch(e edge) {
	if e&edgeCut != 0 {
		h.Done(net.ErrClosed)
		return
	}
	now := time.Now()
	finished := false
	defer func() {
		if !finished { // runtime.Goexit: the base of a leader starts another one
			h.Done(io.ErrUnexpectedEOF)
			h.close()
		}
	}()
	if e&edgeDrain != 0 {
		h.conn.Drain(now)
	}
	if e&edgeTimer != 0 && !h.ended_() {
		h.conn.OnTimer(now)
	}
	if e&edgeWritable != 0 && !h.ended_() {
		h.conn.OnWritable(now)
	}
	if e&edgeReadable != 0 && !h.ended_() {
		h.conn.OnReadable(now)
	}
	finished = true
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.overtaken { // it comes back to its loop, which looks again
		h.overtaken = false
		h.pending |= edgeReadable
	}
}

func (h *memHost) ended_() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done || h.hijacked != nil
}

func (h *memHost) close() {
	h.conn.Close()
	h.mu.Lock()
	h.closed = true
	h.cond.Broadcast()
	h.mu.Unlock()
}

func (h *memHost) edge(e edge) {
	h.mu.Lock()
	h.pending |= e
	h.cond.Broadcast()
	h.mu.Unlock()
}

// passed tells whether a deadline is over. mu is held.
func passed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (h *memHost) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(p) == 0 {
		panic("read into nothing")
	}
	for {
		switch {
		case h.cut:
			return 0, net.ErrClosed
		case len(h.in) > 0:
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
		case h.woken:
			h.woken = false
			return 0, os.ErrDeadlineExceeded
		case passed(h.readAt), passed(h.timerAt) && !h.inHandler:
			return 0, os.ErrDeadlineExceeded
		case h.pending&edgeDrain != 0 && !h.inHandler:
			h.pending &^= edgeDrain // it ends the wait once
			return 0, os.ErrDeadlineExceeded
		}
		h.cond.Wait()
	}
}

func (h *memHost) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes++
	h.largest = max(h.largest, len(p))
	if h.writeErr != nil {
		return 0, h.writeErr
	}
	if h.cut {
		return 0, net.ErrClosed
	}
	h.kept = append(h.kept, p...)
	h.sendLocked()
	for h.portable && len(h.kept) > 0 {
		if h.cut {
			return 0, net.ErrClosed
		}
		if passed(h.writeAt) {
			return 0, os.ErrDeadlineExceeded
		}
		h.cond.Wait()
	}
	return len(p), nil
}

func (h *memHost) WriteBoth(head, _ []byte) (int, error) {
	_, err := h.Write(head)
	return 0, err
}

func (h *memHost) WriteMore(p []byte) (int, error) { return h.Write(p) }

// sendLocked moves what the kernel takes.
func (h *memHost) sendLocked() {
	n := len(h.kept)
	if h.window >= 0 {
		n = min(n, h.window)
		h.window -= n
	}
	h.out = append(h.out, h.kept[:n]...)
	h.kept = h.kept[n:]
	h.cond.Broadcast()
}

// take lets the kernel take n bytes more; negative: all from now on.
func (h *memHost) take(n int) {
	h.mu.Lock()
	if n < 0 {
		h.window = -1
	} else if h.window >= 0 {
		h.window += n
	}
	h.sendLocked()
	h.pending |= edgeWritable
	h.cond.Broadcast()
	h.mu.Unlock()
}

func (h *memHost) Buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.kept)
}

func (h *memHost) CanSendFile() bool { return !h.portable }

func (h *memHost) SendFile(f *os.File, off, n int64) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.kept) > 0 {
		panic("SendFile overtakes what is buffered")
	}
	if h.window >= 0 {
		n = min(n, int64(h.window))
	}
	if n == 0 {
		return 0, ErrWouldBlock
	}
	b := make([]byte, n)
	m, err := f.ReadAt(b, off)
	h.out = append(h.out, b[:m]...)
	h.sent += int64(m)
	if h.window >= 0 {
		h.window -= m
	}
	h.cond.Broadcast()
	if err == io.EOF {
		return int64(m), io.ErrUnexpectedEOF
	}
	return int64(m), err
}

func (h *memHost) SendPipe(int, int64) (int64, error) { panic("no pipe comes here") }

func (h *memHost) WaitReadable() error {
	if h.portable {
		return nil
	}
	h.Lead()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits++
	for {
		switch {
		case h.cut:
			return net.ErrClosed
		case len(h.in) > 0 || h.eof || h.readErr != nil:
			return nil
		case passed(h.readAt):
			return os.ErrDeadlineExceeded
		case h.woken:
			h.woken = false
			return nil
		}
		h.cond.Wait()
	}
}

func (h *memHost) WaitWritable(limit int) error {
	if h.portable {
		return nil
	}
	h.Lead()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits++
	for {
		switch {
		case h.cut:
			return net.ErrClosed
		case len(h.kept) <= limit && h.window != 0:
			return nil
		case passed(h.writeAt):
			return os.ErrDeadlineExceeded
		}
		h.cond.Wait()
	}
}

func (h *memHost) WakeReader() {
	h.mu.Lock()
	h.woken = true
	h.cond.Broadcast()
	h.mu.Unlock()
}

func (h *memHost) Blocks() bool         { return h.portable }
func (h *memHost) WallClock() time.Time { return h.Now() }
func (h *memHost) Now() time.Time       { return time.Now() }

// SetTimer and the deadlines make an alarm that looks at the fields again.
func (h *memHost) SetTimer(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timerAt = t
	h.alarm(t, func() {
		if h.timerAt.Equal(t) && !h.inHandler {
			h.pending |= edgeTimer
		}
	})
}

func (h *memHost) SetReadDeadline(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readAt = t
	h.cond.Broadcast()
	h.alarm(t, func() {})
}

func (h *memHost) SetWriteDeadline(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writeAt = t
	h.cond.Broadcast()
	h.alarm(t, func() {})
}

func (h *memHost) alarm(t time.Time, f func()) {
	if t.IsZero() {
		return
	}
	time.AfterFunc(time.Until(t), func() {
		h.mu.Lock()
		f()
		h.cond.Broadcast()
		h.mu.Unlock()
	})
}

func (h *memHost) BeginHandler() {
	h.mu.Lock()
	h.inHandler = true
	h.mu.Unlock()
}

func (h *memHost) EndHandler() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inHandler = false
	if passed(h.timerAt) {
		h.pending |= edgeTimer
	}
	return !h.overtaken
}

func (h *memHost) RunTask(interface{ Run() }) bool { panic("no test here runs tasks") }
func (h *memHost) ResumeTask() bool                { panic("no test here runs tasks") }
func (h *memHost) ContextValue(any) (any, bool)    { return nil, false }

func (h *memHost) Lead() {
	if h.portable {
		return
	}
	h.mu.Lock()
	if h.inHandler {
		h.overtaken = true
	}
	h.mu.Unlock()
}

func (h *memHost) WatchHangup() {
	h.mu.Lock()
	h.watching = true
	h.mu.Unlock()
}

func (h *memHost) StopWatch() {
	h.mu.Lock()
	h.watching = false
	h.mu.Unlock()
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
	h.fin = true
	h.cond.Broadcast()
	h.mu.Unlock()
	return nil
}

func (h *memHost) Done(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done && h.doneErr != nil {
		return
	}
	h.done, h.doneErr = true, err
	h.cond.Broadcast()
}

func (h *memHost) Hijack() (net.Conn, error) {
	h.Lead()
	h.mu.Lock()
	defer h.mu.Unlock()
	ours, theirs := net.Pipe()
	h.hijacked = theirs
	h.cond.Broadcast()
	return ours, nil
}

func (h *memHost) RemoteAddr() net.Addr     { return net.TCPAddrFromAddrPort(h.Peer()) }
func (h *memHost) LocalAddr() net.Addr      { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
func (h *memHost) RemoteAddrString() string { return "192.0.2.7:4711" }
func (h *memHost) Peer() netip.AddrPort     { return netip.MustParseAddrPort("192.0.2.7:4711") }

func (h *memHost) SetState(s http.ConnState) {
	h.mu.Lock()
	h.states = append(h.states, s)
	h.mu.Unlock()
}

// startDrain tells the engine that the server stops, unless a handler runs;
// Draining answers for it then.
func (h *memHost) startDrain() {
	h.mu.Lock()
	h.draining = true
	if !h.inHandler {
		h.pending |= edgeDrain
	}
	h.cond.Broadcast()
	h.mu.Unlock()
}

// overtake is what a standby does to a handler that does not come back.
func (h *memHost) overtake() {
	h.Lead()
	h.conn.OnOvertaken()
}

// hangup is the peer's FIN, with a reset if hard.
func (h *memHost) hangup(hard error) {
	h.mu.Lock()
	h.eof, h.readErr = true, hard
	h.pending |= edgeReadable
	busy := h.inHandler
	h.cond.Broadcast()
	h.mu.Unlock()
	if busy {
		h.conn.OnHangup()
	}
}

// shutdown is the server's cut, and waits for the loop's end.
func (h *memHost) shutdown(t testing.TB) {
	h.mu.Lock()
	h.cut = true
	h.pending |= edgeCut
	busy := h.inHandler && h.conn != nil
	h.cond.Broadcast()
	h.mu.Unlock()
	if busy {
		h.conn.OnHangup()
	}
	<-h.ended
}
