package semantics

import (
	"errors"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	label := strings.Repeat("a", 60) + "."
	name253 := strings.Repeat(label, 4) + strings.Repeat("b", 9)
	for _, c := range []struct{ name, in, want string }{
		{"name", "example.com", "example.com"},
		{"letters lowered", "EXAMPLE.Com", "example.com"},
		{"trailing dot stripped", "example.com.", "example.com"},
		{"trailing dot before the port", "Example.com.:8080", "example.com:8080"},
		{"one letter", "a", "a"},
		{"hyphen and underscore anywhere", "_a-.b_-c", "_a-.b_-c"},
		{"punycode", "xn--nxasmq6b.example", "xn--nxasmq6b.example"},
		{"253 bytes", name253, name253},
		{"253 bytes and a dot", name253 + ".", name253},
		{"253 bytes and a port", name253 + ":65535", name253 + ":65535"},
		{"IPv4", "192.0.2.1:80", "192.0.2.1:80"},
		{"IPv6", "[2001:DB8::1]", "[2001:db8::1]"},
		{"IPv6 with port", "[::1]:443", "[::1]:443"},
		{"IPv6 with IPv4 end", "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"},
		{"IPv6 in full", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]"},
		{"empty port (RFC 3986 §3.2.3)", "a:", "a:"},
		{"port 0", "a:0", "a:0"},
		{"port with zeros, as sent", "a:0080", "a:0080"},
		{"highest port", "a:65535", "a:65535"},
	} {
		t.Run("valid/"+c.name, func(t *testing.T) {
			got, err := ParseHost([]byte(c.in))
			if got != c.want || err != nil {
				t.Fatalf("ParseHost(%q) = %q, %v, want %q", c.in, got, err, c.want)
			}
			// What is stored must find itself again.
			if again, err := ParseHost([]byte(got)); again != got || err != nil {
				t.Errorf("ParseHost(%q) = %q, %v: not idempotent", got, again, err)
			}
		})
	}
	for _, c := range []struct{ name, in string }{
		{"empty", ""},
		{"dot", "."},
		{"dots", ".."},
		{"two trailing dots", "a.."},
		{"empty label first", ".a"},
		{"empty label inside", "a..b"},
		{"254 bytes", name253 + "b"},
		{"port only", ":80"},
		{"port above", "a:65536"},
		{"port far above", "a:99999999999999999999"},
		{"port signed", "a:+80"},
		{"port with letter", "a:80x"},
		{"two ports", "a:80:80"},
		{"space", "a b"},
		{"leading space", " a"},
		{"comma", "a,b"},
		{"userinfo", "u@a"},
		{"path", "a/b"},
		{"backslash", `a\b`},
		{"query", "a?b"},
		{"fragment", "a#b"},
		{"percent-encoding", "a%2eb"},
		{"sub-delims", "a!b"},
		{"eight bits", "\xc3\xa9.example"},
		{"full-width dot", "a\uff0eb"},
		{"NUL", "a\x00"},
		{"DEL", "a\x7f"},
		{"bare IPv6", "::1"},
		{"IPv6 not closed", "[::1"},
		{"IPv6 not opened", "::1]"},
		{"IPv6 with bytes behind it", "[::1]a"},
		{"IPv6 with dot behind it", "[::1]."},
		{"IPv6 with zone", "[fe80::1%eth0]"},
		{"IPv6 with encoded zone", "[fe80::1%25eth0]"},
		{"IPv4 in brackets", "[192.0.2.1]"},
		{"name in brackets", "[a]"},
		{"empty brackets", "[]"},
		{"IPvFuture", "[v1.a]"},
		{"IPv6 with nine groups", "[1:2:3:4:5:6:7:8:9]"},
		{"IPv6 elided twice", "[1::2::3]"},
		{"IPv6 bad port", "[::1]:x"},
	} {
		t.Run("invalid/"+c.name, func(t *testing.T) {
			if got, err := ParseHost([]byte(c.in)); got != "" || !errors.Is(err, ErrHost) {
				t.Errorf("ParseHost(%q) = %q, %v, want ErrHost", c.in, got, err)
			}
		})
	}
}
