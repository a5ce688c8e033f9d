package h3

import "github.com/quic-go/quic-go"

// A stream that has ended gives its peer the credit for another one in a
// MAX_STREAMS frame, and quic-go sends that as soon as the last answer is
// acknowledged: as a packet of its own, one for each request of a client that
// asks one at a time. So the credit of finished streams is kept back and given
// in batches, right before an answer, whose packet takes the frames along
// (BenchmarkServe). The peer may have 2*creditBatch streams more for it, so that
// what is kept back never makes it wait; how many run is bounded by MaxStreams.

// hold keeps the credit of a stream that has ended. c.mu is held. Streams that
// ended without an answer, as those that were reset, are not let pile up: an
// answer that would give their credit may never come.
func (c *conn) hold(str *quic.Stream) {
	c.held = append(c.held, str)
	if len(c.held) > 2*creditBatch {
		c.give(creditBatch)
	}
}

// giveCredit gives a batch back if one is due. It comes before an answer.
func (c *conn) giveCredit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) >= 2*creditBatch {
		c.give(creditBatch)
	}
}

// give gives the credit of the n oldest back. c.mu is held.
func (c *conn) give(n int) {
	for _, str := range c.held[:n] {
		str.ReleaseStreamCredit()
	}
	kept := copy(c.held, c.held[n:])
	clear(c.held[kept:])
	c.held = c.held[:kept]
}
