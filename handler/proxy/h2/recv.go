package h2

import (
	"bytes"
	"context"
	"errors"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// block is a header block that comes in several frames (RFC 9113 §4.3).
type block struct {
	id     uint32
	flags  frame.Flags // of HEADERS
	bytes  []byte
	frames int // CONTINUATION so far
}

// read is the reader: it takes frames until the connection ends.
func (c *conn) read(ctx context.Context) {
	c.link.Attach(ctx)
	buf := bufpool.Get(readBytes)
	b := buf.B[:cap(buf.B)]
	have := 0
	for {
		n, err := c.link.Read(b[have:])
		have += n
		c.mu.Lock()
		used := 0
		if c.dead == nil {
			used = c.parse(b[:have])
			c.flush()
		}
		if err != nil {
			c.end(err)
		}
		over, retired := c.dead != nil, c.retired
		c.mu.Unlock()
		if retired {
			c.pool.drop(c) // another one may take its place while its streams end
		}
		have = copy(b, b[used:have])
		if over {
			break
		}
	}
	buf.Release()
	c.link.Close()
	c.link.Detach()
	c.pool.drop(c)
	count(c.client.opts.Closed)
}

// parse takes the whole frames of b. mu is held.
func (c *conn) parse(b []byte) (used int) {
	for c.dead == nil && len(b)-used >= frame.HeaderSize {
		h := frame.ParseHeader(b[used:])
		if h.Length > frame.DefaultMaxSize {
			c.violate(frame.FrameSizeError, "4.2: a frame is larger than SETTINGS_MAX_FRAME_SIZE")
			break
		}
		if len(b)-used < frame.HeaderSize+int(h.Length) {
			break
		}
		p := b[used+frame.HeaderSize : used+frame.HeaderSize+int(h.Length)]
		used += frame.HeaderSize + int(h.Length)
		c.take(h, p)
	}
	return used
}

// take takes one frame. mu is held.
func (c *conn) take(h frame.Header, p []byte) {
	if e := h.Check(); e != nil && !e.Stream {
		c.violate(e.Code, e.Reason)
		return
	} else if e != nil {
		c.resetByPeersFault(h.StreamID, e)
		return
	}
	switch {
	case c.block != nil && (h.Type != frame.TypeContinuation || h.StreamID != c.block.id):
		c.violate(frame.ProtocolError, "6.10: a header block was not finished")
		return
	case !c.settled && h.Type != frame.TypeSettings:
		c.violate(frame.ProtocolError, "3.4: the first frame is not SETTINGS")
		return
	}
	// What carries something earns what does not (H2-6).
	if (h.Type == frame.TypeData || h.Type == frame.TypeHeaders) && len(p) > 0 {
		c.budget = min(c.budget+2, controlBudget)
	} else if c.budget--; c.budget < 0 || c.control > maxControl {
		c.violate(frame.EnhanceYourCalm, "10.5: too many control frames")
		return
	}
	switch h.Type {
	case frame.TypeData:
		c.onData(h, p)
	case frame.TypeHeaders:
		c.onHeaders(h, p)
	case frame.TypeContinuation:
		c.onContinuation(h, p)
	case frame.TypeRSTStream:
		c.onReset(h.StreamID, frame.ParseRSTStream(p))
	case frame.TypeSettings:
		c.onSettings(h, p)
	case frame.TypePushPromise:
		c.violate(frame.ProtocolError, "8.4: PUSH_PROMISE, which we have switched off")
	case frame.TypePing:
		if h.Flags&frame.FlagAck == 0 {
			c.control++
			c.out = frame.AppendPing(c.out, frame.FlagAck, frame.ParsePing(p))
		}
	case frame.TypeGoAway:
		c.onGoAway(p)
	case frame.TypeWindowUpdate:
		c.onWindowUpdate(h, p)
	default: // RFC 9113 §5.5: unknown ones, and PRIORITY, are ignored
	}
}

// known is the stream of a frame; nil: it is over. False: it has never been, which
// is a connection error.
func (c *conn) known(id uint32) (*stream, bool) {
	if id == 0 || id&1 == 0 || id >= c.next {
		c.violate(frame.ProtocolError, "5.1.1: a frame on a stream that was not opened")
		return nil, false
	}
	return c.streams[id], true
}

func (c *conn) resetByPeersFault(id uint32, e *frame.Error) {
	if s, ok := c.known(id); ok && s != nil {
		s.reset(e.Code)
		s.fail(&message.Error{Kind: message.Malformed, Answered: s.answered, Err: e})
	}
}

// onData: RFC 9113 §6.1. All of it counts for the windows, padding too.
func (c *conn) onData(h frame.Header, p []byte) {
	data, e := frame.ParseData(h, p)
	if e != nil {
		c.violate(e.Code, e.Reason)
		return
	}
	s, ok := c.known(h.StreamID)
	if !ok {
		return
	}
	if s == nil || s.recvClosed {
		c.giveCredit(len(p))
		return
	}
	s.onData(data, len(p), h.Flags&frame.FlagEndStream != 0)
}

// giveCredit gives back what was received and is consumed.
func (c *conn) giveCredit(n int) {
	if c.credit += n; c.credit >= connCredit {
		c.out = frame.AppendWindowUpdate(c.out, 0, uint32(c.credit))
		c.credit = 0
	}
}

func (c *conn) onHeaders(h frame.Header, p []byte) {
	fragment, _, e := frame.ParseHeaders(h, p)
	if e != nil {
		c.violate(e.Code, e.Reason)
		return
	}
	if h.Flags&frame.FlagEndHeaders == 0 {
		c.block = &block{id: h.StreamID, flags: h.Flags, bytes: bytes.Clone(fragment)}
		return
	}
	c.onBlock(h.StreamID, h.Flags, fragment)
}

// onContinuation: RFC 9113 §6.10. Bounded before anything is decoded (H2-3).
func (c *conn) onContinuation(h frame.Header, p []byte) {
	b := c.block
	if b == nil {
		c.violate(frame.ProtocolError, "6.10: CONTINUATION without HEADERS")
		return
	}
	b.frames++
	if b.frames > maxContinuations || len(b.bytes)+len(p) > c.client.opts.MaxHead {
		c.violate(frame.EnhanceYourCalm, "10.5.1: a header block is too large")
		return
	}
	b.bytes = append(b.bytes, p...)
	if h.Flags&frame.FlagEndHeaders != 0 {
		c.block = nil
		c.onBlock(b.id, b.flags, b.bytes)
	}
}

// onBlock takes a whole header block. It is decoded in any case, for the table.
func (c *conn) onBlock(id uint32, flags frame.Flags, fragment []byte) {
	s, ok := c.known(id)
	if !ok {
		return
	}
	lim := hpack.Limits{Fields: maxFields, Bytes: c.client.opts.MaxHead, HardFields: hardFields}
	if s != nil && s.final {
		lim = hpack.Limits{Fields: maxTrailers, Bytes: maxTrailerBytes, HardFields: hardFields}
	}
	fields, over, err := c.dec.Decode(nil, fragment, lim)
	switch {
	case errors.Is(err, hpack.ErrTooManyFields):
		c.violate(frame.EnhanceYourCalm, "10.5.1: too many fields")
		return
	case err != nil:
		c.violate(frame.CompressionError, "4.3: "+err.Error())
		return
	case s == nil || s.recvClosed:
		return // it may have been on its way when we reset
	}
	s.onBlock(fields, over, len(fragment), flags&frame.FlagEndStream != 0)
}

func (c *conn) onReset(id uint32, code frame.ErrCode) {
	s, ok := c.known(id)
	if !ok || s == nil {
		return
	}
	s.onReset(code)
}

// onSettings: RFC 9113 §6.5.
func (c *conn) onSettings(h frame.Header, p []byte) {
	if h.Flags&frame.FlagAck != 0 {
		return
	}
	c.settled = true
	for i := range frame.NumSettings(p) {
		v := frame.SettingAt(p, i)
		if e := v.Check(); e != nil {
			c.violate(e.Code, e.Reason)
			return
		}
		switch v.ID {
		case frame.SettingHeaderTableSize:
			c.enc.SetPeerTableSize(v.Value)
		case frame.SettingMaxConcurrentStreams:
			c.maxOpen = int(min(v.Value, uint32(c.client.opts.MaxStreams)))
		case frame.SettingInitialWindowSize:
			c.resize(int(v.Value))
		case frame.SettingMaxFrameSize:
			c.maxFrame = int(min(v.Value, 2*frame.DefaultMaxSize)) // larger ones would hold up others
		case frame.SettingEnableConnectProtocol:
			c.connect = v.Value == 1
		default:
		}
	}
	c.control++
	c.out = frame.AppendSettingsAck(c.out)
	c.wakeSenders()
	c.wakeSettling()
}

// wakeSettling tells who waits for SETTINGS. mu is held.
func (c *conn) wakeSettling() {
	for _, w := range c.settling {
		w.Wake()
	}
	c.settling = nil
}

// resize changes the windows of all streams (RFC 9113 §6.9.2).
func (c *conn) resize(window int) {
	by := window - c.streamWin
	c.streamWin = window
	for _, s := range c.streams {
		if s.sendWin += by; s.sendWin > frame.MaxWindow {
			c.violate(frame.FlowControlError, "6.9.2: a window is too large")
			return
		}
	}
}

func (c *conn) wakeSenders() {
	for _, s := range c.streams {
		s.wakeSender()
	}
}

func (c *conn) onWindowUpdate(h frame.Header, p []byte) {
	n, e := frame.ParseWindowUpdate(h, p)
	if e != nil && !e.Stream {
		c.violate(e.Code, e.Reason)
		return
	} else if e != nil {
		c.resetByPeersFault(h.StreamID, e)
		return
	}
	if h.StreamID == 0 {
		if c.sendWin += int(n); c.sendWin > frame.MaxWindow {
			c.violate(frame.FlowControlError, "6.9.1: the window is too large")
			return
		}
		c.wakeSenders()
		return
	}
	s, ok := c.known(h.StreamID)
	if !ok || s == nil {
		return
	}
	if s.sendWin += int(n); s.sendWin > frame.MaxWindow {
		s.reset(frame.FlowControlError)
		s.fail(&message.Error{Kind: message.Malformed, Answered: s.answered, Err: errors.New("6.9.1: a window is too large")})
		return
	}
	s.wakeSender()
}

// onGoAway: RFC 9113 §6.8: streams above the last were not processed.
func (c *conn) onGoAway(p []byte) {
	last, _, _ := frame.ParseGoAway(p)
	c.retired, c.goneAway = true, true
	for id, s := range c.streams {
		if id > last {
			s.fail(&message.Error{Kind: message.Refused, Unsent: true, Err: errGoAway})
			s.sendClosed, s.recvClosed = true, true
		}
	}
	if c.open == 0 {
		c.end(errGoAway)
	}
}
