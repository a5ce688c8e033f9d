package h2

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// Conn is the engine of one connection. OnReadable, OnWritable, OnTimer and
// Drain are steps: in the event loop the leader makes them, one at a time; in
// the portable form OnReadable stays with the connection's goroutine and the
// others may come from any.
type Conn struct {
	// Immutable after NewConn.
	cfg    *Config
	host   Host
	ctx    context.Context
	tls    *tls.ConnectionState
	blocks bool // the host's Read waits
	born   time.Duration
	age    time.Duration
	most   uint32 // requests, then GOAWAY; 0: any number

	// Owned by whoever reads: the leader, or the connection's goroutine.
	in  *bufpool.Buffer // what was read; nil: nothing
	off int             // of in, used up

	// mu guards the following, and all streams.
	mu     sync.Mutex
	phase  phase
	goaway goaway
	now    time.Duration // of the step, since epoch
	remote string        // RemoteAddrString

	// Reading.
	dec      hpack.Decoder
	memo     *memos    // header blocks seen lately
	block    *block    // a header block that CONTINUATION goes on with
	lastID   uint32    // the highest stream the peer has opened
	skipped  [2]uint32 // the last ids it left out, from and to
	resets   []uint32  // a ring of the streams that we have reset
	resetAt  int       // its oldest
	headAt   time.Duration
	lastRead time.Duration
	budget   budget

	// Streams.
	streams  map[uint32]*stream // open ones, but for one without a body whose handler runs inline
	tabled   int                // the most that streams has held
	inline   *stream            // that one
	open     int                // streams in the protocol's sense
	running  int                // handlers that have not returned, also of reset streams
	waiting  []*stream          // for a handler to end (H2-1)
	deferred []*stream          // their body has not arrived; they start when the input is drained
	spare    *stream            // to be used again
	active   bool               // reported as active
	idleAt   time.Duration

	// Writing.
	out       *bufpool.Buffer
	writeErr  error
	enc       hpack.Encoder
	sendWin   int  // of the connection
	streamWin int  // the peer's SETTINGS_INITIAL_WINDOW_SIZE
	choked    bool // the peer asks and does not read: neither do we
	control   int  // control frames in out, or behind it in the host
	fresh     int  // of them, in out
	marked    int  // of them, written before markAt
	written   int64
	markAt    int64 // in what was written
	held      int   // bytes in the output queues of all streams
	sched     schedule
	wake      bool          // the next leader has something to do here
	stallAt   time.Duration // when stalled output is looked at next; 0: there is none
	dataBytes int64         // framed in DATA so far

	// Receive windows.
	recvWin    int           // what the peer may send on the connection
	unread     int           // bytes of all streams that no handler has read
	withheldAt time.Duration // since when credit is kept back; 0: it is not
	releasedAt time.Duration // when it was given again

	settingsAt time.Duration // when our SETTINGS left unanswered; 0: acknowledged
	pingAt     time.Duration // when our PING left unanswered; 0: none
	goawayAt   time.Duration // of the first GOAWAY
	goawayID   uint32        // of the last one
	ending     time.Duration // of lingering
	lingered   int           // bytes
	finSent    bool
	resumed    *sync.Cond // the portable form's reader waits on it while choked
}

// phase is where a connection stands.
//
//	preface --magic, SETTINGS--> open --GOAWAY, last stream--> linger --FIN--> over
//	   |                          |                              ^
//	   +----- violation ----------+------------------------------+
type phase uint8

const (
	phasePreface  phase = iota // the client's magic is awaited
	phaseSettings              // its first SETTINGS
	phaseOpen
	phaseLinger // our last GOAWAY is out, input is thrown away
	phaseOver
)

// epoch is the zero of the engine's times: offsets are monotonic and half the
// size of a time.Time.
var epoch = time.Now()

// NewConn makes the engine of a connection, and what it says first.
func NewConn(cfg *Config, host Host, at Attachment) *Conn {
	ctx := at.Context
	if ctx == nil {
		ctx = context.Background()
	}
	c := &Conn{
		cfg: cfg, host: host, ctx: ctx, tls: at.TLS, blocks: host.Blocks(),
		age: jitteredAge(cfg.MaxConnAge), most: jitteredCount(cfg.MaxRequests),
		sendWin: initialWindow, streamWin: initialWindow, recvWin: initialWindow,
	}
	c.now = host.Now().Sub(epoch)
	c.born, c.lastRead, c.idleAt = c.now, c.now, c.now
	if c.blocks {
		c.resumed = sync.NewCond(&c.mu)
	}
	c.sendPreface()
	return c
}

// Preread gives the engine bytes that were read to find the protocol. The
// buffer is the engine's from here on. Who read them has reported StateActive.
func (c *Conn) Preread(b *bufpool.Buffer) { c.in, c.off, c.active = b, 0, true }

// OnReadable serves what there is: until reading would block, until a handler
// has been overtaken, or until the connection is over.
func (c *Conn) OnReadable(now time.Time) {
	c.begin(now)
	if c.work() {
		c.rest()
	}
	if c.blocks {
		c.releaseInput() // the reader goes
	}
	c.end()
}

// OnWritable goes on with what had to wait: for the peer to read, for a
// handler to end, or for whoever asked by Wake.
func (c *Conn) OnWritable(now time.Time) {
	if !c.blocks {
		c.OnReadable(now)
		return
	}
	c.begin(now)
	if c.startWaiting() {
		c.rest()
	}
	c.end()
}

// OnTimer ends what took too long.
func (c *Conn) OnTimer(now time.Time) {
	c.begin(now)
	c.expire()
	c.end()
	if !c.blocks {
		c.OnReadable(now)
		return
	}
	c.OnWritable(now)
}

// OnHangup, OnCut: the engine reads while handlers run, and learns by itself.
func (c *Conn) OnHangup() {}

// OnCut: see OnHangup.
func (c *Conn) OnCut() {}

// OnOvertaken: the next leader steps this connection first (Host.EndTurn).
func (c *Conn) OnOvertaken() {}

// begin begins a step. A handler that was overtaken in the one before keeps
// its stream.
func (c *Conn) begin(now time.Time) {
	c.mu.Lock()
	c.now = now.Sub(epoch)
	c.detach()
	c.setChoked(c.choked && c.host.Buffered() > maxUnsent)
}

// detach lets the handler that was overtaken keep its stream.
func (c *Conn) detach() {
	if s := c.inline; s != nil {
		c.inline = nil
		s.detached = true
		c.keep(s)
	}
}

// end ends a step, or the work of a goroutine that leads no more: what it left
// to do wakes a leader.
func (c *Conn) end() {
	wake := c.wake
	c.wake = false
	c.mu.Unlock()
	if wake {
		c.host.Wake()
	}
}

// work does all that can be done now. False: overtaken, another goroutine
// leads and goes on from here.
func (c *Conn) work() bool {
	for {
		if !c.startWaiting() || !c.parse() {
			return false
		}
		if c.phase == phaseLinger {
			c.linger()
			return true
		}
		if !c.fill() {
			// The input is drained: whose body is still coming starts now.
			c.splitData()
			return c.startDeferred()
		}
	}
}

// rest ends a step: what waits for room is framed, what was gathered leaves,
// buffers go back, the timer is set.
func (c *Conn) rest() {
	if c.phase == phaseOver {
		c.release()
		return
	}
	if c.goaway == goawayNone && c.host.Draining() {
		c.retire() // the drain came before this engine did
	}
	c.pump()
	c.flush()
	switch {
	case c.writeErr != nil:
		c.over(c.writeErr)
	case c.phase == phaseLinger:
		c.closeWrite() // what it had to wait for may have left
	}
	if c.phase == phaseOver {
		c.release()
		return
	}
	c.restInput()
	c.restStreams()
	c.host.SetTimer(c.deadline())
}

// activate reports that the connection has something to do.
func (c *Conn) activate() {
	if !c.active {
		c.active = true
		c.host.SetState(http.StateActive)
	}
}

// restStreams settles what follows from the number of open streams.
func (c *Conn) restStreams() {
	if c.open > 0 {
		return
	}
	if c.spare != nil {
		c.spare.free()
		c.spare = nil
	}
	if c.memo != nil && c.memo.large {
		c.memo = nil
	}
	if c.tabled > smallTable {
		c.streams, c.tabled = nil, 0
	}
	if c.active && c.phase >= phaseOpen {
		c.active = false
		// A handler may have run since the step began.
		c.idleAt = c.host.Now().Sub(epoch)
		c.host.SetState(http.StateIdle)
	}
	if c.goaway == goawayLast && c.phase <= phaseOpen {
		c.startLinger()
	}
}

// over ends the connection now.
func (c *Conn) over(err error) {
	if c.phase == phaseOver {
		return
	}
	c.phase = phaseOver
	c.flush()
	if err == nil {
		err = c.writeErr
	}
	c.host.Done(err)
}

// release gives back what an ended connection holds; its streams end.
func (c *Conn) release() {
	if !c.blocks { // its reader may be about to use it
		c.releaseInput()
	}
	if c.out != nil {
		c.out.Release()
		c.out = nil
	}
	c.block = nil
	c.endStreams(errConnOver)
	if c.resumed != nil {
		c.resumed.Broadcast()
	}
}

// Close: the connection has ended or is being cut.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phaseOver
	if c.writeErr == nil {
		c.writeErr = errConnOver
	}
	c.detach()
	c.release()
	return nil
}
