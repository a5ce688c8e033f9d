package h2

import (
	"os"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// Output has three places:
//
//	handler -> stream.out: not framed, for lack of window or of turn (64 KiB a stream)
//	        -> Conn.out: whole frames, until the step ends or 48 KiB are gathered
//	        -> Host: what the socket did not take
//
// A short answer goes from the handler into Conn.out at once. What waits in
// stream.out is framed by pump, the most urgent first (sched.go), while little
// enough lies behind it: what is framed can no longer be overtaken.

// gather returns the output buffer with room for n bytes more.
func (c *Conn) gather(n int) *bufpool.Buffer {
	switch out := c.out; {
	case out == nil:
		c.out = bufpool.Get(max(n, outSize))
	case cap(out.B)-len(out.B) < n:
		big := bufpool.Get(max(2*cap(out.B), len(out.B)+n))
		big.B = append(big.B, out.B...)
		out.Release()
		c.out = big
	}
	return c.out
}

// flush sends what was gathered.
func (c *Conn) flush() {
	out := c.out
	if out == nil {
		return
	}
	c.out, c.fresh = nil, 0
	c.written += int64(len(out.B))
	if len(out.B) > 0 && c.writeErr == nil {
		_, c.writeErr = c.host.Write(out.B)
	}
	out.Release()
	c.setChoked(c.host.Buffered() > maxUnsent)
}

// setChoked notes whether the peer leaves too much unread. The portable form's
// reader waits for the end of it.
func (c *Conn) setChoked(choked bool) {
	if c.choked && !choked && c.resumed != nil {
		c.resumed.Broadcast()
	}
	c.choked = choked
}

// full tells whether n bytes more would be too many for one write.
func (c *Conn) full(n int) bool { return c.out != nil && len(c.out.B)+n > writeSize }

// unsent is what is framed and has not left.
func (c *Conn) unsent() int {
	n := c.host.Buffered()
	if c.out != nil {
		n += len(c.out.B)
	}
	return n
}

// send takes p as the next part of the answer's content; end tells that it is
// the last. It waits while too much is queued. p may be reused afterwards.
func (s *stream) send(p []byte, end bool) error {
	c := s.c
	for {
		if err := s.sendError(); err != nil {
			return err
		}
		if s.out == nil && c.turnOf(len(p)) {
			n := s.frameData(p, end)
			p = p[n:]
			if s.sendClosed || len(p) == 0 && !end {
				return nil
			}
		}
		n := s.enqueue(p, end)
		p = p[n:]
		if len(p) == 0 && (s.outEnd || !end) {
			return nil
		}
		s.waitRoom()
	}
}

// sendError is why nothing more can be sent.
func (s *stream) sendError() error {
	switch {
	case s.err != nil:
		return s.err
	case s.w.over: // a goroutine of the handler, which has returned
		return errOver
	case s.c.writeErr != nil:
		return s.c.writeErr
	case s.sendClosed || s.c.phase == phaseOver:
		return errConnOver
	case s.waiters != nil && s.waiters.writeLate:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// turnOf tells whether n bytes may be framed at once: nobody waits for a turn,
// or they are but one frame, which holds nobody up.
func (c *Conn) turnOf(n int) bool {
	return (c.sched.empty() || n <= dataSize) && c.unsent() < highWater
}

// frameData frames as much of p as windows and the socket have room for.
func (s *stream) frameData(p []byte, end bool) (done int) {
	c := s.c
	for {
		n := min(len(p)-done, dataSize, s.sendWin, c.sendWin)
		if n <= 0 && done < len(p) {
			return done
		}
		n = max(n, 0)
		var f frame.Flags
		last := done+n == len(p)
		if last && end && !s.trailer {
			f = frame.FlagEndStream
		}
		if n == 0 && f == 0 {
			return done
		}
		if c.full(frame.HeaderSize + n) {
			c.flush()
			if c.writeErr != nil || c.unsent() >= highWater {
				return done
			}
		}
		out := c.gather(frame.HeaderSize + n)
		out.B = frame.AppendData(out.B, s.id, f, p[done:done+n])
		s.sendWin -= n
		c.sendWin -= n
		c.budget.dataSent++
		c.budget.payload += uint64(n)
		s.sentBytes += int64(n)
		c.dataBytes += int64(n)
		done += n
		if f != 0 {
			c.closeSend(s)
			return done
		}
		if last {
			return done
		}
	}
}

// enqueue keeps of p what may wait for room.
func (s *stream) enqueue(p []byte, end bool) int {
	c, queued := s.c, 0
	if s.out != nil {
		queued = len(s.out.B) - s.off
	}
	room := min(maxStreamOutput-queued, max(maxConnOutput-c.held, minStreamOutput-queued))
	n := max(0, min(len(p), room))
	if n > 0 || end && len(p) == 0 {
		s.queue(p[:n], end && n == len(p))
	}
	return n
}

// queue keeps p, and joins the schedule.
func (s *stream) queue(p []byte, end bool) {
	c := s.c
	s.keepOutput(p)
	s.outEnd = end
	if s.stalledAt == 0 {
		s.stalledAt, s.sentBytes, s.connBytes = c.clock(), 0, c.dataBytes
		if c.stallAt == 0 {
			c.stallAt = s.stalledAt + c.stallLimit()
			c.wake = c.wake || s.detached // for the timer
		}
	}
	c.sched.add(s)
}

// sendLast is send for the end of an answer whose handler has returned: it
// never waits.
func (s *stream) sendLast(p []byte) {
	if s.out == nil && s.c.turnOf(len(p)) {
		p = p[s.frameData(p, true):]
		switch {
		case s.sendClosed:
			return
		case len(p) == 0 && s.trailer:
			s.w.sendTrailers()
			return
		}
	}
	s.queue(p, true)
}

// keepOutput appends p to the stream's queue.
func (s *stream) keepOutput(p []byte) {
	if s.out == nil {
		s.out, s.off = bufpool.Get(len(p)), 0
	} else if cap(s.out.B)-len(s.out.B) < len(p) {
		left := s.out.B[s.off:]
		to := s.out
		if cap(to.B) < len(left)+len(p) {
			to = bufpool.Get(max(maxStreamOutput, len(left)+len(p)))
		}
		to.B = append(to.B[:0], left...)
		if to != s.out {
			s.out.Release()
		}
		s.out, s.off = to, 0
	}
	s.out.B = append(s.out.B, p...)
	s.c.held += len(p)
}

// dropOutput gives the queue back.
func (s *stream) dropOutput() {
	if s.out == nil {
		return
	}
	s.c.held -= len(s.out.B) - s.off
	s.out.Release()
	s.out, s.off, s.stalledAt = nil, 0, 0
}

// waitRoom waits until the queue has room, without the lock: the connection
// goes on under another leader.
func (s *stream) waitRoom() {
	if s.room == nil {
		s.room = make(chan struct{}, 1)
	}
	room := s.room
	s.c.unlockToWait(s)
	<-room
	s.c.mu.Lock()
}

// signalRoom wakes a writer that waits.
func (s *stream) signalRoom() {
	if s.room != nil {
		select {
		case s.room <- struct{}{}:
		default:
		}
	}
}

// pump frames what waits in the streams' queues, as long as the socket takes it.
func (c *Conn) pump() {
	for c.writeErr == nil && c.phase <= phaseOpen {
		s := c.sched.first()
		if s == nil {
			return
		}
		if c.unsent() >= lowWater {
			// If it is still too much afterwards, OnWritable comes.
			if c.flush(); c.unsent() >= lowWater {
				return
			}
		}
		if !c.sendQueued(s) {
			return
		}
	}
}

// sendQueued frames one DATA frame of s. False: the connection's window is closed.
func (c *Conn) sendQueued(s *stream) bool {
	p := s.out.B[s.off:]
	n := min(len(p), dataSize, s.sendWin)
	if n <= 0 && len(p) > 0 { // its own window is closed: WINDOW_UPDATE adds it again
		c.sched.remove(s)
		return true
	}
	if n = min(n, c.sendWin); n <= 0 && len(p) > 0 {
		return false
	}
	n = max(n, 0) // nothing but the end is left, which a negative window lets pass
	end := s.outEnd && n == len(p)
	done := s.frameData(p[:n], end)
	if s.gone {
		return true
	}
	s.off += done
	c.held -= done
	if s.off < len(s.out.B) {
		c.sched.rotate(s)
	} else {
		c.sched.remove(s)
		s.dropOutput()
		if end && s.trailer {
			s.w.sendTrailers()
		}
	}
	if s.out == nil || len(s.out.B)-s.off <= maxStreamOutput/2 {
		s.signalRoom()
	}
	c.settle(s)
	return true
}

// widen adds to the stream's window.
func (s *stream) widen(n int) {
	if s.sendWin += n; s.sendWin > frame.MaxWindow {
		s.c.violate(s.id, frame.FlowControlError) // RFC 9113 §6.9.1
		return
	}
	s.c.sched.add(s)
}
