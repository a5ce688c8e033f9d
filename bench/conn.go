package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// connState is where a connection is.
type connState uint8

const (
	connNone       connState = iota // not there; retryAt tells when to try
	connConnecting                  // the kernel is at it
	connShaking                     // TLS
	connOpen
)

const (
	// Back-off of a target that takes no connection, or ends it without an answer:
	// the generator must not become a flood of connects.
	firstBackoff = 10 * time.Millisecond
	maxBackoff   = time.Second
	// readRounds bounds what is read of one connection before others have a turn.
	readRounds = 16
	// maxKept bounds what is kept of an answer's unfinished part: more than any head
	// or frame that is accepted.
	maxKept = 1 << 20
)

// conn is one of a worker's connections; it is made again when it ends.
type conn struct {
	w      *worker
	index  int32
	socket socket
	state  connState
	since  int64 // begin of connecting

	client client
	tls    *tlsConn // nil: clear

	in      []byte // read, but not taken yet
	out     []byte // taken, but not written yet: out[sent:]
	sent    int
	waiting bool // for room in the socket

	slots    []exchange
	free     []int32 // those that are not busy
	inFlight int
	queued   bool // in worker.ready
	unread   bool // in worker.again
	toEnd    bool // the peer has ended its side: to be read up to there

	answers int64 // on this connection
	backoff time.Duration
	retryAt int64
}

func newConn(w *worker, index int32) *conn {
	c := &conn{w: w, index: index}
	streams := w.plan.Streams
	c.slots, c.free = make([]exchange, streams), make([]int32, 0, streams)
	for i := streams - 1; i >= 0; i-- {
		c.slots[i].slot = int32(i)
		c.free = append(c.free, int32(i))
	}
	return c
}

// room is how many requests may be begun now.
func (c *conn) room() int {
	if c.state != connOpen {
		return 0
	}
	return min(len(c.free), c.client.room())
}

// connect begins to make the connection.
func (c *conn) connect(now int64) {
	c.since, c.state, c.answers, c.toEnd = now, connConnecting, 0, false
	if err := c.socket.connect(c); err != nil {
		c.lost(failure{ErrorConnect, err})
		return
	}
}

// connected goes on when the kernel has connected.
func (c *conn) connected() {
	if err := c.socket.connectError(); err != nil {
		c.lost(failure{ErrorConnect, err})
		return
	}
	c.waiting = false
	c.socket.watch(c, false)
	if !c.w.plan.secure {
		c.open()
		return
	}
	c.state = connShaking
	c.tls = newTLSConn(c)
	c.shake()
}

// shake goes on with the handshake as far as it comes.
func (c *conn) shake() {
	done, err := c.tls.shake()
	switch {
	case err != nil:
		c.lost(failure{ErrorTLS, err})
	case done:
		c.open()
	}
}

// open begins to use the connection.
func (c *conn) open() {
	p := c.w.plan
	version := p.Protocol
	if c.tls != nil {
		state := c.tls.conn.ConnectionState()
		alpn := state.NegotiatedProtocol
		switch {
		case version == H2 && alpn != "h2":
			c.lost(failure{ErrorTLS, errors.New("the server does not speak HTTP/2 (ALPN)")})
			return
		case version == Auto && alpn == "h2":
			version = H2
		}
		if state.DidResume {
			c.w.stats.resumed++
		}
	}
	c.state, c.backoff = connOpen, 0
	c.w.stats.opened++
	c.w.now = p.now()
	c.w.stats.connect.record(c.w.now - c.since)
	if version == H2 {
		c.client = newClientH2(c)
	} else {
		c.client = newClientH1(c)
	}
	c.flush()
	c.w.freed(c, c.w.now)
}

// readable takes what has come.
func (c *conn) readable() {
	if c.tls != nil {
		c.tls.drained = false
	}
	switch c.state {
	case connShaking:
		c.shake()
		if c.state != connOpen {
			return
		}
	case connOpen:
	default:
		return
	}
	for range readRounds {
		n, err := c.read(c.w.buf)
		if n > 0 {
			c.w.stats.bytesRead += int64(n)
			if !c.take(c.w.buf[:n]) {
				return
			}
		}
		if err != nil {
			c.readFailed(err)
			return
		}
		if n < len(c.w.buf) && c.tls == nil && !c.toEnd {
			c.settle() // the socket is empty: the next event tells of more
			return
		}
	}
	if !c.unread { // an event may have come before its turn
		c.unread = true
		c.w.again = append(c.w.again, c) // crypto/tls may hold more, of which the socket does not tell
	}
	c.settle()
}

// errWouldBlock: nothing is there now. It is temporary, or crypto/tls would keep it.
var errWouldBlock net.Error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "operation would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

func (c *conn) read(b []byte) (int, error) {
	if c.tls != nil {
		return c.tls.conn.Read(b)
	}
	return c.socket.receive(b)
}

// take gives b to the client. False: the connection is gone.
func (c *conn) take(b []byte) bool {
	c.w.now = c.w.plan.now()
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	used, f := c.client.input(b)
	if f != nil {
		c.lost(*f)
		return false
	}
	if rest := b[used:]; len(rest) > maxKept {
		c.lost(*failed(ErrorProtocol, fmt.Sprintf("more than %d bytes that make no whole part of an answer", maxKept)))
		return false
	} else if len(c.in) > 0 {
		c.in = c.in[:copy(c.in, rest)]
	} else if len(rest) > 0 {
		c.in = append(c.in, rest...)
	}
	return true
}

func (c *conn) readFailed(err error) {
	switch {
	case err == errWouldBlock:
		c.settle()
	case errors.Is(err, io.EOF):
		if f := c.client.ended(); f != nil {
			c.closed(*f)
		} else {
			c.closed(failure{ErrorClosed, io.EOF})
		}
	default:
		c.closed(failure{kindOf(err), err})
	}
}

// kindOf is the kind of a failed read or write.
func kindOf(err error) ErrorKind {
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return ErrorTLS
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return ErrorTLS
	}
	return ErrorReset
}

// settle ends a turn: a connection that is used up goes, else more is begun.
func (c *conn) settle() {
	if c.client.over() && c.inFlight == 0 {
		c.close()
		c.retry(0)
		return
	}
	c.w.freed(c, c.w.cameSince)
	if c.state == connOpen {
		c.flush()
	}
}

// writable sends what has waited.
func (c *conn) writable() {
	if c.state == connConnecting {
		c.connected()
		return
	}
	c.flush()
}

// write sends b, which it does not keep, or keeps a copy of what has no room.
func (c *conn) write(b []byte) {
	if c.tls != nil {
		if _, err := c.tls.conn.Write(b); err != nil {
			c.broken(err)
		}
		return
	}
	c.send(b)
}

// send writes to the socket itself.
func (c *conn) send(b []byte) {
	if c.pending() == 0 {
		n, err := c.socket.send(b)
		c.w.stats.bytesWritten += int64(n)
		if err != nil && err != errWouldBlock {
			c.broken(err)
			return
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return
	}
	if c.sent > 0 && c.sent == len(c.out) {
		c.out, c.sent = c.out[:0], 0
	}
	c.out = append(c.out, b...)
	c.wait(true)
}

func (c *conn) pending() int { return len(c.out) - c.sent }

// flush sends what the client has made in worker.plain, and what waits.
func (c *conn) flush() {
	if len(c.w.plain) > 0 && c.state == connOpen {
		plain := c.w.plain
		c.w.plain = plain[:0]
		c.write(plain)
	}
	for c.pending() > 0 && c.state != connNone {
		n, err := c.socket.send(c.out[c.sent:])
		c.w.stats.bytesWritten += int64(n)
		c.sent += n
		if err == errWouldBlock {
			c.wait(true)
			return
		}
		if err != nil {
			c.broken(err)
			return
		}
	}
	c.out, c.sent = c.out[:0], 0
	c.wait(false)
}

// wait asks to be told of room in the socket, or no more.
func (c *conn) wait(on bool) {
	if c.waiting != on && c.state != connNone {
		c.waiting = on
		c.socket.watch(c, on)
	}
}

// broken notes a failed write. What the peer has said before is read yet: it may
// be the reason.
func (c *conn) broken(error) { c.out, c.sent = c.out[:0], 0 }

// lost ends a connection that has failed, with all requests on it.
func (c *conn) lost(f failure) {
	if c.state == connConnecting || c.state == connShaking {
		c.w.stats.refused++
		c.w.stats.note(f.kind, f.err.Error())
		c.w.refused(c, f)
		c.close()
		c.retry(c.longer())
		return
	}
	c.failAll(f)
	c.close()
	c.retry(c.longer())
}

// closed ends a connection that the server has ended.
func (c *conn) closed(f failure) {
	c.w.stats.closed++
	c.failAll(f)
	again := time.Duration(0)
	if c.answers == 0 {
		again = c.longer()
	}
	c.close()
	c.retry(again)
}

func (c *conn) failAll(f failure) {
	for i := range c.slots {
		if x := &c.slots[i]; x.busy {
			c.w.failed(c, x, f.kind, f.err.Error())
		}
	}
}

// longer is the back-off after a failure.
func (c *conn) longer() time.Duration {
	c.backoff = min(max(2*c.backoff, firstBackoff), maxBackoff)
	return c.backoff
}

func (c *conn) close() {
	if c.state == connNone {
		return
	}
	if c.tls != nil {
		c.tls.stop()
		c.tls = nil
	}
	c.socket.close(c)
	c.state, c.client, c.waiting = connNone, nil, false
	c.in, c.out, c.sent = c.in[:0], c.out[:0], 0
	c.w.plain = c.w.plain[:0]
}

// retry makes the connection again, after a while.
func (c *conn) retry(after time.Duration) {
	c.retryAt = c.w.plan.now() + int64(after)
	c.w.lost = append(c.w.lost, c)
}

// sweep ends what takes too long.
func (c *conn) sweep(now int64) {
	limit := int64(c.w.plan.Timeout)
	if (c.state == connConnecting || c.state == connShaking) && now-c.since > limit {
		c.lost(*failed(ErrorTimeout, "no connection within the time limit"))
		return
	}
	if c.inFlight == 0 {
		return
	}
	for i := range c.slots {
		x := &c.slots[i]
		if !x.busy || now-x.intended <= limit {
			continue
		}
		alone := c.client.cancel(x)
		c.w.failed(c, x, ErrorTimeout, "no whole answer within the time limit")
		if !alone {
			c.close()
			c.retry(0)
			return
		}
	}
	c.settle()
}
