package frame

import "encoding/binary"

// ParseRSTStream returns why the peer ends the stream (RFC 9113 §6.4).
func ParseRSTStream(p []byte) ErrCode { return ErrCode(binary.BigEndian.Uint32(p)) }

// AppendRSTStream appends a RST_STREAM frame.
func AppendRSTStream(dst []byte, id uint32, code ErrCode) []byte {
	dst = AppendHeader(dst, Header{rstStreamSize, id, TypeRSTStream, 0})
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}
