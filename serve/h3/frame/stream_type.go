package frame

// StreamType is what a unidirectional stream begins with, as a variable-length
// integer (RFC 9114 §6.2). Unknown ones, among them 0x1f*N+0x21, MUST NOT be
// errors: such a stream is aborted or its bytes are dropped (§6.2, §9).
type StreamType uint64

// The stream types of RFC 9114 §6.2 and RFC 9204 §4.2.
const (
	StreamControl      StreamType = 0x0
	StreamPush         StreamType = 0x1
	StreamQPACKEncoder StreamType = 0x2
	StreamQPACKDecoder StreamType = 0x3
)

// String gives the RFC's name, or the number of an unknown type.
func (t StreamType) String() string {
	switch t {
	case StreamControl:
		return "control stream"
	case StreamPush:
		return "push stream"
	case StreamQPACKEncoder:
		return "QPACK encoder stream"
	case StreamQPACKDecoder:
		return "QPACK decoder stream"
	default:
		return number(uint64(t))
	}
}
