package bench

import (
	"bytes"
	"errors"

	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// clientH1 is HTTP/1.1 (RFC 9112) with one request at a time.
type clientH1 struct {
	c    *conn
	head wire.ResponseHead
	lim  wire.Limits

	// The last head, and what it says: that of the next answer is mostly equal, byte
	// for byte, and need not be parsed (TestGeneratorCost).
	last    []byte
	summary summaryH1

	state   stateH1
	left    int64 // of the body
	chunked wire.Chunked
	body    int64
	close   bool // behind this answer
	used    bool // a request was sent
}

var serverField = []byte("server")

type summaryH1 struct {
	status  int
	framing wire.Framing
	length  int64
	close   bool
}

type stateH1 uint8

const (
	inHead stateH1 = iota
	inLength
	inChunks
	inRest // up to the end of the connection
)

func newClientH1(c *conn) *clientH1 {
	h := &clientH1{c: c}
	h.lim = wire.Limits{Fields: 1000, FieldBytes: 256 << 10}.WithDefaults()
	return h
}

func (h *clientH1) room() int {
	if h.c.inFlight > 0 || h.over() {
		return 0
	}
	return 1
}

func (h *clientH1) over() bool { return h.close || h.used && h.c.w.plan.single() }

func (h *clientH1) begin(_ *exchange, t *target) {
	h.used, h.state, h.body = true, inHead, 0
	h.head.Reset(h.c.w.plan.Method)
	h.c.write(t.h1)
}

func (h *clientH1) exchange() *exchange {
	if h.c.inFlight == 0 {
		return nil
	}
	return &h.c.slots[0]
}

// input: see client.
func (h *clientH1) input(b []byte) (used int, f *failure) {
	for used < len(b) {
		x := h.exchange()
		if x == nil {
			// Nobody has asked for it, so nobody fails by it; but what comes next could be
			// taken for an answer.
			h.close = true
			h.c.w.stats.note(ErrorProtocol, "bytes behind a whole answer")
			return len(b), nil
		}
		n, done, f := h.step(x, b[used:])
		used += n
		switch {
		case f != nil:
			return used, f
		case done:
			h.finish(x)
		case n == 0:
			return used, nil
		}
	}
	return used, nil
}

// step takes the next part of an answer.
func (h *clientH1) step(x *exchange, b []byte) (n int, done bool, f *failure) {
	switch h.state {
	case inHead:
		return h.readHead(x, b)
	case inLength:
		n = int(min(h.left, int64(len(b))))
		h.content(x, b[:n])
		h.left -= int64(n)
		return n, h.left == 0, nil
	case inChunks:
		piece, n, done, err := h.chunked.Piece(b)
		h.content(x, piece)
		if err != nil {
			f = &failure{ErrorProtocol, err}
		}
		return n, done, f
	default:
		h.content(x, b)
		return len(b), false, nil
	}
}

func (h *clientH1) content(x *exchange, b []byte) {
	h.body += int64(len(b))
	if h.c.w.plan.KeepBody {
		x.body = append(x.body, b...)
	}
}

func (h *clientH1) readHead(x *exchange, b []byte) (n int, done bool, f *failure) {
	if k := len(h.last); k > 0 && len(b) >= k && bytes.Equal(b[:k], h.last) {
		return h.begun(x, k)
	}
	n, err := h.head.Parse(b, &h.lim)
	switch {
	case err != nil:
		return 0, false, &failure{ErrorProtocol, err}
	case n == 0:
		return 0, false, nil
	case h.head.Status < 200 && h.head.Status != 101:
		h.head.Reset(h.c.w.plan.Method) // informational: the answer follows
		return n, false, nil
	case h.head.Framing == wire.FramingTunnel:
		return 0, false, failed(ErrorProtocol, "the server has switched protocols")
	}
	if len(h.last) == 0 {
		for i := range h.head.Len() {
			if bytes.EqualFold(h.head.Name(i), serverField) {
				h.c.w.named(string(h.head.Value(i)))
			}
		}
	}
	h.summary = summaryH1{h.head.Status, h.head.Framing, h.head.ContentLength, h.head.Close}
	h.last = append(h.last[:0], b[:n]...)
	return h.begun(x, n)
}

// begun goes on behind a head of n bytes.
func (h *clientH1) begun(x *exchange, n int) (int, bool, *failure) {
	s := &h.summary
	h.c.w.headed(x, s.status)
	h.close = h.close || s.close
	switch s.framing {
	case wire.FramingLength:
		h.state, h.left = inLength, s.length
		return n, s.length == 0, nil
	case wire.FramingChunked:
		h.state = inChunks
		h.chunked.Reset(&h.lim)
		return n, false, nil
	case wire.FramingClose:
		h.state = inRest
		return n, false, nil
	default: // none; tunnels were refused
		return n, true, nil
	}
}

func (h *clientH1) finish(x *exchange) {
	h.state = inHead
	h.c.w.done(h.c, x, h.body)
}

// ended: see client.
func (h *clientH1) ended() *failure {
	x := h.exchange()
	switch {
	case x == nil:
		return nil
	case h.state == inRest:
		h.finish(x)
		return nil
	case h.state == inLength:
		return failed(ErrorLength, "the connection ended before the content was complete")
	case h.state == inHead && h.c.answers > 0 && len(h.c.in) == 0:
		return &failure{ErrorClosed, errors.New("the server has ended a kept connection instead of answering")}
	}
	return failed(ErrorClosed, "the connection ended before the answer was complete")
}

// cancel: a request ends with its connection alone.
func (h *clientH1) cancel(*exchange) bool { return false }
