package h2

import (
	"io"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// parse takes the frames that are here. False: overtaken.
func (c *Conn) parse() bool {
	for c.phase <= phaseOpen && c.in != nil {
		b := c.in.B[c.off:]
		if c.phase == phasePreface {
			if !c.readPreface(b) {
				break
			}
			continue
		}
		if len(b) < frame.HeaderSize || c.choked {
			break
		}
		h := frame.ParseHeader(b)
		if !c.admit(h) || len(b) < frame.HeaderSize+int(h.Length) {
			break
		}
		c.off += frame.HeaderSize + int(h.Length)
		if h.Flags&frame.FlagEndHeaders != 0 || h.Type != frame.TypeHeaders && h.Type != frame.TypeContinuation {
			c.headAt = 0 // the next frame has its own time
		}
		if !c.take(h, b[frame.HeaderSize:frame.HeaderSize+int(h.Length)]) {
			return false
		}
	}
	c.noteHead()
	return true
}

// noteHead starts the clock of a begun frame or header block (S-1), and stops
// it when there is none. DATA has the time of its body (S-2).
func (c *Conn) noteHead() {
	if c.block == nil && (c.choked || c.in == nil || c.off == len(c.in.B) || c.inData()) {
		c.headAt = 0
	} else if c.headAt == 0 {
		c.headAt = c.now
	}
}

// readPreface looks for the client's magic (RFC 9113 §3.4).
func (c *Conn) readPreface(b []byte) bool {
	n := min(len(b), len(frame.Preface))
	if string(b[:n]) != frame.Preface[:n] {
		c.fail(frame.ProtocolError, "3.4: not the connection preface")
		return false
	}
	if n < len(frame.Preface) {
		return false
	}
	c.off += n
	c.phase = phaseSettings
	c.headAt, c.idleAt = 0, c.now
	return true
}

// fill reads into the input buffer. False: nothing is there now, or ever.
func (c *Conn) fill() bool {
	if c.phase > phaseOpen || !c.mayRead() {
		return c.blocks && c.phase == phaseLinger
	}
	if c.blocks {
		c.splitData()
		c.startDeferred()
		if c.rest(); c.phase > phaseOpen {
			return true
		}
	}
	c.makeRoom()
	n, err := c.readInto(c.in.B[len(c.in.B):cap(c.in.B)])
	c.in.B = c.in.B[:len(c.in.B)+n]
	switch {
	case n > 0:
		c.lastRead = c.now
		if !c.budget.spendBytes(n) {
			c.calm(ReasonOverhead)
		}
		return true
	case err == ErrWouldBlock:
	case err == io.EOF:
		c.over(nil)
	default:
		c.over(err)
	}
	return false
}

// readInto reads; the portable form waits there, without the lock.
func (c *Conn) readInto(p []byte) (int, error) {
	if !c.blocks {
		return c.host.Read(p)
	}
	c.mu.Unlock()
	n, err := c.host.Read(p)
	c.mu.Lock()
	c.now = c.host.Now().Sub(epoch)
	return n, err
}

// mayRead tells whether more input is wanted: not while the peer leaves its
// answers unread. The portable form waits here until it is.
func (c *Conn) mayRead() bool {
	for c.blocks && c.choked && c.phase <= phaseOpen {
		c.rest()
		if c.choked {
			c.resumed.Wait()
		}
	}
	return !c.choked && c.phase <= phaseOpen
}

// makeRoom gives the input buffer room for a read, and for the rest of a frame
// that has begun.
func (c *Conn) makeRoom() {
	switch {
	case c.in == nil:
		c.in, c.off = bufpool.Get(readSize), 0
	case c.off == len(c.in.B):
		c.in.B, c.off = c.in.B[:0], 0
	case cap(c.in.B)-len(c.in.B) < readSize/2:
		left := c.in.B[c.off:]
		if cap(c.in.B) >= 2*readSize {
			c.in.B, c.off = c.in.B[:copy(c.in.B[:cap(c.in.B)], left)], 0
			return
		}
		big := bufpool.Get(4 * readSize)
		big.B = append(big.B, left...)
		c.in.Release()
		c.in, c.off = big, 0
	}
}

// restInput gives the input buffer back, or keeps a small one for the begin of
// a frame.
func (c *Conn) restInput() {
	if c.in == nil || c.blocks {
		return // the portable form's reader is about to use it
	}
	left := c.in.B[c.off:]
	if len(left) > 0 && (len(left) > smallInput || cap(c.in.B) <= smallInput) {
		return
	}
	was := c.in
	c.in, c.off = nil, 0
	if len(left) > 0 {
		c.in = bufpool.Get(smallInput)
		c.in.B = append(c.in.B, left...)
	}
	was.Release()
}

func (c *Conn) releaseInput() {
	if c.in != nil {
		c.in.Release()
		c.in, c.off = nil, 0
	}
}
