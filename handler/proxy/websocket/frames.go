// Package websocket knows where the frames of a WebSocket end (RFC 6455 §5.2), and
// nothing of what they say: a proxy that passes them on may say goodbye between two
// of them. It may change before v1.
package websocket

import "encoding/binary"

// GoingAway is a Close frame of a server with status 1001 (RFC 6455 §5.5.1, §7.4.1).
// It is not to be written to.
var GoingAway = []byte{0x88, 0x02, 0x03, 0xe9}

// maxHeader is the longest frame header: two bytes, a length of eight, a mask.
const maxHeader = 14

// Frames follows the frames of one direction. The zero value stands before the
// first one.
type Frames struct {
	header  [maxHeader]byte
	have    int    // bytes of header, while it is not whole
	payload uint64 // bytes still to come
	last    bool   // a Close frame has begun: nothing follows it
}

// Advance takes bytes that were passed on.
func (f *Frames) Advance(b []byte) {
	for len(b) > 0 {
		if f.payload > 0 {
			n := min(f.payload, uint64(len(b)))
			f.payload -= n
			b = b[n:]
			continue
		}
		f.header[f.have] = b[0]
		f.have++
		b = b[1:]
		if f.have >= 2 && f.have == f.size() {
			f.begin()
		}
	}
}

// size is that of the header, of which two bytes are here.
func (f *Frames) size() int {
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin begins a frame whose header is whole.
func (f *Frames) begin() {
	const opClose = 0x8
	f.last = f.last || f.header[0]&0x0f == opClose
	switch n := f.header[1] & 0x7f; n {
	case 126:
		f.payload = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		f.payload = binary.BigEndian.Uint64(f.header[2:])
	default:
		f.payload = uint64(n)
	}
	f.have = 0
}

// Between tells whether a frame may be put here: none is unfinished, and no Close
// was sent. Control frames may stand between the fragments of a message (§5.4).
func (f *Frames) Between() bool { return f.have == 0 && f.payload == 0 && !f.last }
