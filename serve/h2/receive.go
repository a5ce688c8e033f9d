package h2

import (
	"net/http"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// receive takes a DATA frame's content. padding counts for the windows only.
// False: a handler that was started here was overtaken.
func (s *stream) receive(data []byte, padding int, end bool) bool {
	c, b := s.c, &s.body
	if len(data)+padding > b.window {
		c.violate(s.id, frame.FlowControlError) // RFC 9113 §6.9.1
		c.creditConn()
		return true
	}
	b.window -= len(data) + padding
	b.low = b.low || b.window < b.target/4
	// RFC 9113 §8.1.1: the content must be as long as was said (H2-9).
	if b.left >= 0 {
		if b.left -= int64(len(data)); b.left < 0 || end && b.left != 0 {
			c.malformed(s.id)
			c.creditConn()
			return true
		}
	}
	if !b.put(data, end) {
		return true
	}
	b.credit()
	c.creditConn()
	if end {
		b.end()
		c.closeRecv(s)
		if !s.started && c.takeDeferred(s) {
			return c.start(s) // complete now
		}
	}
	return true
}

// inData tells whether what is here of the next frame is DATA of an open stream,
// without padding.
func (c *Conn) inData() bool {
	if len(c.in.B)-c.off < frame.HeaderSize {
		return false
	}
	h := frame.ParseHeader(c.in.B[c.off:])
	if h.Type != frame.TypeData || h.Flags&frame.FlagPadded != 0 {
		return false
	}
	s := c.stream(h.StreamID)
	return s != nil && !s.recvClosed
}

// splitData hands on what is here of a DATA frame that is not whole, or a slow
// peer's 16 KiB would count for nothing until they are (S-2). Two DATA frames
// say the same as one, so the rest gets a header of its own, in the place of
// bytes that were taken. Pieces too small to be worth it wait for more.
func (c *Conn) splitData() {
	if c.phase != phaseOpen || c.block != nil || c.choked || c.in == nil || !c.inData() {
		return
	}
	b := c.in.B[c.off:]
	h, n := frame.ParseHeader(b), len(b)-frame.HeaderSize
	if n < tinyData || n >= int(h.Length) {
		return
	}
	rest := h
	rest.Length -= uint32(n)
	h.Length, h.Flags = uint32(n), 0
	c.onData(h, b[frame.HeaderSize:]) // starts no handler: it is not the end
	if c.phase == phaseOpen {
		c.off += n
		frame.PutHeader(c.in.B[c.off:], rest)
	}
}

// put keeps content for the reader. False: a budget is spent.
func (b *body) put(data []byte, end bool) bool {
	c := b.s.c
	b.got += int64(len(data))
	if b.shut || b.err != nil {
		return true
	}
	if b.max > 0 && b.got > b.max {
		data = data[:max(0, len(data)-int(b.got-b.max))]
		b.err = &http.MaxBytesError{Limit: b.max} // behind what is let pass
	}
	if b.n == 0 {
		b.readAt = c.now // until here its reader could take nothing
	}
	if len(data) < tinyData && !end {
		// Refilled when the reader takes it: many small messages to one who reads
		// them are no attack (H2-7).
		b.tiny += tinyData - len(data)
		c.budget.tiny += tinyData - len(data)
		if c.budget.tiny > tinyDataBudget && c.now-b.readAt > tinyGrace {
			c.calm(ReasonTinyData)
			return false
		}
	}
	c.unread += len(data)
	b.n += len(data)
	for len(data) > 0 {
		tail := b.tail(len(data))
		m := min(len(data), cap(tail.B)-len(tail.B))
		tail.B = append(tail.B, data[:m]...)
		data = data[m:]
	}
	b.signal()
	return true
}

// tail returns the last buffer, with room for a byte at least.
func (b *body) tail(want int) *bufpool.Buffer {
	if n := len(b.bufs); n > 0 {
		if last := b.bufs[n-1]; len(last.B) < cap(last.B) {
			return last
		}
		want = readSize // more than one buffer's worth: it is no small body
	}
	buf := bufpool.Get(min(want, readSize))
	b.bufs = append(b.bufs, buf)
	return buf
}
