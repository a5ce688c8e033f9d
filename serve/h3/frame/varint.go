package frame

import "encoding/binary"

const (
	// MaxVarint is the largest variable-length integer (RFC 9000 §16).
	MaxVarint = 1<<62 - 1
	// MaxVarintSize is how many bytes it takes.
	MaxVarintSize = 8
)

// ReadVarint reads the variable-length integer that begins src (RFC 9000 §16),
// and tells how many bytes it has. n 0: src ends before it does. An integer may
// have more bytes than it needs.
func ReadVarint(src []byte) (v uint64, n int) {
	if len(src) == 0 {
		return 0, 0
	}
	// Most are of one byte: types, and lengths of what is small.
	if src[0] < 0x40 {
		return uint64(src[0]), 1
	}
	n = 1 << (src[0] >> 6)
	if len(src) < n {
		return 0, 0
	}
	switch n {
	case 2:
		return uint64(binary.BigEndian.Uint16(src)) & 0x3fff, n
	case 4:
		return uint64(binary.BigEndian.Uint32(src)) & 0x3fff_ffff, n
	default:
		return binary.BigEndian.Uint64(src) & MaxVarint, n
	}
}

// AppendVarint appends v, at most MaxVarint, in as few bytes as it takes.
func AppendVarint(dst []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(dst, byte(v))
	case v < 1<<14:
		return append(dst, byte(v>>8)|0x40, byte(v))
	case v < 1<<30:
		return binary.BigEndian.AppendUint32(dst, uint32(v)|0x8000_0000)
	case v <= MaxVarint:
		return binary.BigEndian.AppendUint64(dst, v|0xc000_0000_0000_0000)
	default:
		panic("BUG: frame: integer above 2^62-1")
	}
}

// VarintSize is how many bytes AppendVarint appends.
func VarintSize(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	default:
		return MaxVarintSize
	}
}
