package h1

import (
	"io"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// next gives the next piece of the answer's body.
func (x *exchange) next() ([]byte, error) {
	if piece := x.pending; piece != nil {
		x.pending = nil
		return piece, nil
	}
	for x.err == nil {
		if piece := x.take(); len(piece) > 0 {
			return piece, nil
		}
		if x.err == nil {
			x.bound()
			x.fill(waits)
		}
	}
	return nil, x.err
}

// ready tells whether next would not wait.
func (x *exchange) ready() bool {
	for x.pending == nil && x.err == nil {
		if x.pending = x.take(); x.pending != nil {
			break
		}
		if x.err == nil && !x.fill(neverWaits) {
			return false
		}
	}
	return true
}

// take gives what is buffered of the body, in place. nil: there is nothing, or
// x.err says what is wrong.
func (x *exchange) take() (piece []byte) {
	src := x.in.B[x.off:]
	if len(src) == 0 {
		return nil
	}
	switch x.head.Framing {
	case wire.FramingChunked:
		return x.takeChunks(src)
	case wire.FramingLength:
		n := int(min(int64(len(src)), x.left))
		x.off += n
		if x.left -= int64(n); x.left == 0 {
			x.complete()
		}
		return src[:n:n]
	default: // FramingClose; where there is no body, nobody comes here
		x.off = len(x.in.B)
		return src
	}
}

// takeChunks decodes in place. Data that makes up most of what is here stays where
// it is; many small chunks are moved together, so that they are passed on in one
// piece (BenchmarkExchange/chunks).
func (x *exchange) takeChunks(src []byte) (piece []byte) {
	piece, n, done, err := x.chunks.Piece(src)
	if err == nil && !done && n < len(src) && len(piece) < len(src)/2 {
		var nd, ns int
		nd, ns, done, err = x.chunks.Decode(src[n:], src[n:])
		piece = src[n-len(piece) : n+nd : n+nd]
		n += ns
	}
	x.off += n
	switch {
	case err != nil:
		x.err = &message.Error{Kind: message.Malformed, Err: err}
	case done:
		x.complete()
	}
	if len(piece) == 0 {
		return nil
	}
	return piece
}

// complete ends the body. Bytes behind it belong to nobody (U-3).
func (x *exchange) complete() {
	x.err = io.EOF
	if x.off < len(x.in.B) {
		x.dirty = true
	}
}

// bound sets the deadline of the next wait.
func (x *exchange) bound() {
	switch idle := x.req.IdleTimeout; {
	case idle > 0:
		x.bounded = true
		x.now = time.Now()
		x.conn.link.SetReadDeadline(x.now.Add(idle))
	case x.bounded || x.pump != nil: // it may have set one for the head
		x.bounded = false
		x.conn.link.SetReadDeadline(time.Time{})
	}
}

// Ways to fill.
const (
	waits      = true
	neverWaits = false
)

// fill reads more of the body, all that was buffered having been taken. False:
// nothing is here now. Failures are in x.err.
func (x *exchange) fill(wait bool) bool {
	if full := len(x.in.B) == cap(x.in.B); cap(x.in.B) < bodyBytes && (full || x.left > int64(cap(x.in.B))) {
		x.in.Release()
		x.in = bufpool.Get(bodyBytes)
	}
	x.off = 0
	read := x.in.B[:cap(x.in.B)]
	var n int
	var err error
	if wait {
		n, err = x.conn.link.Read(read)
	} else {
		n, err = x.conn.link.TryRead(read)
	}
	x.in.B = x.in.B[:n]
	switch {
	case n > 0 || err == nil:
	case err == link.ErrWouldBlock:
		return false
	case err == io.EOF && x.head.Framing == wire.FramingClose:
		x.complete()
	default:
		x.err = x.broken(err)
	}
	return true
}

// trailers are the fields behind a chunked body; they lie in the decoder.
func (x *exchange) trailers() []message.Field {
	x.trailer = x.trailer[:0]
	if x.head.Framing == wire.FramingChunked && x.err == io.EOF {
		x.chunks.Trailer(func(name, value []byte) {
			x.trailer = append(x.trailer, message.Field{Name: name, Value: value})
		})
	}
	return x.trailer
}
