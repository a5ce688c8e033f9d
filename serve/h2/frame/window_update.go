package frame

import "encoding/binary"

// ParseWindowUpdate returns by how much a window grows: that of the stream
// h.StreamID, or of the connection (RFC 9113 §6.9). It is at most MaxWindow;
// that the sum is too is for the engine.
func ParseWindowUpdate(h Header, p []byte) (increment uint32, e *Error) {
	increment = binary.BigEndian.Uint32(p) & streamMask
	switch {
	case increment != 0:
		return increment, nil
	// RFC 9113 §6.9: 0 on the connection's window MUST be a connection error.
	case h.StreamID == 0:
		return 0, errIncrementConn
	// RFC 9113 §6.9: MUST be a stream error.
	default:
		return 0, errIncrementStream
	}
}

// AppendWindowUpdate appends a WINDOW_UPDATE frame; id 0 is the connection.
// increment is at least 1 and at most MaxWindow.
func AppendWindowUpdate(dst []byte, id, increment uint32) []byte {
	dst = AppendHeader(dst, Header{windowUpdateSize, id, TypeWindowUpdate, 0})
	return binary.BigEndian.AppendUint32(dst, increment)
}
