package h3

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// peer is what a connection's peer has said of the connection itself.
type peer struct {
	// Streams that there is one of (RFC 9114 §6.2.1, RFC 9204 §4.2).
	control, encoder, decoder bool

	going    bool // a GOAWAY has come
	goAway   uint64
	maxPush  uint64
	frames   int // control frames since requests were so many
	requests int
}

// openControl opens our control stream and sends SETTINGS on it (RFC 9114
// §6.2.1). The QPACK streams of ours would carry nothing, so they are not opened
// (RFC 9204 §4.2).
func (c *conn) openControl() error {
	str, err := c.q.OpenUniStream()
	if err != nil {
		return err
	}
	b := frame.AppendVarint(nil, uint64(frame.StreamControl))
	b = frame.AppendSettings(b, frame.Settings{
		// Bytes as RFC 9114 §4.2.2 counts them, which is how we do.
		MaxFieldSectionSize:   uint64(c.srv.cfg.FieldBytes),
		EnableConnectProtocol: true, // RFC 9220
	})
	c.mu.Lock()
	c.control = str
	c.mu.Unlock()
	return str.TryWriteAll(b)
}

// acceptUni takes the peer's unidirectional streams, each with a goroutine: there
// are three, and those of unknown types end at once.
func (c *conn) acceptUni() {
	// A peer whose SETTINGS do not come is not one of HTTP/3.
	timer := time.AfterFunc(settingsTimeout, func() {
		c.fail(&frame.Error{Code: frame.MissingSettings, Reason: "no SETTINGS in time"})
	})
	defer timer.Stop()
	for {
		str, err := c.q.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		go c.serveUni(str, timer)
	}
}

// serveUni reads one of the peer's unidirectional streams to its end.
func (c *conn) serveUni(str *quic.ReceiveStream, settings *time.Timer) {
	defer str.ReleaseStreamCredit()
	r := &input{str: str}
	defer r.release()
	t, err := r.varint()
	if err != nil {
		return // it ended before its type: as good as none (RFC 9114 §6.2)
	}
	switch kind := frame.StreamType(t); kind {
	case frame.StreamControl:
		err = c.readControl(r, settings)
	case frame.StreamQPACKEncoder:
		err = c.readQPACK(r, &c.peer.encoder, new(qpack.EncoderStream), frame.QPACKEncoderStreamError)
	case frame.StreamQPACKDecoder:
		err = c.readQPACK(r, &c.peer.decoder, new(qpack.DecoderStream), frame.QPACKDecoderStreamError)
	case frame.StreamPush: // RFC 9114 §6.2.2: a client cannot push
		err = &frame.Error{Code: frame.StreamCreationError, Reason: "a push stream from a client"}
	default: // RFC 9114 §6.2, §9: unknown types are no errors
		str.CancelRead(quic.StreamErrorCode(frame.StreamCreationError))
		return
	}
	if e, ok := errors.AsType[*frame.Error](err); ok {
		c.fail(e)
	}
}

// once notes that the peer has opened a stream that there is one of.
func (c *conn) once(seen *bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *seen {
		return &frame.Error{Code: frame.StreamCreationError, Reason: "a second stream of a type that there is one of"}
	}
	*seen = true
	return nil
}

// critical turns the end of a stream that must not end into its error; the
// connection's end is none (RFC 9114 §6.2.1, RFC 9204 §4.2).
func critical(err error) error {
	if _, reset := errors.AsType[*quic.StreamError](err); reset || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &frame.Error{Code: frame.ClosedCriticalStream, Reason: "the peer has closed a critical stream"}
	}
	return err
}

// qpackStream takes the bytes of one, however they are cut.
type qpackStream interface{ Write(p []byte) error }

// readQPACK reads a QPACK stream; the dynamic table is off, so it can say little.
func (c *conn) readQPACK(r *input, seen *bool, to qpackStream, code frame.Code) error {
	if err := c.once(seen); err != nil {
		return err
	}
	for {
		if err := to.Write(r.buffered()); err != nil {
			return &frame.Error{Code: code, Reason: err.Error()}
		}
		r.release()
		if err := r.await(); err != nil {
			return critical(err)
		}
	}
}

// readControl reads the peer's control stream: SETTINGS first, and once (RFC
// 9114 §6.2.1, §7.2.4).
func (c *conn) readControl(r *input, settings *time.Timer) error {
	if err := c.once(&c.peer.control); err != nil {
		return err
	}
	first := true
	for {
		if err := r.await(); err != nil {
			return critical(err)
		}
		h, err := r.header()
		if err != nil {
			return critical(err)
		}
		if first != (h.Type == frame.TypeSettings) {
			if first {
				return &frame.Error{Code: frame.MissingSettings, Reason: "the control stream begins with " + h.Type.String()}
			}
			return &frame.Error{Code: frame.FrameUnexpected, Reason: "a second SETTINGS"}
		}
		if first {
			settings.Stop()
			first = false
		}
		if err := c.controlFrame(r, h); err != nil {
			return critical(err)
		}
	}
}

// controlFrame takes one frame of the control stream.
func (c *conn) controlFrame(r *input, h frame.Header) error {
	switch h.Type {
	case frame.TypeSettings, frame.TypeGoAway, frame.TypeMaxPushID, frame.TypeCancelPush, frame.TypePriorityUpdate, frame.TypePriorityPush:
	case frame.TypeData, frame.TypeHeaders, frame.TypePushPromise:
		return unexpected(h.Type)
	default:
		if h.Type.Reserved() {
			return unexpected(h.Type)
		}
		return r.skip(h.Length) // RFC 9114 §9; it is slow as its sender
	}
	if h.Length > max(maxControlFrame, frame.MaxSettingsSize) {
		return &frame.Error{Code: frame.ExcessiveLoad, Reason: h.Type.String() + " is too long"}
	}
	payload, err := r.take(int(h.Length))
	if err != nil {
		return err
	}
	if !c.spend() {
		return &frame.Error{Code: frame.ExcessiveLoad, Reason: "too many control frames"}
	}
	switch h.Type {
	case frame.TypeSettings:
		_, err = frame.ParseSettings(payload) // we send nothing that it could restrict
	case frame.TypeGoAway:
		err = c.takeGoAway(payload)
	case frame.TypeMaxPushID:
		err = c.takeMaxPushID(payload)
	case frame.TypeCancelPush:
		if _, err = frame.ParseID(payload); err == nil { // nothing was ever promised (RFC 9114 §7.2.3)
			err = &frame.Error{Code: frame.IDError, Reason: "CANCEL_PUSH without a push"}
		}
	default:
		err = c.takePriority(h.Type, payload)
	}
	return err
}

func unexpected(t frame.Type) error {
	return &frame.Error{Code: frame.FrameUnexpected, Reason: t.String() + " on this stream"}
}

// spend takes a control frame from the peer's allowance, which its requests
// refill. False: it has none left.
func (c *conn) spend() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests > c.peer.requests { // some came in between
		c.peer.frames, c.peer.requests = 0, c.requests
	}
	c.peer.frames++
	return c.peer.frames <= maxControlFrames
}

// takeGoAway: a client's names a push, of which there are none; it must not grow
// (RFC 9114 §5.2, §7.2.6).
func (c *conn) takeGoAway(payload []byte) error {
	id, err := frame.ParseID(payload)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peer.going && id > c.peer.goAway {
		return &frame.Error{Code: frame.IDError, Reason: "GOAWAY with a growing id"}
	}
	c.peer.going, c.peer.goAway = true, id
	return nil
}

// takeMaxPushID: it must not fall (RFC 9114 §7.2.7). We do not push.
func (c *conn) takeMaxPushID(payload []byte) error {
	id, err := frame.ParseID(payload)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if id < c.peer.maxPush {
		return &frame.Error{Code: frame.IDError, Reason: "MAX_PUSH_ID that falls"}
	}
	c.peer.maxPush = id
	return nil
}

// takePriority reprioritises a request that is under way (RFC 9218 §7.2). One
// that has not come is not remembered: its own Priority field says the same.
func (c *conn) takePriority(t frame.Type, payload []byte) error {
	id, field, err := frame.ParsePriorityUpdate(t, payload)
	if err != nil {
		return err
	}
	p := semantics.ParsePriority(field)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.active {
		if uint64(s.str.StreamID()) == id {
			s.str.SetPriority(int8(p.Urgency), p.Incremental)
		}
	}
	return nil
}
