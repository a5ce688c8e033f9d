package semantics

import (
	"encoding/binary"
	"strings"
)

const (
	tokenByte = 1 << iota // tchar, RFC 9110 §5.6.2
	valueByte             // field-vchar, SP, HTAB, RFC 9110 §5.5
)

// class tells for each byte where it may stand.
var class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] |= tokenByte
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= tokenByte
		t[c-'a'+'A'] |= tokenByte
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= tokenByte
	}
	t['\t'] |= valueByte
	for c := 0x20; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= valueByte
		}
	}
	return t
}()

// Field is one field line that is passed on. Whose bytes they are, the holder says.
type Field struct{ Name, Value []byte }

// IsTokenByte tells whether c is a tchar (RFC 9110 §5.6.2).
func IsTokenByte(c byte) bool { return class[c]&tokenByte != 0 }

// IsFieldValueByte tells whether c may stand in a field value: SP, HTAB,
// visible ASCII and obs-text (RFC 9110 §5.5).
func IsFieldValueByte(c byte) bool { return class[c]&valueByte != 0 }

// IsToken tells whether s is a token: one tchar or more.
func IsToken[T ~string | ~[]byte](s T) bool {
	for i := range len(s) {
		if class[s[i]]&tokenByte == 0 {
			return false
		}
	}
	return len(s) > 0
}

// ValidFieldValue tells whether every byte of b may stand in a field value.
// Eight bytes at a time: of a head, values are the most (BenchmarkParse).
func ValidFieldValue(b []byte) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ 0x7f*low
		// A byte below 0x20, or equal to 0x7f, sets its high bit here.
		if ((x-0x20*low)&^x|(del-low)&^del)&high != 0 {
			for _, c := range b[:8] {
				if class[c]&valueByte == 0 {
					return false
				}
			}
		}
		b = b[8:]
	}
	for _, c := range b {
		if class[c]&valueByte == 0 {
			return false
		}
	}
	return true
}

// EqualFold tells whether b is lower, a name in lower-case ASCII, in any letter case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(b) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// TrimOWS cuts optional white space, SP and HTAB, from both ends (RFC 9110 §5.6.3).
func TrimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// HasToken tells whether token is a member of a comma-separated list, in any
// letter case.
func HasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
