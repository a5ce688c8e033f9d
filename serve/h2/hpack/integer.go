package hpack

import "math"

// maxContinuation octets of an integer carry 35 bits: enough for the largest
// value we take. More could only be leading zeros, which serve nobody but an
// attacker (RFC 7541 §5.1, §7.4: "implementations MUST set limits").
const maxContinuation = 5

// readInteger reads an integer whose prefix has the given bits from the octet
// at src[pos] on (RFC 7541 §5.1). next is where the following octet is.
func readInteger(src []byte, pos int, bits uint) (v uint32, next int, err *Error) {
	if pos >= len(src) {
		return 0, 0, errTruncated
	}
	prefix := uint32(1)<<bits - 1
	if v = uint32(src[pos]) & prefix; v < prefix {
		return v, pos + 1, nil
	}
	sum := uint64(prefix)
	for i := range maxContinuation {
		if pos++; pos >= len(src) {
			return 0, 0, errTruncated
		}
		c := src[pos]
		sum += uint64(c&0x7f) << (7 * uint(i))
		if c < 0x80 {
			if sum > math.MaxUint32 {
				return 0, 0, errInteger
			}
			return uint32(sum), pos + 1, nil
		}
	}
	return 0, 0, errInteger
}

// appendInteger appends v with a prefix of the given bits; first holds the bits
// before the prefix.
func appendInteger(dst []byte, first byte, bits uint, v uint32) []byte {
	prefix := uint32(1)<<bits - 1
	if v < prefix {
		return append(dst, first|byte(v))
	}
	dst = append(dst, first|byte(prefix))
	for v -= prefix; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}
