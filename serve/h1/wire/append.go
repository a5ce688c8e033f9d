package wire

import "github.com/penstock-edge/penstock/serve/semantics"

// LastChunk ends a chunked body; an empty line, or a trailer section and one, follows.
const LastChunk = "0\r\n"

// AppendChunkHeader appends the size line of a chunk of n bytes.
func AppendChunkHeader(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	var b [16]byte
	i := len(b)
	for {
		i--
		b[i] = digits[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	dst = append(dst, b[i:]...)
	return append(dst, '\r', '\n')
}

// AppendField appends "name: value\r\n". It is the one place where a field is
// serialised, so nothing that a handler sets can split a message (rule H1-16):
// forbidden bytes of the value become spaces, a field whose name is no token
// is left out. clean false: something had to be changed.
func AppendField[T ~string | ~[]byte](dst []byte, name, value T) (out []byte, clean bool) {
	if !semantics.IsToken(name) {
		return dst, false
	}
	dst = append(dst, name...)
	dst = append(dst, ':', ' ')
	from := len(dst)
	dst = append(dst, value...)
	clean = semantics.ValidFieldValue(dst[from:])
	if !clean {
		for i, c := range dst[from:] {
			if !semantics.IsFieldValueByte(c) {
				dst[from+i] = ' '
			}
		}
	}
	return append(dst, '\r', '\n'), clean
}
