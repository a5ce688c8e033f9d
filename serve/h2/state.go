package h2

import (
	"context"
	"slices"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// Of RFC 9113 §5.1 a server that never pushes needs this part. A stream's
// state is two marks; streams that are closed are not in the table.
//
//	           HEADERS
//	  idle --------------> open ----- END_STREAM received ----> half-closed (remote)
//	                        |          (recvClosed)                   |
//	  END_STREAM framed     |                                         |
//	  (sendClosed)          v                                         v
//	           half-closed (local) ------- the other mark --------> closed
//	                        |                                         ^
//	                        +---- RST_STREAM, sent or received -------+

// closeRecv notes that no more of the request will come.
func (c *Conn) closeRecv(s *stream) {
	s.recvClosed = true
	c.closeIfDone(s)
}

// closeSend notes that the answer has been framed to its end.
func (c *Conn) closeSend(s *stream) {
	s.sendClosed = true
	c.closeIfDone(s)
}

func (c *Conn) closeIfDone(s *stream) {
	if s.sendClosed && s.recvClosed {
		c.forget(s)
	}
}

// keep puts a stream into the table: frames may come for it.
func (c *Conn) keep(s *stream) {
	if s.kept || s.gone {
		return
	}
	if c.streams == nil {
		c.streams = make(map[uint32]*stream)
	}
	s.kept = true
	c.streams[s.id] = s
	c.tabled = max(c.tabled, len(c.streams))
}

// forget ends a stream for the protocol. Its handler may still run.
func (c *Conn) forget(s *stream) {
	if s.gone {
		return
	}
	s.gone = true
	if s.kept {
		delete(c.streams, s.id)
		s.kept = false
	}
	c.open--
	c.sched.remove(s)
	s.dropOutput()
	s.signalRoom()
}

// drop ends a stream before its time: by the peer, or with its connection.
func (c *Conn) drop(s *stream, why error) {
	if s.gone {
		return
	}
	s.err = why
	s.recvClosed, s.sendClosed = true, true
	s.body.abort(why)
	c.forget(s)
	if s.started {
		s.ctx.Cancel(context.Canceled)
	} else {
		c.unqueue(s)
	}
}

// unqueue takes out a stream whose handler has not started.
func (c *Conn) unqueue(s *stream) {
	is := func(o *stream) bool { return o == s }
	c.waiting = slices.DeleteFunc(c.waiting, is)
	c.deferred = slices.DeleteFunc(c.deferred, is)
	s.body.close()
}

// takeDeferred tells whether s waits for its body to start, and takes it out.
func (c *Conn) takeDeferred(s *stream) bool {
	i := slices.Index(c.deferred, s)
	if i >= 0 {
		c.deferred = slices.Delete(c.deferred, i, i+1)
	}
	return i >= 0
}

// endStreams drops all streams, with their connection.
func (c *Conn) endStreams(why error) {
	c.waiting, c.deferred = nil, nil // drop need not look for each of them
	for _, s := range c.streams {
		c.drop(s, why)
	}
}

// reset sends RST_STREAM and drops the stream.
func (c *Conn) reset(s *stream, code frame.ErrCode) {
	if !s.gone {
		c.sendReset(s.id, code)
		c.drop(s, errResetByUs)
	}
}

// sendReset sends RST_STREAM for a stream that may have no block.
func (c *Conn) sendReset(id uint32, code frame.ErrCode) {
	out := c.gather(headRoom)
	out.B = frame.AppendRSTStream(out.B, id, code)
	c.control++
	c.fresh++
	if len(c.resets) < max(minResets, min(2*c.cfg.MaxStreams, maxResets)) {
		c.resets = append(c.resets, id)
		return
	}
	c.resets[c.resetAt] = id
	c.resetAt = (c.resetAt + 1) % len(c.resets)
}

// violate resets a stream for what its peer did. Such resets are counted as the
// peer's own are, for they cost the same (H2-2, CVE-2025-8671).
func (c *Conn) violate(id uint32, code frame.ErrCode) {
	if !c.budget.spendReset(c.time()) {
		c.calm(ReasonResets)
		return
	}
	if !c.roomForControl() {
		return
	}
	if s := c.stream(id); s != nil {
		c.reset(s, code)
	} else {
		c.sendReset(id, code)
	}
}

// wasReset tells whether we have reset a stream lately.
func (c *Conn) wasReset(id uint32) bool { return slices.Contains(c.resets, id) }

// neverOpened tells that a stream below lastID was left out by the peer: the
// last such gap is remembered, to tell a wrong order from a late frame.
func (c *Conn) neverOpened(id uint32) bool {
	return c.skipped[0] <= id && id <= c.skipped[1] && c.skipped[0] != 0
}
