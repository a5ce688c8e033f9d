package frame

import "encoding/binary"

// ParsePriorityUpdate returns the stream that is prioritized, and its Priority
// field value: ASCII that nobody has checked (RFC 9218 §7.1).
func ParsePriorityUpdate(p []byte) (streamID uint32, field []byte, e *Error) {
	streamID, field = binary.BigEndian.Uint32(p)&streamMask, p[priorityUpdateSize:]
	switch {
	// RFC 9218 §7.1: MUST be a connection error.
	case streamID == 0:
		return 0, nil, errPrioritizedZero
	// RFC 9218 §7.1: for a push stream in the idle state, MUST be a connection
	// error. We never push, so all even streams are idle for ever.
	case streamID&1 == 0:
		return 0, nil, errPrioritizedPush
	}
	return streamID, field, nil
}

// AppendPriorityUpdate appends a PRIORITY_UPDATE frame for the stream id.
func AppendPriorityUpdate(dst []byte, id uint32, field string) []byte {
	dst = AppendHeader(dst, Header{Length: uint32(priorityUpdateSize + len(field)), Type: TypePriorityUpdate})
	return append(binary.BigEndian.AppendUint32(dst, id), field...)
}
