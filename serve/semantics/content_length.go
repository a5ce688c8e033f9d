package semantics

// maxDeclared is the longest Content-Length of a handler that is believed, in
// digits: none of them can overflow.
const maxDeclared = 18

// ParseLength reads a peer's Content-Length: 1*DIGIT, at most 2^63-1
// (RFC 9110 §8.6, rule H1-2).
func ParseLength[T ~string | ~[]byte](s T) (n int64, ok bool) {
	var u uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if s[i] < '0' || s[i] > '9' || u > (1<<63-1-d)/10 {
			return 0, false
		}
		u = u*10 + d
	}
	return int64(u), len(s) > 0
}

// DeclaredLength reads a handler's own Content-Length; -1: it is not one.
func DeclaredLength(values []string) int64 {
	if len(values) != 1 || len(values[0]) > maxDeclared {
		return -1
	}
	if n, ok := ParseLength(values[0]); ok {
		return n
	}
	return -1
}
