package frame

// ParseID returns the payload of a GOAWAY, MAX_PUSH_ID or CANCEL_PUSH frame,
// which is one identifier (RFC 9114 §7.2.3, §7.2.6, §7.2.7). The error is an *Error.
func ParseID(payload []byte) (id uint64, err error) {
	id, n := ReadVarint(payload)
	// RFC 9114 §7.1: additional bytes after the identified fields, or an end
	// before theirs, MUST be H3_FRAME_ERROR.
	if n == 0 || n != len(payload) {
		return 0, errIDSize
	}
	return id, nil
}

// AppendGoAway appends a GOAWAY frame. The peer may send again, on another
// connection, what it sent on streams from id on (RFC 9114 §5.2).
func AppendGoAway(dst []byte, id uint64) []byte {
	return AppendVarint(AppendHeader(dst, TypeGoAway, uint64(VarintSize(id))), id)
}
