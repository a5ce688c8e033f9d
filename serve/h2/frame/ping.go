package frame

// ParsePing returns the opaque data of a PING frame, which the answer repeats
// (RFC 9113 §6.7).
func ParsePing(p []byte) [8]byte { return [pingSize]byte(p) }

// AppendPing appends a PING frame; f is FlagAck in an answer, else 0.
func AppendPing(dst []byte, f Flags, data [8]byte) []byte {
	dst = AppendHeader(dst, Header{Length: pingSize, Type: TypePing, Flags: f})
	return append(dst, data[:]...)
}
