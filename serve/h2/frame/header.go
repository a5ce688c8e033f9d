package frame

import (
	"encoding/binary"
	"strconv"
)

const (
	// Preface is what a client sends first (RFC 9113 §3.4).
	Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// HeaderSize is that of the header before each payload (RFC 9113 §4.1).
	HeaderSize = 9
	// DefaultMaxSize is the largest payload that Check lets pass: the initial
	// SETTINGS_MAX_FRAME_SIZE (RFC 9113 §6.5.2), which we never raise.
	DefaultMaxSize = 16384
	// MaxWindow is the largest flow-control window (RFC 9113 §6.9.1).
	MaxWindow = 1<<31 - 1

	// streamMask drops the bit before each 31-bit number. It is reserved, and a
	// receiver MUST ignore it (RFC 9113 §4.1).
	streamMask = 1<<31 - 1
)

// Type is what a frame is (RFC 9113 §6).
type Type uint8

// The registered types that we know. All others are ignored (RFC 9113 §5.5).
const (
	TypeData           Type = 0x0
	TypeHeaders        Type = 0x1
	TypePriority       Type = 0x2
	TypeRSTStream      Type = 0x3
	TypeSettings       Type = 0x4
	TypePushPromise    Type = 0x5
	TypePing           Type = 0x6
	TypeGoAway         Type = 0x7
	TypeWindowUpdate   Type = 0x8
	TypeContinuation   Type = 0x9
	TypePriorityUpdate Type = 0x10 // RFC 9218 §7.1
)

// String gives the RFC's name, or the number of an unknown type.
func (t Type) String() string {
	switch t {
	case TypeData:
		return "DATA"
	case TypeHeaders:
		return "HEADERS"
	case TypePriority:
		return "PRIORITY"
	case TypeRSTStream:
		return "RST_STREAM"
	case TypeSettings:
		return "SETTINGS"
	case TypePushPromise:
		return "PUSH_PROMISE"
	case TypePing:
		return "PING"
	case TypeGoAway:
		return "GOAWAY"
	case TypeWindowUpdate:
		return "WINDOW_UPDATE"
	case TypeContinuation:
		return "CONTINUATION"
	case TypePriorityUpdate:
		return "PRIORITY_UPDATE"
	default:
		return number(uint32(t))
	}
}

// number is how a value without a name is shown.
func number(v uint32) string { return "0x" + strconv.FormatUint(uint64(v), 16) }

// Flags are those of a frame. What a bit means depends on the type; one that
// means nothing MUST be ignored (RFC 9113 §4.1).
type Flags uint8

// The flags of all types.
const (
	FlagEndStream  Flags = 0x1 // DATA, HEADERS
	FlagAck        Flags = 0x1 // SETTINGS, PING
	FlagEndHeaders Flags = 0x4 // HEADERS, CONTINUATION
	FlagPadded     Flags = 0x8 // DATA, HEADERS
	FlagPriority   Flags = 0x20
)

// Header is a frame without its payload (RFC 9113 §4.1).
type Header struct {
	Length   uint32 // of the payload; 24 bits
	StreamID uint32 // 31 bits; 0: the frame is about the connection
	Type     Type
	Flags    Flags
}

// ParseHeader reads a header from the first HeaderSize bytes of b.
func ParseHeader(b []byte) Header {
	_ = b[HeaderSize-1]
	lengthType := binary.BigEndian.Uint32(b)
	return Header{
		Length:   lengthType >> 8,
		StreamID: binary.BigEndian.Uint32(b[5:]) & streamMask,
		Type:     Type(lengthType),
		Flags:    Flags(b[4]),
	}
}

// PutHeader writes h into the first HeaderSize bytes of b, for a header that
// is known only after its payload. The reserved bit of h.StreamID must be 0.
func PutHeader(b []byte, h Header) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint32(b, h.Length<<8|uint32(h.Type))
	b[4] = byte(h.Flags)
	binary.BigEndian.PutUint32(b[5:], h.StreamID)
}

// AppendHeader appends h; a payload of h.Length bytes has to follow.
func AppendHeader(dst []byte, h Header) []byte {
	return append(dst,
		byte(h.Length>>16), byte(h.Length>>8), byte(h.Length), byte(h.Type), byte(h.Flags),
		byte(h.StreamID>>24), byte(h.StreamID>>16), byte(h.StreamID>>8), byte(h.StreamID))
}
