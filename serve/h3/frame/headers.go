package frame

import (
	"encoding/binary"
	"slices"
)

const (
	// headersRoom is what BeginHeaders appends: the type, and a length of two bytes.
	headersRoom = 3
	// maxShort is the largest length of two bytes (RFC 9000 §16).
	maxShort = 1<<14 - 1
)

// BeginHeaders appends room for the header of a HEADERS frame. The field section
// is encoded behind it, then FinishHeaders makes a frame of both:
//
//	at := len(dst)
//	dst = frame.BeginHeaders(dst)
//	dst = … // append the field section
//	dst = frame.FinishHeaders(dst, at)
func BeginHeaders(dst []byte) []byte { return append(dst, byte(TypeHeaders), 0x40, 0) }

// FinishHeaders makes a HEADERS frame of the field section that follows the room
// at dst[at:]; nothing else may follow it. A section above 16383 bytes moves by two.
func FinishHeaders(dst []byte, at int) []byte {
	n := len(dst) - at - headersRoom
	// RFC 9000 §16: an integer may have more bytes than it needs, so two will do
	// for nearly all sections, and none moves for the sake of one.
	if n <= maxShort {
		binary.BigEndian.PutUint16(dst[at+1:], uint16(n)|0x4000)
		return dst
	}
	dst = slices.Insert(dst, at+headersRoom, 0, 0)
	binary.BigEndian.PutUint32(dst[at+1:], uint32(n)|0x8000_0000)
	return dst
}
