package frame

import "strconv"

// Type is what a frame is (RFC 9114 §7.2).
type Type uint64

// The registered types that we know. All others, among them 0x1f*N+0x21, which
// are sent so that nobody forgets it, MUST be ignored (RFC 9114 §7.2.8, §9).
const (
	TypeData           Type = 0x0
	TypeHeaders        Type = 0x1
	TypeCancelPush     Type = 0x3
	TypeSettings       Type = 0x4
	TypePushPromise    Type = 0x5
	TypeGoAway         Type = 0x7
	TypeMaxPushID      Type = 0xd
	TypePriorityUpdate Type = 0xf0700 // RFC 9218 §7.2, for a request
	TypePriorityPush   Type = 0xf0701 // RFC 9218 §7.2, for a push
)

// The types of HTTP/2 that have no meaning here: PRIORITY, PING, WINDOW_UPDATE
// and CONTINUATION.
const (
	typeH2Priority     Type = 0x2
	typeH2Ping         Type = 0x6
	typeH2WindowUpdate Type = 0x8
	typeH2Continuation Type = 0x9
)

// Reserved tells whether t is a type of HTTP/2 that HTTP/3 has not: its receipt
// MUST be a connection error H3_FRAME_UNEXPECTED (RFC 9114 §7.2.8).
func (t Type) Reserved() bool {
	switch t {
	case typeH2Priority, typeH2Ping, typeH2WindowUpdate, typeH2Continuation:
		return true
	default:
		return false
	}
}

// String gives the RFC's name, or the number of a type without one.
func (t Type) String() string {
	switch t {
	case TypeData:
		return "DATA"
	case TypeHeaders:
		return "HEADERS"
	case TypeCancelPush:
		return "CANCEL_PUSH"
	case TypeSettings:
		return "SETTINGS"
	case TypePushPromise:
		return "PUSH_PROMISE"
	case TypeGoAway:
		return "GOAWAY"
	case TypeMaxPushID:
		return "MAX_PUSH_ID"
	case TypePriorityUpdate, TypePriorityPush:
		return "PRIORITY_UPDATE"
	default:
		return number(uint64(t))
	}
}

// number is how a value without a name is shown.
func number(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

// Header is a frame without its payload (RFC 9114 §7.1).
type Header struct {
	Type   Type
	Length uint64 // of the payload; up to MaxVarint
}

// ReadHeader reads the header that begins src, and tells how many bytes it has.
// n 0: src ends before it does.
func ReadHeader(src []byte) (h Header, n int) {
	t, n := ReadVarint(src)
	if n == 0 {
		return Header{}, 0
	}
	length, m := ReadVarint(src[n:])
	if m == 0 {
		return Header{}, 0
	}
	return Header{Type(t), length}, n + m
}

// AppendHeader appends a header; a payload of the given length has to follow.
func AppendHeader(dst []byte, t Type, length uint64) []byte {
	return AppendVarint(AppendVarint(dst, uint64(t)), length)
}
