package h3

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/message"
)

// maxMethodBytes is the longest method that is looked at (H1-12).
const maxMethodBytes = 32

// memos remember the last field sections of a connection: a client sends the
// same bytes again and again, and without a dynamic table equal bytes always
// mean the same, so they need no new decoding, checks and strings (BenchmarkServe).
type memos struct {
	slots [2]memo
	next  int
}

type memo struct {
	bytes  []byte // empty: not of use again
	head   message.Head
	fields []hpack.Field
}

// readHead reads the request's head and makes the request of it. False: the
// stream is over, or answered.
func (s *stream) readHead() bool {
	cfg := s.c.srv.cfg
	if s.turn == 0 && cfg.ReadHeadTimeout > 0 { // inline, the watch sets it
		s.str.SetReadDeadline(time.Now().Add(cfg.ReadHeadTimeout))
	}
	block, err := s.headBlock()
	switch {
	case err == errHeadSize:
		s.refuse(http.StatusRequestHeaderFieldsTooLarge)
		return false
	case err != nil:
		s.failHead(err)
		return false
	}
	return s.begin(block)
}

// headBlock takes the field section that begins the message.
func (s *stream) headBlock() ([]byte, error) {
	h, err := s.nextFrame()
	switch {
	case err != nil:
		return nil, err
	case h.Type != frame.TypeHeaders: // RFC 9114 §4.1
		return nil, unexpected(h.Type)
	case h.Length > uint64(s.c.srv.cfg.FieldBytes):
		return nil, errHeadSize
	}
	return s.in.take(int(h.Length))
}

// nextFrame takes the header of the next frame that we know; others are thrown
// away, within bounds (RFC 9114 §9).
func (s *stream) nextFrame() (frame.Header, error) {
	for {
		h, err := s.in.header()
		if err != nil {
			return h, err
		}
		switch h.Type {
		case frame.TypeData, frame.TypeHeaders:
			if h.Type == frame.TypeHeaders || h.Length > 0 { // the message goes on
				s.body.unknown, s.body.unknownBytes = 0, 0
			}
			return h, nil
		case frame.TypeSettings, frame.TypeGoAway, frame.TypeCancelPush, frame.TypeMaxPushID, frame.TypePushPromise,
			frame.TypePriorityUpdate, frame.TypePriorityPush:
			return h, unexpected(h.Type)
		}
		if h.Type.Reserved() {
			return h, unexpected(h.Type)
		}
		s.body.unknown++
		if s.body.unknownBytes += h.Length; s.body.unknown > maxUnknownFrames || s.body.unknownBytes > maxUnknownBytes {
			return h, &frame.Error{Code: frame.ExcessiveLoad, Reason: "too much in frames of unknown types"}
		}
		if err := s.in.skip(h.Length); err != nil {
			return h, err
		}
	}
}

// failHead ends a stream without a head, or its connection.
func (s *stream) failHead(err error) {
	c := s.c
	cfg := c.srv.cfg
	if e, ok := errors.AsType[*frame.Error](err); ok {
		go c.fail(e) // it waits for the transport, which may wait for us
		return
	}
	if _, ok := errors.AsType[*quic.StreamError](err); ok {
		cfg.Counters.Resets.Add(1)
		s.str.CancelWrite(quic.StreamErrorCode(frame.RequestCancelled))
		return
	}
	switch {
	case err == io.ErrUnexpectedEOF: // RFC 9114 §7.1
		go c.fail(&frame.Error{Code: frame.FrameError, Reason: "a stream ends within a frame"})
	case err == io.EOF: // RFC 9114 §4.1
		cfg.Counters.Malformed.Add(1)
		abort(s.str, frame.RequestIncomplete)
	case errors.Is(err, os.ErrDeadlineExceeded):
		cfg.Counters.TimedOut.Add(1)
		abort(s.str, frame.RequestIncomplete)
	}
	// Else the connection is over.
}

// What judge says of a message beside a status.
const (
	isGood      = 0
	isMalformed = -1
	isUnsure    = -2 // its end decides, which has not come
)

// begin decodes a field section and makes the request of it. False: the stream
// is over, or answered.
func (s *stream) begin(block []byte) bool {
	c := s.c
	c.settle()
	verdict, err := s.judge(block)
	if verdict == isUnsure {
		block = slices.Clone(block)
		s.awaitEnd()
		c.settle()
		if verdict, err = s.judge(block); verdict == isUnsure {
			verdict = http.StatusTooEarly
		}
	}
	switch {
	case err != nil: // RFC 9204 §2.2: of the connection
		go c.fail(err)
		return false
	case verdict == isMalformed:
		s.malformed()
		return false
	case verdict != isGood:
		s.refuse(verdict)
		return false
	}
	if s.turn == 0 && c.srv.cfg.ReadHeadTimeout > 0 {
		s.str.SetReadDeadline(time.Time{})
	}
	return true
}

// awaitEnd waits for the end of the stream, for what shows that there is content,
// or for the end of the handshake, when it does not matter any more.
func (s *stream) awaitEnd() {
	done, str, handshake := make(chan struct{}), s.str, s.c.q.HandshakeComplete()
	go func() {
		select {
		case <-handshake:
			str.SetReadDeadline(time.Now()) // a reader of the body sets its own
		case <-done:
		}
	}()
	_ = s.in.fill() // what it got, judge sees
	close(done)
}

// judge decodes a field section, and makes the request if it is one for the
// handler. Otherwise it tells the status, or what else it is. The head that it
// looks at is anybody's once c.mu is free.
func (s *stream) judge(block []byte) (verdict int, err *frame.Error) {
	c := s.c
	c.mu.Lock() // the memos, and the strings of the connection
	defer c.mu.Unlock()
	m, err := c.decode(block)
	switch {
	case err != nil:
		return 0, err
	case m.Fault != "", s.isWhole() && !s.lengthIs(m.Length):
		return isMalformed, nil
	case m.Status != 0:
		return m.Status, nil
	case c.early.Load() && !s.in.ended(): // without content
		if len(s.in.buffered()) == 0 && isSafe(m.Method) {
			return isUnsure, nil
		}
		return http.StatusTooEarly, nil
	case c.early.Load() && !isSafe(m.Method):
		return http.StatusTooEarly, nil
	}
	s.makeRequest(m)
	return isGood, nil
}

// isSafe tells whether a request with this method may be replayed.
func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// decode reads a field section. The head is valid while c.mu is held; its strings
// are for ever.
func (c *conn) decode(block []byte) (*message.Head, *frame.Error) {
	if c.memo == nil {
		c.memo = new(memos)
	}
	for i := range c.memo.slots {
		if k := &c.memo.slots[i]; len(k.bytes) > 0 && string(k.bytes) == string(block) {
			return &k.head, nil
		}
	}
	k := &c.memo.slots[c.memo.next]
	c.memo.next ^= 1
	k.bytes = k.bytes[:0]
	cfg := c.srv.cfg
	fields, over, err := qpack.Decode(k.fields[:0], block, hpack.Limits{
		Fields: cfg.Fields, Bytes: cfg.FieldBytes, HardFields: max(hardFields, cfg.Fields),
	})
	if err != nil {
		return nil, decodeError(err)
	}
	k.fields = fields
	k.head.Read(fields, over, message.Rules{TargetBytes: cfg.TargetBytes, MethodBytes: maxMethodBytes, Server: cfg.Server})
	if len(block) <= memoBlock {
		k.bytes = append(k.bytes, block...)
	}
	return &k.head, nil
}

// decodeError is what a section that cannot be decoded ends the connection with.
func decodeError(err error) *frame.Error {
	code := frame.QPACKDecompressionFailed
	if err == qpack.ErrTooManyFields {
		code = frame.ExcessiveLoad
	}
	return &frame.Error{Code: code, Reason: err.Error()}
}

// isWhole tells whether all of the request is here.
func (s *stream) isWhole() bool { return s.in.err == io.EOF }

// lengthIs tells whether a request that is whole has as much content as its
// Content-Length says (RFC 9114 §4.1.2, Q-6). What it cannot judge, the body's
// reader will.
func (s *stream) lengthIs(declared int64) bool {
	if declared < 0 {
		return true
	}
	var n uint64
	for b := s.in.buffered(); len(b) > 0; {
		h, k := frame.ReadHeader(b)
		if k == 0 || h.Length > uint64(len(b)-k) {
			return true
		}
		if h.Type == frame.TypeData {
			n += h.Length
		}
		b = b[k+int(h.Length):]
	}
	return n == uint64(declared)
}

// malformed ends a stream whose message breaks a rule, before anybody sees it
// (RFC 9114 §4.1.2).
func (s *stream) malformed() {
	s.c.srv.cfg.Counters.Malformed.Add(1)
	abort(s.str, frame.MessageError)
}

// refuse answers a request that no handler sees: a status, no content.
func (s *stream) refuse(status int) {
	cfg := s.c.srv.cfg
	switch status {
	case http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		cfg.Counters.TooLarge.Add(1)
	case http.StatusTooEarly:
		cfg.Counters.TooEarly.Add(1)
	case http.StatusOK:
	default:
		cfg.Counters.Malformed.Add(1)
	}
	b := qpack.AppendStatus(qpack.AppendPrefix(frame.BeginHeaders(nil)), status)
	b = qpack.AppendField(b, "date", cfg.Date.Value(time.Now()))
	b = qpack.AppendField(b, "content-length", "0")
	if s.str.TryWriteAll(frame.FinishHeaders(b, 0)) != nil {
		abort(s.str, frame.ExcessiveLoad) // not even room for a head
		return
	}
	s.str.Close()
	s.stopReading()
}

// stopReading tells the peer that the rest of its request is not wanted (RFC
// 9114 §4.1).
func (s *stream) stopReading() {
	if !s.in.ended() {
		s.str.CancelRead(quic.StreamErrorCode(frame.NoError))
	}
}
