package h3

import (
	"errors"
	"io"
	"os"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// source is the receiving half of a stream.
type source interface{ Read(p []byte) (int, error) }

// input reads frames from a stream, through a lent buffer that it holds while
// there is something in it. One goroutine at a time.
type input struct {
	str source
	buf *bufpool.Buffer // nil: nothing is buffered
	off int             // of what is unread in buf
	err error           // of the stream; io.EOF: its clean end
}

// buffered is what was read from the stream and not yet taken.
func (r *input) buffered() []byte {
	if r.buf == nil {
		return nil
	}
	return r.buf.B[r.off:]
}

// fill reads more behind what is buffered, and waits for it. The error is the
// stream's, and comes alone.
func (r *input) fill() error {
	if r.err != nil {
		return r.err
	}
	r.makeRoom(1)
	b := r.buf.B
	n, err := r.str.Read(b[len(b):cap(b)])
	r.buf.B = b[:len(b)+n]
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.err = err
	}
	if n > 0 {
		return nil
	}
	return err
}

// await waits until something is buffered, and holds no buffer while it waits: a
// critical stream is silent for nearly all of its life.
func (r *input) await() error {
	if len(r.buffered()) > 0 {
		return nil
	}
	r.release()
	if r.err != nil {
		return r.err
	}
	few := make([]byte, 16)
	n, err := r.str.Read(few)
	if n > 0 {
		r.makeRoom(n)
		r.buf.B = append(r.buf.B, few[:n]...)
	}
	if r.err = err; n > 0 {
		return nil
	}
	return err
}

// makeRoom makes room for n more bytes behind what is buffered.
func (r *input) makeRoom(n int) {
	if r.buf != nil && r.off == len(r.buf.B) {
		r.buf.B, r.off = r.buf.B[:0], 0
	}
	switch {
	case r.buf == nil:
		r.buf = bufpool.Get(max(n, headBuffer))
		r.off = 0
	case cap(r.buf.B)-len(r.buf.B) >= n:
	case r.off > 0 && cap(r.buf.B)-len(r.buf.B)+r.off >= n:
		r.buf.B = r.buf.B[:copy(r.buf.B, r.buf.B[r.off:])]
		r.off = 0
	default:
		have := r.buffered()
		larger := bufpool.Get(len(have) + max(n, len(have)))
		larger.B = append(larger.B, have...)
		r.buf.Release()
		r.buf, r.off = larger, 0
	}
}

// ended tells whether the stream has cleanly ended and all of it was taken.
func (r *input) ended() bool { return r.err == io.EOF && len(r.buffered()) == 0 }

// release gives the buffer back.
func (r *input) release() {
	if r.buf != nil {
		r.buf.Release()
		r.buf, r.off = nil, 0
	}
}

// header takes the header of the next frame. io.EOF: the stream ends between
// frames; io.ErrUnexpectedEOF: within one.
func (r *input) header() (frame.Header, error) {
	for {
		h, n := frame.ReadHeader(r.buffered())
		if n > 0 {
			r.off += n
			return h, nil
		}
		if err := r.fill(); err != nil {
			return frame.Header{}, r.cut(err, len(r.buffered()) > 0)
		}
	}
}

// varint takes one integer.
func (r *input) varint() (uint64, error) {
	for {
		v, n := frame.ReadVarint(r.buffered())
		if n > 0 {
			r.off += n
			return v, nil
		}
		if err := r.fill(); err != nil {
			return 0, r.cut(err, true)
		}
	}
}

// take takes the n bytes of a payload. They are valid until the next call.
func (r *input) take(n int) ([]byte, error) {
	for len(r.buffered()) < n { // the room grows with what comes: n is the peer's word
		if err := r.fill(); err != nil {
			return nil, r.cut(err, true)
		}
	}
	if n == 0 {
		return nil, nil
	}
	b := r.buf.B[r.off : r.off+n]
	r.off += n
	return b, nil
}

// skip throws n bytes away.
func (r *input) skip(n uint64) error {
	for n > 0 {
		if k := uint64(len(r.buffered())); k > 0 {
			k = min(k, n)
			r.off += int(k)
			n -= k
			continue
		}
		if err := r.fill(); err != nil {
			return r.cut(err, true)
		}
	}
	return nil
}

// cut is the error of a stream that ends within something.
func (r *input) cut(err error, within bool) error {
	if within && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
