package semantics

import (
	"bytes"
	"strings"
	"testing"
)

// TestByteClasses names each class by the RFC's own words, not by the table's.
func TestByteClasses(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		// RFC 9110 §5.6.2.
		if got, want := IsTokenByte(c), alnum || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0; got != want {
			t.Errorf("IsTokenByte(%#x) = %v", c, got)
		}
		// RFC 9110 §5.5: VCHAR, obs-text, and SP and HTAB between them.
		if got, want := IsFieldValueByte(c), 0x21 <= c && c <= 0x7e || c >= 0x80 || c == ' ' || c == '\t'; got != want {
			t.Errorf("IsFieldValueByte(%#x) = %v", c, got)
		}
	}
}

func TestIsToken(t *testing.T) {
	for in, want := range map[string]bool{"": false, "a": true, "X-Y_z!": true, "a b": false, "a:": false, "\xe9": false, "a\x00": false} {
		if got := IsToken(in); got != want {
			t.Errorf("IsToken(%q) = %v", in, got)
		}
		if got := IsToken([]byte(in)); got != want {
			t.Errorf("IsToken([]byte(%q)) = %v", in, got)
		}
	}
}

// TestValidFieldValue puts every byte at every place of words of every length
// around eight, beside neighbours that could carry into it.
func TestValidFieldValue(t *testing.T) {
	for _, neighbour := range []byte{' ', '~', '\t', 0x80, 0xff, 'a'} {
		for length := 1; length <= 20; length++ {
			for at := range length {
				for i := range 256 {
					b := bytes.Repeat([]byte{neighbour}, length)
					b[at] = byte(i)
					if got := ValidFieldValue(b); got != IsFieldValueByte(byte(i)) {
						t.Fatalf("ValidFieldValue(%q) = %v", b, got)
					}
				}
			}
		}
	}
	if !ValidFieldValue(nil) {
		t.Error("an empty value is valid")
	}
}

func TestEqualFold(t *testing.T) {
	for _, c := range []struct {
		a, lower string
		want     bool
	}{
		{"close", "close", true},
		{"CLOSE", "close", true},
		{"cLoSe", "close", true},
		{"", "", true},
		{"closed", "close", false},
		{"clos", "close", false},
		{"C\x0cOSE", "close", false},
		{"\u212aeep-alive", "keep-alive", false}, // Kelvin sign: Unicode folding takes it for a k
		{"keep\ralive", "keep-alive", false},     // CR is "-" but for bit 5
		{"@", "`", false},                        // differ in bit 5 only, no letters
		{"[", "{", false},
	} {
		if got := EqualFold([]byte(c.a), c.lower); got != c.want {
			t.Errorf("EqualFold(%q, %q) = %v", c.a, c.lower, got)
		}
	}
}

func TestTrimOWS(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " \t ": "", "a": "a", " a": "a", "a\t": "a", "\t a \t b \t": "a \t b",
		"\va": "\va", "\fa\r": "\fa\r", "\xa0a\xa0": "\xa0a\xa0", "\x00a": "\x00a", "\n": "\n",
	} {
		if got := string(TrimOWS([]byte(in))); got != want {
			t.Errorf("TrimOWS(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHasToken(t *testing.T) {
	for list, want := range map[string]bool{
		"close": true, "Close": true, "keep-alive, close": true, "\tCLOSE ,x": true, ",,close": true,
		"": false, "closed": false, "close;x": false, "x close": false, "c,lose": false,
	} {
		if got := HasToken(list, "close"); got != want {
			t.Errorf("HasToken(%q) = %v, want %v", list, got, want)
		}
	}
}
