package h1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// Conn is the engine of one connection. Its methods OnReadable, OnWritable,
// OnTimer, Drain and Close are called by the host, never two at once and never
// while a handler runs; OnHangup and OnOvertaken while one does.
type Conn struct {
	// Immutable after NewConn.
	cfg    *Config
	host   Host
	ctx    context.Context
	tls    *tls.ConnectionState
	blocks bool // the host's Read waits

	// Owned by whoever steps the connection.
	state    state
	sawBytes bool // of the head being read
	idle     bool // reported as idle
	requests uint32
	born     time.Duration // since epoch
	headAt   time.Duration // first byte of the head being read, since epoch
	age      time.Duration
	now      time.Duration // since epoch
	ending   time.Duration // of draining or lingering, since epoch; 0: none
	spent    int           // bytes drained or lingered
	fresh    *exchange     // parses the head that comes next; nil between requests
	draining *exchange     // whose body is being drained
	cur      atomic.Pointer[exchange]

	// rmu guards the read half: input and the request's body.
	rmu sync.Mutex
	in  *bufpool.Buffer // what was read; nil: nothing
	off int             // of in, used up

	// wmu guards the write half: gathered output and the answer.
	wmu      sync.Mutex
	out      *bufpool.Buffer
	writeErr error

	// deadlines guards the handler's read deadline and who waits by it.
	deadlines sync.Mutex
}

// epoch is the zero of born and headAt: offsets are monotonic and half the
// size of a time.Time in every idle connection.
var epoch = time.Now()

// NewConn makes the engine of a connection.
func NewConn(cfg *Config, host Host, at Attachment) *Conn {
	ctx := at.Context
	if ctx == nil {
		ctx = context.Background()
	}
	born := host.Now().Sub(epoch)
	return &Conn{
		cfg: cfg, host: host, ctx: ctx, tls: at.TLS, blocks: host.Blocks(),
		born: born, headAt: born, age: jitteredAge(cfg.MaxConnAge),
	}
}

// OnReadable serves what there is: until reading would block, until a handler
// has been overtaken, or until the connection is over.
func (c *Conn) OnReadable(now time.Time) {
	c.now = now.Sub(epoch)
	for c.step() {
	}
	c.rest()
}

// step does one thing. False: nothing more can be done now.
func (c *Conn) step() bool {
	switch c.state {
	case stateHead:
		return c.readHead()
	case stateDrain:
		return c.drainBody()
	case stateLinger:
		return c.linger()
	default:
		return false
	}
}

// OnWritable goes on once the peer has taken what was kept back.
func (c *Conn) OnWritable(now time.Time) { c.OnReadable(now) }

// OnTimer ends what took too long.
func (c *Conn) OnTimer(now time.Time) {
	c.now = now.Sub(epoch)
	if c.expire() {
		c.rest()
		return
	}
	c.OnReadable(now)
}

// expire applies the deadline of the present state, if it has passed.
func (c *Conn) expire() bool {
	if c.blocks && c.host.Draining() {
		c.Drain(epoch.Add(c.now))
		if c.state == stateOver {
			return true
		}
	}
	due := c.deadline()
	if due.IsZero() || epoch.Add(c.now).Before(due) {
		c.host.SetTimer(due)
		return false
	}
	switch {
	case c.state == stateHead && c.sawBytes:
		c.cfg.Counters.TimedOut.Add(1)
		c.refuse(http.StatusRequestTimeout)
	case c.state != stateHandler:
		c.over(nil)
	}
	return true
}

// deadline is when the present state has lasted too long; zero: never.
func (c *Conn) deadline() time.Time {
	switch c.state {
	case stateHead:
		if c.sawBytes {
			return after(epoch.Add(c.headAt), c.cfg.ReadHeadTimeout)
		}
		if c.host.Draining() && c.requests == 0 {
			return epoch.Add(c.ending)
		}
		return after(epoch.Add(c.headAt), c.cfg.IdleTimeout)
	case stateDrain, stateLinger:
		return epoch.Add(c.ending)
	default:
		return time.Time{}
	}
}

func after(t time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return t.Add(d)
}

// rest ends a step: what was gathered leaves, buffers go back, the timer is set.
func (c *Conn) rest() {
	if c.state == stateHandler {
		return // parked
	}
	if c.state == stateOver {
		c.release()
		return
	}
	if c.out != nil { // no handler runs: the lock would be for nothing else (BenchmarkProxy)
		c.flushOut()
	}
	if c.writeErr != nil {
		c.over(c.writeErr)
		return
	}
	c.restInput()
	if c.state == stateHead && !c.sawBytes {
		c.restIdle()
	}
	c.host.SetTimer(c.deadline())
}

// restInput gives the input buffer back, or keeps a small one for the begin of
// a head: a peer that sends a byte and waits must not hold 16 KiB.
func (c *Conn) restInput() {
	if c.in == nil {
		return
	}
	left := c.in.B[c.off:]
	if len(left) > 0 && (cap(c.in.B) <= smallHead || len(left) > smallHead) {
		return
	}
	was := c.in
	c.in, c.off = nil, 0
	if len(left) > 0 {
		c.in = bufpool.Get(smallHead)
		c.in.B = append(c.in.B, left...)
	}
	was.Release()
}

// restIdle lets go of all that an idle connection does not need.
func (c *Conn) restIdle() {
	if c.fresh != nil {
		c.fresh.recycle()
		c.fresh = nil
	}
	if !c.idle && c.requests > 0 {
		// Idle since now: only the step that ends a request starts this clock,
		// so bytes that are no request (empty records, a spurious edge) do not
		// prolong it; and a handler may have run since c.now was read.
		c.headAt = c.host.Now().Sub(epoch)
		c.idle = true
		c.host.SetState(http.StateIdle)
	}
}

// read reads into the input buffer. False: the step ends, or the connection.
func (c *Conn) read() bool {
	if c.blocks {
		c.beforeWait()
	}
	c.makeRoom()
	n, err := c.host.Read(c.in.B[len(c.in.B):cap(c.in.B)])
	c.in.B = c.in.B[:len(c.in.B)+n]
	if n > 0 {
		c.now = c.host.Now().Sub(epoch)
		return true
	}
	switch {
	case err == ErrWouldBlock:
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The portable form's way to say that the timer has passed.
		c.now = c.host.Now().Sub(epoch)
		return !c.expire()
	case err == io.EOF:
		c.over(nil)
	default:
		c.over(err)
	}
	return false
}

// beforeWait does what the event loop does after a step: the next Read waits.
func (c *Conn) beforeWait() {
	c.flushOut()
	if c.state == stateHead && !c.sawBytes {
		c.restIdle()
	}
	c.host.SetTimer(c.deadline())
}

// makeRoom gives the input buffer room for a read.
func (c *Conn) makeRoom() {
	switch {
	case c.in == nil:
		c.in, c.off = bufpool.Get(readSize), 0
	case c.off == len(c.in.B):
		c.in.B, c.off = c.in.B[:0], 0
	case cap(c.in.B)-len(c.in.B) < readSize/4 && c.off > 0:
		n := copy(c.in.B, c.in.B[c.off:])
		c.in.B, c.off = c.in.B[:n], 0
	}
	if cap(c.in.B)-len(c.in.B) < readSize/4 {
		// A head larger than the buffer; its limit bounds this.
		big := bufpool.Get(2 * cap(c.in.B))
		big.B = append(big.B, c.in.B[c.off:]...)
		c.in.Release()
		c.in, c.off = big, 0
	}
}

// flushOut sends what was gathered.
func (c *Conn) flushOut() {
	c.wmu.Lock()
	c.flushLocked()
	c.wmu.Unlock()
}

func (c *Conn) flushLocked() {
	if c.out == nil {
		return
	}
	if len(c.out.B) > 0 && c.writeErr == nil {
		_, c.writeErr = c.host.Write(c.out.B)
	}
	c.out.Release()
	c.out = nil
}

// gather returns the output buffer with room for n bytes more. wmu is held.
func (c *Conn) gather(n int) *bufpool.Buffer {
	c.out = c.out.WithRoom(n)
	return c.out
}

// gathered is the number of bytes in the output buffer. wmu is held.
func (c *Conn) gathered() int {
	if c.out == nil {
		return 0
	}
	return len(c.out.B)
}

// over ends the connection.
func (c *Conn) over(err error) {
	if c.state == stateOver {
		return
	}
	c.enter(stateOver)
	c.flushOut()
	if err == nil {
		err = c.writeErr
	}
	c.host.Done(err)
}

// release gives back what an ended connection holds. A foreign goroutine may
// still be inside a call; its locks keep it out of what goes.
func (c *Conn) release() {
	c.rmu.Lock()
	if c.in != nil {
		c.in.Release()
		c.in, c.off = nil, 0
	}
	c.rmu.Unlock()
	c.wmu.Lock()
	if c.out != nil {
		c.out.Release()
		c.out = nil
	}
	c.wmu.Unlock()
	if c.fresh != nil {
		c.fresh.recycle()
		c.fresh = nil
	}
}

// OnHangup cancels the request's context: the peer is gone. A peer that has
// only closed its half looks the same here; it is not distinguished, as in
// net/http, once the request has been read.
func (c *Conn) OnHangup() {
	if x := c.cur.Load(); x != nil {
		// Stored first, asked after; body.end does it the other way round, so
		// one of the two sees the other.
		x.body.gone.Store(true)
		if x.body.ended.Load() {
			x.ctx.Cancel(context.Canceled)
		}
	}
}

// OnCut cancels the request's context: the server ends the connection.
func (c *Conn) OnCut() {
	if x := c.cur.Load(); x != nil {
		x.ctx.Cancel(context.Canceled)
	}
}

// OnOvertaken lets earlier answers leave while this connection's handler runs on.
func (c *Conn) OnOvertaken() {
	if c.wmu.TryLock() {
		c.flushEarlier()
		c.wmu.Unlock()
	}
}

// flushEarlier sends what was gathered, but for a head that is not whole yet.
// wmu is held.
func (c *Conn) flushEarlier() {
	n := c.gathered()
	x := c.cur.Load()
	if x != nil && !x.w.headDone {
		n = min(n, x.w.mark)
	}
	if n == 0 || c.writeErr != nil {
		return
	}
	_, c.writeErr = c.host.Write(c.out.B[:n])
	c.out.B = c.out.B[:copy(c.out.B, c.out.B[n:])]
	if x != nil {
		x.w.mark = 0
		x.w.onWire = x.w.headDone
	}
}

// Drain: the server stops. An idle connection ends; one that has not asked yet
// gets a while; what is under way is finished and answered with close.
func (c *Conn) Drain(now time.Time) {
	c.now = now.Sub(epoch)
	if c.state != stateHead || c.sawBytes {
		return
	}
	if c.requests == 0 {
		if c.ending == 0 {
			c.ending = c.now + c.cfg.NewConnGrace
		}
		c.host.SetTimer(epoch.Add(c.ending))
		return
	}
	if !c.blocks {
		// A last look: a request that is already here is served, with close.
		c.OnReadable(now)
		if c.state != stateHead || c.sawBytes {
			return
		}
	}
	c.over(nil)
	c.release()
}

// Close: the connection has ended or is being cut.
func (c *Conn) Close() error {
	c.state = stateOver
	if x := c.cur.Load(); x != nil {
		x.shut()
	}
	c.release()
	return nil
}
