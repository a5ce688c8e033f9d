package semantics

import (
	"net/textproto"
	"strings"
	"testing"
)

func TestCanonicalName(t *testing.T) {
	names := append([]string{"x", "X-Unknown-Name", "_", "a_b", "!#$%", "X--Y", "-", "Hos~", "Hosu", "H^st", strings.Repeat("long-", 20) + "name"}, knownNames[:]...)
	for _, n := range names {
		for _, form := range []string{n, strings.ToLower(n), strings.ToUpper(n), swapCase(n)} {
			if got, want := CanonicalName([]byte(form)), textproto.CanonicalMIMEHeaderKey(form); got != want {
				t.Errorf("CanonicalName(%q) = %q, want %q", form, got, want)
			}
		}
	}
}

// TestCanonicalNameOneByteOff: a name that differs from a known one in one
// byte is another name, even if only bit 5 differs ("-" and CR; "T" and "t" are
// the same). Whoever takes one for the other smuggles.
func TestCanonicalNameOneByteOff(t *testing.T) {
	for _, n := range knownNames {
		for at := range len(n) {
			b := []byte(n)
			for c := range 256 {
				if b[at] = byte(c); !IsToken(b) {
					continue
				}
				if got, want := CanonicalName(b), textproto.CanonicalMIMEHeaderKey(string(b)); got != want {
					t.Fatalf("CanonicalName(%q) = %q, want %q", b, got, want)
				}
			}
		}
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 0x20
		case 'A' <= r && r <= 'Z':
			return r + 0x20
		}
		return r
	}, s)
}

func TestKnownNames(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range knownNames {
		if n != textproto.CanonicalMIMEHeaderKey(n) || seen[n] || len(n) > maxKnownName {
			t.Errorf("%q is not canonical, known twice or too long", n)
		}
		seen[n] = true
	}
}

func TestMethod(t *testing.T) {
	for in, want := range map[string]bool{
		"GET": true, "POST": true, "HEAD": true, "PUT": true, "DELETE": true, "PATCH": true, "OPTIONS": true, "CONNECT": true,
		"TRACE": true, "PROPFIND": true, "get": true, "M-SEARCH": true, "": false, "G T": false, "GET\x00": false, "GÉT": false, "G(T": false,
	} {
		got, ok := Method([]byte(in))
		if ok != want || ok && got != in || !ok && got != "" {
			t.Errorf("Method(%q) = %q, %v", in, got, ok)
		}
	}
}
