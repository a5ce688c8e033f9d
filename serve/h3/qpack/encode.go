package qpack

import "github.com/penstock-edge/penstock/serve/h2/hpack"

// AppendPrefix begins a field section: it refers to no dynamic table (RFC 9204
// §4.5.1). Then come AppendStatus, or the pseudo-fields of a request, and
// AppendField or a Cache. All append to dst.
func AppendPrefix(dst []byte) []byte { return append(dst, 0, 0) }

// The indices of :status in the static table, in its two parts.
const (
	status103 = 24
	status100 = 63
)

// AppendStatus appends :status. Fourteen are in the static table: one octet or
// two. The others are six: their Huffman code would save one and take longer. A
// status of other than three digits is not one (RFC 9110 §15) and is sent as 500.
func AppendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0xc0|status103+1)
	case 103:
		return append(dst, 0xc0|status103)
	case 304:
		return append(dst, 0xc0|status103+2)
	case 404:
		return append(dst, 0xc0|status103+3)
	case 503:
		return append(dst, 0xc0|status103+4)
	case 100:
		return append(dst, 0xff, status100-63)
	case 204:
		return append(dst, 0xff, status100-63+1)
	case 206:
		return append(dst, 0xff, status100-63+2)
	case 302:
		return append(dst, 0xff, status100-63+3)
	case 400:
		return append(dst, 0xff, status100-63+4)
	case 403:
		return append(dst, 0xff, status100-63+5)
	case 421:
		return append(dst, 0xff, status100-63+6)
	case 425:
		return append(dst, 0xff, status100-63+7)
	}
	if status < 100 || status > 999 || status == 500 {
		return append(dst, 0xff, status100-63+8)
	}
	return append(dst, 0x5f, status103-15, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// AppendField appends a field. name may be in any letter case, as net/http writes
// it or with the colon of a pseudo-field; it is sent in lower case. The caller
// has checked both strings.
func AppendField(dst []byte, name, value string) []byte {
	number, _ := hpack.FindName(name)
	return appendField(dst, number, name, value)
}

func appendField(dst []byte, number uint8, name, value string) []byte {
	if number == 0 {
		return appendValue(appendUnknown(dst, name), value)
	}
	if i, ok := names.static(number, value); ok {
		return appendInteger(dst, 0xc0, 6, i)
	}
	return appendValue(append(dst, names.begin[number]...), value)
}

// appendUnknown appends the begin of a literal field line (RFC 9204 §4.5.6).
func appendUnknown(dst []byte, name string) []byte {
	if len(name) > maxFolded {
		dst = appendInteger(dst, 0x20, 3, len(name))
		return hpack.AppendLower(dst, name)
	}
	// RFC 9114 §4.2: names MUST be in lower case.
	var room [maxFolded]byte
	return appendName(dst, 0x20, string(hpack.AppendLower(room[:0], name)))
}

// appendName appends a name; first holds the bits before its flag of Huffman code.
func appendName(dst []byte, first byte, lower string) []byte {
	if n := hpack.HuffmanLen(lower); n < len(lower) {
		return hpack.AppendHuffman(appendInteger(dst, first|0x08, 3, n), lower)
	}
	return append(appendInteger(dst, first, 3, len(lower)), lower...)
}

// appendValue appends a string literal (RFC 9204 §4.1.2). Unlike in HPACK, where
// what repeats is in the table, Huffman code is worth its time: it is spent once
// for what is in a Cache.
func appendValue(dst []byte, value string) []byte {
	if n := hpack.HuffmanLen(value); n < len(value) {
		return hpack.AppendHuffman(appendInteger(dst, 0x80, 7, n), value)
	}
	return append(appendInteger(dst, 0, 7, len(value)), value...)
}
