package h3

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/message"
)

// body is a request's body as its handler sees it. It reads the stream itself:
// what a handler does not read stays in the transport, which gives its peer no
// more credit then.
type body struct {
	s    *stream // nil: there is no body
	shut atomic.Bool

	// mu guards the following: a Close may come while a Read waits.
	mu           sync.Mutex
	frame        uint64 // bytes that are left of the DATA frame
	left         int64  // of the declared length; -1: none was declared
	max          int64  // MaxBodyBytes; 0: none
	got          int64  // bytes read
	unknown      int    // frames of unknown types
	unknownBytes uint64
	expect       bool // 100-continue is awaited
	err          error
	waited       time.Duration // of all readers, for the peer

	deadline atomic.Int64 // the handler's own, Unix ns; 0: none
	duplex   atomic.Bool  // EnableFullDuplex: the peer may be silent for long
}

// begin readies the body of a request.
func (b *body) begin(s *stream, m *message.Head) {
	b.s, b.left, b.expect = s, m.Length, m.Expect
	b.max = s.c.srv.cfg.MaxBodyBytes
	if b.max > 0 && m.Length > b.max {
		b.err = &http.MaxBytesError{Limit: b.max} // none of it is asked for or read
	}
}

func (b *body) reset() {
	b.s, b.frame, b.left, b.max, b.got, b.unknown, b.unknownBytes = nil, 0, 0, 0, 0, 0, 0
	b.expect, b.err, b.waited = false, nil, 0
	b.shut.Store(false)
	b.deadline.Store(0)
	b.duplex.Store(false)
}

// Read reads the body. It waits when nothing is here: leadership is handed on.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.shut.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	if b.expect {
		b.expect = false
		b.s.w.sendContinue()
	}
	for b.frame == 0 {
		if err := b.next(); err != nil {
			return 0, b.fail(err)
		}
	}
	n, err := b.take(p)
	if err != nil && n == 0 {
		return 0, b.fail(err)
	}
	b.frame -= uint64(n)
	b.got += int64(n)
	if b.left >= 0 {
		b.left -= int64(n)
	}
	if b.max > 0 && b.got > b.max {
		over := int(b.got - b.max)
		b.err = &http.MaxBytesError{Limit: b.max}
		return max(0, n-over), b.err
	}
	return n, nil
}

// next goes on to the next DATA frame; io.EOF: there is none.
func (b *body) next() error {
	s := b.s
	h, err := s.nextFrame()
	switch {
	case err != nil:
		return err
	case h.Type == frame.TypeHeaders && s.w.answer.Tunnel: // RFC 9114 §4.4, RFC 9220
		return unexpected(h.Type)
	case h.Type == frame.TypeHeaders:
		return b.readTrailer(h)
	case b.left >= 0 && h.Length > uint64(b.left):
		return errLength
	}
	b.frame = h.Length
	return nil
}

// take moves bytes of the DATA frame to p.
func (b *body) take(p []byte) (int, error) {
	in := &b.s.in
	p = p[:min(uint64(len(p)), b.frame)]
	if have := in.buffered(); len(have) > 0 {
		n := copy(p, have)
		if in.off += n; len(have) == n {
			in.release()
		}
		return n, nil
	}
	if in.err != nil {
		return 0, in.cut(in.err, true)
	}
	n, err := in.str.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		in.err = err
	}
	return n, in.cut(err, true)
}

// readTrailer reads the section that ends the message (RFC 9114 §4.1).
func (b *body) readTrailer(h frame.Header) error {
	if h.Length > maxTrailerBytes {
		return errTrailer
	}
	block, err := b.s.in.take(int(h.Length))
	if err != nil {
		return err
	}
	fields, over, derr := qpack.Decode(nil, block, hpack.Limits{Fields: maxTrailers, Bytes: maxTrailerBytes, HardFields: hardFields})
	if derr != nil {
		return decodeError(derr)
	}
	trailer, valid := message.TrailerOf(fields)
	if over || !valid {
		return errTrailer
	}
	switch h, err := b.s.nextFrame(); {
	case err == nil: // nothing may follow
		return unexpected(h.Type)
	case err != io.EOF:
		return err
	}
	r := b.s.req
	if r.Trailer == nil {
		r.Trailer = make(http.Header, len(trailer))
	}
	maps.Copy(r.Trailer, trailer)
	return io.EOF
}

// fail notes how the body ended, and tells the peer what it has to know.
func (b *body) fail(err error) error {
	s := b.s
	c := s.c
	if e, ok := errors.AsType[*frame.Error](err); ok {
		go c.fail(e)
		b.err = err
		return err
	}
	switch {
	case err == io.EOF && b.left > 0:
		err = errLength
		fallthrough
	case err == errLength || err == errTrailer:
		c.srv.cfg.Counters.Malformed.Add(1)
		abort(s.str, frame.MessageError)
		s.ctx.Cancel(errCanceled)
	case err == io.ErrUnexpectedEOF: // RFC 9114 §7.1
		go c.fail(&frame.Error{Code: frame.FrameError, Reason: "a stream ends within a frame"})
	case errors.Is(err, os.ErrDeadlineExceeded) && err != error(errTimeout):
		return err // the handler's own: it may set another one
	}
	b.err = err
	return err
}

// Close: the handler wants no more. A reader that waits is told.
func (b *body) Close() error {
	if b.shut.Swap(true) {
		return nil
	}
	b.s.str.CancelRead(quic.StreamErrorCode(frame.NoError)) // whether or not it has ended
	return nil
}

// expected notes that the handler has sent 100 itself. A Read may be under way.
func (b *body) expected() {
	if b.mu.TryLock() { // else it has asked already
		b.expect = false
		b.mu.Unlock()
	}
}

// end is the end of the request: what still comes is not wanted.
func (b *body) end() {
	if b.s == nil {
		return
	}
	b.Close()
	b.mu.Lock() // nobody reads any more
	defer b.mu.Unlock()
}

// failed is the body's error that the answer must tell of, if it can: 0, none.
// While another goroutine of the handler still reads there is none: it ends only
// with the request.
func (b *body) failed() int {
	if !b.mu.TryLock() {
		return 0
	}
	defer b.mu.Unlock()
	switch {
	case b.s == nil || b.err == nil || b.err == io.EOF:
		return 0
	case b.err == error(errTimeout):
		return http.StatusRequestTimeout
	case isTooLarge(b.err):
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusBadRequest
	}
}

// isTooLarge is a function of its own since its variable is on the heap.
func isTooLarge(err error) bool {
	var large *http.MaxBytesError
	return errors.As(err, &large)
}
