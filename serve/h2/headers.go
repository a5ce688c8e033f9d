package h2

import (
	"bytes"
	"net/http"

	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/message"
)

// block is a header block that comes in several frames (RFC 9113 §4.3).
type block struct {
	id     uint32
	flags  frame.Flags // of HEADERS
	fault  *frame.Error
	bytes  []byte
	frames int // CONTINUATION so far
}

// onHeaders: RFC 9113 §6.2. False: a handler was started and overtaken.
func (c *Conn) onHeaders(h frame.Header, p []byte) bool {
	fragment, _, fault := frame.ParseHeaders(h, p)
	if fault != nil && !fault.Stream {
		c.fail(fault.Code, fault.Reason)
		return true
	}
	if !c.countContent(len(fragment), h.Flags&frame.FlagEndStream != 0) {
		return true
	}
	if h.Flags&frame.FlagEndHeaders == 0 {
		c.block = &block{id: h.StreamID, flags: h.Flags, fault: fault, bytes: bytes.Clone(fragment)}
		return true
	}
	return c.onBlock(h.StreamID, h.Flags, fragment, fault)
}

// onContinuation: RFC 9113 §6.10. Bounded before anything is decoded (H2-3).
func (c *Conn) onContinuation(h frame.Header, p []byte) bool {
	b := c.block
	b.frames++
	if b.frames > maxContinuations || len(b.bytes)+len(p) > c.cfg.FieldBytes {
		c.calm(ReasonContinuations)
		return true
	}
	if !c.countContent(len(p), h.Flags&frame.FlagEndHeaders != 0) {
		return true
	}
	b.bytes = append(b.bytes, p...)
	if h.Flags&frame.FlagEndHeaders == 0 {
		return true
	}
	c.block = nil
	return c.onBlock(b.id, b.flags, b.bytes, b.fault)
}

// onBlock takes a whole header block: of a new request, or a trailer section.
func (c *Conn) onBlock(id uint32, flags frame.Flags, fragment []byte, fault *frame.Error) bool {
	end := flags&frame.FlagEndStream != 0
	if s := c.stream(id); s != nil {
		c.onTrailer(s, end, fragment, fault)
		return true
	}
	if id <= c.lastID {
		c.onLateBlock(id, fragment)
		return true
	}
	if id > c.lastID+2 {
		c.skipped = [2]uint32{c.lastID + 1, id - 1}
	}
	c.lastID = id
	c.budget.streams++
	m, ok := c.decode(fragment)
	switch {
	case !ok:
		return true
	case fault != nil:
		c.violate(id, fault.Code)
		return true
	case c.goaway == goawayLast || c.open >= c.cfg.MaxStreams:
		// RFC 9113 §5.1.2, §6.8: nothing of it was done, it is safe to repeat.
		c.cfg.Counters.Refused.Add(1)
		if c.roomForControl() {
			c.sendReset(id, frame.RefusedStream)
		}
		return true
	case m.Fault != "":
		c.malformed(id)
		return true
	case m.Status != 0:
		c.answer(id, m.Status, end)
		return true
	case end && m.Length > 0:
		c.malformed(id) // RFC 9113 §8.1.1
		return true
	}
	return c.onRequest(id, m, end)
}

// onLateBlock answers a header block for a stream that is over, or that the
// peer has passed by.
func (c *Conn) onLateBlock(id uint32, fragment []byte) {
	switch {
	case c.neverOpened(id):
		c.fail(frame.ProtocolError, "5.1.1: stream identifiers must increase")
	case c.wasReset(id):
		c.decode(fragment) // for the table: it may have been on its way
	default:
		c.fail(frame.StreamClosed, "5.1: HEADERS on a closed stream")
	}
}

// onRequest opens a stream. A complete request is served at once, one whose
// body still comes when the input is drained.
func (c *Conn) onRequest(id uint32, m *message.Head, end bool) bool {
	c.activate()
	if c.remote == "" {
		c.remote = c.host.RemoteAddrString()
	}
	if c.goaway == goawayNone && c.spentLife() {
		c.retire()
	}
	s := c.newStream(id)
	s.begin(m, end)
	c.open++
	if end {
		s.recvClosed = true
		return c.start(s)
	}
	c.keep(s)
	c.deferred = append(c.deferred, s)
	return true
}

// onTrailer: RFC 9113 §8.1: a second header block ends the request.
func (c *Conn) onTrailer(s *stream, end bool, fragment []byte, fault *frame.Error) {
	fields, over, ok := c.decodeFields(nil, fragment, hpack.Limits{Fields: maxTrailers, Bytes: maxTrailerBytes, HardFields: hardFields})
	if !ok {
		return
	}
	trailer, valid := message.TrailerOf(fields)
	switch {
	case s.recvClosed:
		c.violate(s.id, frame.StreamClosed) // RFC 9113 §5.1, half-closed (remote)
	case fault != nil:
		c.violate(s.id, fault.Code)
	case !end, !valid, over, s.body.left > 0:
		c.malformed(s.id)
	default:
		s.body.trailer = trailer
		s.body.end()
		c.closeRecv(s)
	}
}

// malformed resets a stream whose message breaks a rule, before anybody sees it (H2-9).
func (c *Conn) malformed(id uint32) {
	c.cfg.Counters.Malformed.Add(1)
	c.violate(id, frame.ProtocolError)
}

// answer gives a request that no handler sees its answer: a status, no content.
func (c *Conn) answer(id uint32, status int, end bool) {
	switch status {
	case http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		c.cfg.Counters.TooLarge.Add(1)
	case http.StatusOK:
	default:
		c.cfg.Counters.Malformed.Add(1)
	}
	if !c.mayControl() {
		return
	}
	out := c.gather(headRoom)
	at := len(out.B)
	b := c.enc.BeginBlock(frame.BeginHeaders(out.B))
	b = c.enc.AppendStatus(b, status)
	b = c.enc.AppendField(b, "date", c.cfg.Date.Value(c.host.TurnClock(0)))
	b = c.enc.AppendField(b, "content-length", "0")
	out.B = frame.FinishHeaders(b, at, id, frame.FlagEndStream, frame.DefaultMaxSize)
	c.budget.payload += uint64(len(out.B) - at)
	if !end {
		c.sendReset(id, frame.NoError) // RFC 9113 §8.1: the rest is not wanted
	}
}

// decodeFields decodes a header block. ok false: the connection is over.
func (c *Conn) decodeFields(dst []hpack.Field, fragment []byte, lim hpack.Limits) (fields []hpack.Field, over, ok bool) {
	fields, over, err := c.dec.Decode(dst, fragment, lim)
	switch {
	case err == hpack.ErrTooManyFields:
		c.calm(ReasonHeaderList)
	case err != nil:
		c.fail(frame.CompressionError, "4.3: "+err.Error())
	default:
		return fields, over, true
	}
	return nil, false, false
}
