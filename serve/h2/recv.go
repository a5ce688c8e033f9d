package h2

import (
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// admit decides what the header of a frame and its place alone show, before
// its payload is here. False: the connection is over.
func (c *Conn) admit(h frame.Header) bool {
	if c.phase == phaseSettings && (h.Type != frame.TypeSettings || h.Flags&frame.FlagAck != 0) {
		c.fail(frame.ProtocolError, "3.4: the preface lacks SETTINGS")
		return false
	}
	// RFC 9113 §6.10: a header block is not interrupted, not even by unknown types.
	if c.block != nil && (h.Type != frame.TypeContinuation || h.StreamID != c.block.id) {
		c.fail(frame.ProtocolError, "6.10: a header block is interrupted")
		return false
	}
	if c.block == nil && h.Type == frame.TypeContinuation {
		c.fail(frame.ProtocolError, "6.10: CONTINUATION without a header block")
		return false
	}
	if e := h.Check(); e != nil && !e.Stream {
		c.fail(e.Code, e.Reason)
		return false
	}
	return true
}

// take acts on a whole frame. False: a handler that it started was overtaken.
func (c *Conn) take(h frame.Header, p []byte) bool {
	switch h.Type {
	case frame.TypeData:
		return c.onData(h, p)
	case frame.TypeHeaders:
		return c.onHeaders(h, p)
	case frame.TypeContinuation:
		return c.onContinuation(h, p)
	case frame.TypeSettings:
		c.onSettings(h, p)
	case frame.TypeWindowUpdate:
		c.onWindowUpdate(h, p)
	case frame.TypeRSTStream:
		c.onRSTStream(h)
	case frame.TypePing:
		c.onPing(h, p)
	case frame.TypePriority:
		c.onPriority(h, p)
	case frame.TypePriorityUpdate:
		c.onPriorityUpdate(p)
	default:
		// GOAWAY of a client concerns pushed streams, of which there are none; it
		// tells that the client is about to leave. RFC 9113 §5.5: unknown types
		// are ignored.
	}
	return true
}

// refuseFrame resets the stream of a frame that breaks a rule.
func (c *Conn) refuseFrame(id uint32, e *frame.Error) {
	if c.isIdle(id) {
		// There is nothing to reset: RFC 9113 §5.1, idle.
		c.fail(e.Code, e.Reason)
		return
	}
	c.violate(id, e.Code)
}

// isIdle tells that the peer has not opened stream id.
func (c *Conn) isIdle(id uint32) bool { return id > c.lastID || id&1 == 0 }

// stream finds an open stream.
func (c *Conn) stream(id uint32) *stream { return c.streams[id] }

// onData: RFC 9113 §6.1. What arrives is charged to the windows whatever
// becomes of it.
func (c *Conn) onData(h frame.Header, p []byte) bool {
	data, e := frame.ParseData(h, p)
	if e != nil {
		c.fail(e.Code, e.Reason)
		return true
	}
	end := h.Flags&frame.FlagEndStream != 0
	if !c.countContent(len(data), end) {
		return true
	}
	if c.isIdle(h.StreamID) {
		c.fail(frame.ProtocolError, "5.1: DATA on an idle stream")
		return true
	}
	if len(p) > c.recvWin {
		c.fail(frame.FlowControlError, "6.9.1: more than the connection's window")
		return true
	}
	c.recvWin -= len(p)
	s := c.stream(h.StreamID)
	if s == nil || s.recvClosed {
		c.creditConn()
		c.afterEnd(h.StreamID, s)
		return true
	}
	return s.receive(data, len(p)-len(data), end)
}

// countContent notes a DATA or header frame of n bytes of content. False: a
// budget is spent.
func (c *Conn) countContent(n int, end bool) bool {
	if n > 0 || end {
		c.budget.empty = 0
	} else if c.budget.empty++; c.budget.empty > maxEmptyInRow {
		c.calm(ReasonEmptyFrames)
		return false
	}
	c.budget.payload += uint64(n)
	return true
}

// afterEnd answers a frame on a stream whose peer has said that it ends.
func (c *Conn) afterEnd(id uint32, s *stream) {
	switch {
	case s != nil:
		// RFC 9113 §5.1, half-closed (remote): a stream error STREAM_CLOSED.
		c.violate(id, frame.StreamClosed)
	case c.wasReset(id):
		// RFC 9113 §5.1, closed: frames may have been on their way when our
		// RST_STREAM left.
	default:
		// After END_STREAM of both sides, or the peer's own RST_STREAM.
		c.fail(frame.StreamClosed, "5.1: a frame on a closed stream")
	}
}

// onWindowUpdate: RFC 9113 §6.9.
func (c *Conn) onWindowUpdate(h frame.Header, p []byte) {
	if !c.budget.spendWindowUpdate() {
		c.calm(ReasonWindowUpdates)
		return
	}
	n, e := frame.ParseWindowUpdate(h, p)
	switch {
	case e != nil && !e.Stream:
		c.fail(e.Code, e.Reason)
	case e != nil:
		c.refuseFrame(h.StreamID, e)
	case h.StreamID == 0:
		if c.sendWin += int(n); c.sendWin > frame.MaxWindow {
			c.fail(frame.FlowControlError, "6.9.1: the connection's window above 2^31-1")
		}
	case c.isIdle(h.StreamID):
		c.fail(frame.ProtocolError, "5.1: WINDOW_UPDATE on an idle stream")
	default:
		// RFC 9113 §5.1: on a closed stream it may come late, and is ignored.
		if s := c.stream(h.StreamID); s != nil {
			s.widen(int(n))
		}
	}
}

// onRSTStream: RFC 9113 §6.4. The handler goes on and still counts (H2-1).
func (c *Conn) onRSTStream(h frame.Header) {
	if c.isIdle(h.StreamID) {
		c.fail(frame.ProtocolError, "6.4: RST_STREAM on an idle stream")
		return
	}
	c.cfg.Counters.Resets.Add(1)
	if !c.budget.spendReset(c.time()) {
		c.calm(ReasonResets)
		return
	}
	if s := c.stream(h.StreamID); s != nil {
		c.drop(s, errReset)
	}
}

// onPriority: RFC 9113 §5.3.2: the signal is deprecated, and only counted.
func (c *Conn) onPriority(h frame.Header, p []byte) {
	if !c.budget.spendPriority() {
		c.calm(ReasonPriority)
		return
	}
	e := h.Check() // its length is the one error of a stream there
	if e == nil {
		_, e = frame.ParsePriority(h, p)
	}
	if e != nil {
		c.refuseFrame(h.StreamID, e)
	}
}

// onPriorityUpdate: RFC 9218 §7.1. For a stream that is not open yet it is
// ignored: its request will carry a Priority field.
func (c *Conn) onPriorityUpdate(p []byte) {
	if !c.budget.spendPriority() {
		c.calm(ReasonPriority)
		return
	}
	id, field, e := frame.ParsePriorityUpdate(p)
	if e != nil {
		c.fail(e.Code, e.Reason)
		return
	}
	if s := c.stream(id); s != nil {
		c.sched.change(s, semantics.ParsePriority(field))
	}
}
