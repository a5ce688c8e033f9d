package frame

import "encoding/binary"

// Priority is the deprecated signal (RFC 9113 §5.3.2) of PRIORITY, and of
// HEADERS with FlagPriority. It is checked, and has no effect.
type Priority struct {
	DependsOn uint32
	Exclusive bool
	Weight    uint8 // as sent: one less than meant
	Present   bool
}

// exclusive is the bit before DependsOn.
const exclusive = 1 << 31

// ParsePriority returns the payload of a PRIORITY frame (RFC 9113 §6.3), or
// the alike fields at the begin of p in HEADERS.
func ParsePriority(h Header, p []byte) (Priority, *Error) {
	v := binary.BigEndian.Uint32(p)
	prio := Priority{DependsOn: v & streamMask, Exclusive: v&exclusive != 0, Weight: p[4], Present: true}
	// RFC 7540 §5.3.1: MUST be a stream error. RFC 9113 deprecates the scheme
	// and no longer says so; peers that follow it do not send this.
	if prio.DependsOn == h.StreamID {
		return prio, errPrioritySelf
	}
	return prio, nil
}

// AppendPriority appends a PRIORITY frame. prio.Present is not looked at.
func AppendPriority(dst []byte, id uint32, prio Priority) []byte {
	dst = AppendHeader(dst, Header{prioritySize, id, TypePriority, 0})
	v := prio.DependsOn
	if prio.Exclusive {
		v |= exclusive
	}
	return append(binary.BigEndian.AppendUint32(dst, v), prio.Weight)
}
