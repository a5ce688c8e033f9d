package frame

import "encoding/binary"

// ParseGoAway returns the payload of a GOAWAY frame (RFC 9113 §6.8). debug may
// be anything, without bound but that of the frame: quote it when logged.
func ParseGoAway(p []byte) (lastStreamID uint32, code ErrCode, debug []byte) {
	return binary.BigEndian.Uint32(p) & streamMask, ErrCode(binary.BigEndian.Uint32(p[4:])), p[goAwaySize:]
}

// AppendGoAway appends a GOAWAY frame. The peer may send again, on another
// connection, what it sent on streams above last.
func AppendGoAway(dst []byte, last uint32, code ErrCode, debug string) []byte {
	dst = AppendHeader(dst, Header{Length: uint32(goAwaySize + len(debug)), Type: TypeGoAway})
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debug...)
}
