package h2

import (
	"io"
	"math/rand/v2"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// goaway is how far a connection has come in saying goodbye (RFC 9113 §6.8):
//
//	none --drain, age--> first (2^31-1) --a round trip or 5 s--> last (last stream)
//
// Until the last one new streams are served: they may have left before the
// first one arrived. Above the last they are refused, and safe to repeat.
type goaway uint8

const (
	goawayNone goaway = iota
	goawayFirst
	goawayLast
)

// Drain: the server stops, or the connection is old. Streams finish; an idle
// connection ends after a round trip.
func (c *Conn) Drain(now time.Time) {
	c.begin(now)
	c.retire()
	c.end()
	if !c.blocks {
		// A last look: a request that is already here is served.
		c.OnReadable(now)
		return
	}
	c.OnWritable(now)
}

// retire sends the first GOAWAY, and a PING to know when it has arrived.
func (c *Conn) retire() {
	if c.goaway != goawayNone || c.phase > phaseOpen {
		return
	}
	c.goaway = goawayFirst
	c.goawayAt = c.now
	out := c.gather(2 * headRoom)
	out.B = frame.AppendGoAway(out.B, frame.MaxWindow, frame.NoError, "")
	c.sendPing(pingDrain)
}

// lastGoAway names the last stream that is served.
func (c *Conn) lastGoAway() {
	if c.goaway != goawayFirst || c.phase > phaseOpen {
		return
	}
	c.goaway, c.goawayID = goawayLast, c.lastID
	out := c.gather(headRoom)
	out.B = frame.AppendGoAway(out.B, c.goawayID, frame.NoError, "")
}

// spentLife tells whether this connection has lived long enough (H1-17).
func (c *Conn) spentLife() bool {
	return c.age > 0 && c.now-c.born > c.age ||
		c.most > 0 && c.budget.streams >= uint64(c.most) || c.host.ShedKeepAlive()
}

// jitteredCount spreads the ends of connections of equal load: +-10 %.
func jitteredCount(n int) uint32 {
	if n <= 0 {
		return 0
	}
	return uint32(max(1, n-n/10+rand.N(n/5+1)))
}

// fail ends the connection for a violation (RFC 9113 §5.4.1): GOAWAY, and then
// the transport is closed (H2-8).
func (c *Conn) fail(code frame.ErrCode, reason string) {
	if c.phase >= phaseLinger {
		return
	}
	c.cfg.Counters.Errors.Add(1)
	c.sendFinal(code, reason)
}

// calm ends the connection for a spent budget.
func (c *Conn) calm(r Reason) {
	if c.phase >= phaseLinger {
		return
	}
	c.cfg.Counters.Calmed[r].Add(1)
	c.sendFinal(frame.EnhanceYourCalm, r.String())
}

// sendFinal sends the GOAWAY that ends a connection with its streams.
func (c *Conn) sendFinal(code frame.ErrCode, debug string) {
	if c.goaway != goawayLast { // RFC 9113 §6.8: the identifier must not increase
		c.goaway, c.goawayID = goawayLast, c.lastID
	}
	out := c.gather(headRoom)
	out.B = frame.AppendGoAway(out.B, c.goawayID, code, debug)
	c.endStreams(errConnOver)
	c.startLinger()
}

// startLinger sends FIN behind the last GOAWAY and goes on reading for a while,
// so that bytes under way do not make the kernel answer with a reset that
// overtakes it.
func (c *Conn) startLinger() {
	c.phase = phaseLinger
	c.block = nil
	c.ending = c.now + lingerTimeout
	c.flush()
	if c.writeErr != nil {
		c.over(c.writeErr)
		return
	}
	c.closeWrite()
}

func (c *Conn) closeWrite() {
	if c.finSent || c.host.Buffered() > 0 {
		return
	}
	c.finSent = true
	if c.host.CloseWrite() != nil {
		c.over(nil)
	}
}

// linger throws away input until the peer closes too.
func (c *Conn) linger() {
	c.closeWrite()
	if c.in != nil {
		c.lingered += len(c.in.B) - c.off
		c.releaseInput()
	}
	b := bufpool.Get(readSize)
	defer b.Release()
	for c.phase == phaseLinger {
		if c.blocks {
			c.host.SetTimer(epoch.Add(c.ending))
		}
		n, err := c.readInto(b.B[:cap(b.B)])
		c.lingered += n
		switch {
		case c.lingered > maxLingerBytes:
			c.over(io.ErrShortWrite)
		case err == nil:
		case err == ErrWouldBlock:
			return
		default:
			c.over(nil)
		}
	}
}
