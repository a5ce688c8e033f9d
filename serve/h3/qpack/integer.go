package qpack

// integer is what is known of one whose prefix was all ones, while its further
// octets come (RFC 7541 §5.1, with the bounds of RFC 9204 §4.1.1).
type integer struct {
	sum   uint64
	count uint8 // further octets so far
}

// add takes the next octet. more: another one follows.
func (i *integer) add(c byte) (more bool, err *Error) {
	// Nine shifts of seven leave the sum below 2^64.
	i.sum += uint64(c&0x7f) << (7 * i.count)
	i.count++
	more = c >= 0x80
	if i.sum > maxInteger || more && i.count == maxContinuation {
		return false, errInteger
	}
	return more, nil
}

// readInteger reads an integer whose prefix has the given bits from the octet at
// src[pos] on. next is where the following octet is.
func readInteger(src []byte, pos int, bits uint) (v uint64, next int, err *Error) {
	if pos >= len(src) {
		return 0, 0, errTruncated
	}
	prefix := uint64(1)<<bits - 1
	if v = uint64(src[pos]) & prefix; v < prefix {
		return v, pos + 1, nil
	}
	i := integer{sum: prefix}
	for more := true; more; {
		if pos++; pos >= len(src) {
			return 0, 0, errTruncated
		}
		if more, err = i.add(src[pos]); err != nil {
			return 0, 0, err
		}
	}
	return i.sum, pos + 1, nil
}

// appendInteger appends v with a prefix of the given bits; first holds the bits
// before the prefix.
func appendInteger(dst []byte, first byte, bits uint, v int) []byte {
	prefix := 1<<bits - 1
	if v < prefix {
		return append(dst, first|byte(v))
	}
	dst = append(dst, first|byte(prefix))
	for v -= prefix; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}
