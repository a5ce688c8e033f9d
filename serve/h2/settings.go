package h2

import (
	"cmp"
	"slices"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// initialWindow is every window before SETTINGS or WINDOW_UPDATE (RFC 9113 §6.9.2).
const initialWindow = 65_535

// sendPreface gathers the server's connection preface (RFC 9113 §3.4): what we
// allow, and the rest of the connection's receive window.
func (c *Conn) sendPreface() {
	c.out = bufpool.Get(headRoom)
	b := frame.AppendSettings(c.out.B,
		frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: uint32(c.cfg.MaxStreams)},
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: uint32(c.cfg.StreamWindow)},
		frame.Setting{ID: frame.SettingMaxHeaderListSize, Value: uint32(c.cfg.FieldBytes)},
		frame.Setting{ID: frame.SettingEnableConnectProtocol, Value: 1}, // RFC 8441 §3
		frame.Setting{ID: frame.SettingNoRFC7540Priorities, Value: 1},   // RFC 9218 §2.1
	)
	if more := c.cfg.ConnWindow - c.recvWin; more > 0 {
		b = frame.AppendWindowUpdate(b, 0, uint32(more))
		c.recvWin += more
	}
	c.out.B = b
	c.settingsAt = c.now
}

// onSettings: RFC 9113 §6.5. Values apply in order, repeated ids too.
func (c *Conn) onSettings(h frame.Header, p []byte) {
	if h.Flags&frame.FlagAck != 0 {
		c.settingsAt = 0 // one that was not asked for changes nothing
		return
	}
	n := frame.NumSettings(p)
	if n > maxSettings {
		c.calm(ReasonSettings)
		return
	}
	for i := range n {
		if !c.apply(frame.SettingAt(p, i)) {
			return
		}
	}
	if c.phase == phaseSettings {
		c.phase = phaseOpen
		c.activate() // as with net/http, what follows without a request is StateIdle
	}
	if c.mayControl() {
		out := c.gather(frame.HeaderSize)
		out.B = frame.AppendSettingsAck(out.B)
	}
}

// apply takes one setting. False: the connection is over.
func (c *Conn) apply(s frame.Setting) bool {
	if e := s.Check(); e != nil {
		c.fail(e.Code, e.Reason)
		return false
	}
	switch s.ID {
	case frame.SettingHeaderTableSize:
		c.enc.SetPeerTableSize(s.Value)
	case frame.SettingInitialWindowSize:
		return c.resizeWindows(int(s.Value))
	default:
		// MAX_FRAME_SIZE: larger frames than 16,384 bytes are never sent. The
		// others speak of pushes, or of what a client accepts.
	}
	return true
}

// resizeWindows applies INITIAL_WINDOW_SIZE to all open streams; a window may
// become negative (RFC 9113 §6.9.2).
func (c *Conn) resizeWindows(size int) bool {
	by := size - c.streamWin
	c.streamWin = size
	if by == 0 {
		return true
	}
	var opened []*stream
	for _, s := range c.streams {
		if s.sendWin += by; s.sendWin > frame.MaxWindow {
			c.fail(frame.FlowControlError, "6.9.2: SETTINGS lift a window above 2^31-1")
			return false
		}
		if s.out != nil && !s.queued {
			opened = append(opened, s)
		}
	}
	slices.SortFunc(opened, func(a, b *stream) int { return cmp.Compare(a.id, b.id) }) // their turns
	for _, s := range opened {
		c.sched.add(s)
	}
	return true
}

// mayControl tells whether one more control frame may be gathered, and counts it.
func (c *Conn) mayControl() bool {
	if !c.roomForControl() {
		return false
	}
	c.control++
	c.fresh++
	return true
}

// roomForControl: a peer that asks and never reads has maxQueuedControl answers
// waiting. False: it is over.
func (c *Conn) roomForControl() bool {
	c.countControl()
	if c.control < maxQueuedControl || c.takesControl() {
		return true
	}
	c.calm(ReasonControl)
	return false
}

// takesControl counts anew how many control frames the peer has not taken, once
// all that were gathered had the chance to leave: a burst, or the portable
// form's writer, of whom only Buffered tells, is no flood.
func (c *Conn) takesControl() bool {
	c.flush()
	c.countControl()
	return c.control < maxQueuedControl
}

// countControl takes the control frames that have left out of the count: those
// before a mark in what was written, once the host has nothing of before it.
func (c *Conn) countControl() {
	if c.control == 0 || c.written-int64(c.host.Buffered()) < c.markAt {
		return
	}
	c.control -= c.marked
	c.marked, c.markAt = c.control-c.fresh, c.written
	if c.host.Buffered() == 0 {
		c.control, c.marked = c.fresh, 0
	}
}
