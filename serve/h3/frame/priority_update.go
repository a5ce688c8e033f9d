package frame

// streamKind are the bits of a stream identifier that tell who opened it and
// whether it has two directions; 0 is a request's (RFC 9000 §2.1, RFC 9114 §6.1).
const streamKind = 3

// ParsePriorityUpdate returns the request stream that is prioritized, and its
// Priority field value: ASCII that nobody has checked (RFC 9218 §7.2). t is
// TypePriorityUpdate or TypePriorityPush. The error is an *Error.
func ParsePriorityUpdate(t Type, payload []byte) (streamID uint64, field []byte, err error) {
	id, n := ReadVarint(payload)
	switch {
	// RFC 9114 §7.1: an end before that of the fields MUST be H3_FRAME_ERROR.
	case n == 0:
		return 0, nil, errPrioritySize
	// RFC 9218 §7.2: for a push that was not promised MUST be H3_ID_ERROR. We
	// never promise one.
	case t == TypePriorityPush:
		return 0, nil, errPrioritizedPush
	// RFC 9218 §7.2: for what is no request stream MUST be H3_ID_ERROR.
	case id&streamKind != 0:
		return 0, nil, errPrioritizedStream
	}
	return id, payload[n:], nil
}
