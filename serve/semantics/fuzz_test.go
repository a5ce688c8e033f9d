package semantics

import (
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// FuzzHost: what ParseHost accepts has one form, is its own form, and is read as
// the same host and port by net/url and net/netip.
func FuzzHost(f *testing.F) {
	for _, s := range []string{
		"", "a", "A.b.", "a:80", "[::1]:443", "[::ffff:1.2.3.4]", "[fe80::1%25a]", "a..b", ".", "u@a", "a:65536", "1.2.3.4",
		"[1:2:3:4:5:6:7:8]", "a_b-c", "a%2e", "\u212a", "[1::2::3]", "a:", "localhost/x", "[::1].",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		host, err := ParseHost(in)
		if err != nil {
			if host != "" {
				t.Fatalf("ParseHost(%q) = %q beside an error", in, host)
			}
			return
		}
		if again, err := ParseHost([]byte(host)); again != host || err != nil {
			t.Fatalf("%q: its form %q becomes %q, %v", in, host, again, err)
		}
		if upper, err := ParseHost([]byte(strings.ToUpper(string(in)))); upper != host || err != nil {
			t.Fatalf("%q: in upper case %q, %v", in, upper, err)
		}
		if strings.ContainsAny(host, "/\\@?#% \t\r\n\x00,") || strings.Contains(host, "..") {
			t.Fatalf("ParseHost(%q) = %q", in, host)
		}
		u, err := url.Parse("http://" + host + "/p")
		if err != nil || u.Host != host || u.Path != "/p" || u.User != nil {
			t.Fatalf("net/url reads %q as %+v, %v", host, u, err)
		}
		name := u.Hostname()
		if host[0] == '[' {
			if a, err := netip.ParseAddr(name); err != nil || !a.Is6() || a.Zone() != "" {
				t.Fatalf("net/netip reads %q as %v, %v", name, a, err)
			}
		} else if name == "" || len(name) > 253 {
			t.Fatalf("%q names %q", host, name)
		}
		if p := u.Port(); p != "" {
			if _, err := strconv.ParseUint(p, 10, 16); err != nil {
				t.Fatalf("port of %q: %v", host, err)
			}
		}
	})
}

// FuzzCanonicalName: textproto is the oracle.
func FuzzCanonicalName(f *testing.F) {
	for _, s := range []string{"host", "HOST", "x-y", "Te", "content-LENGTH", "!", "sec-ch-ua", "etag"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		if !IsToken(name) {
			return
		}
		if got, want := CanonicalName(name), textproto.CanonicalMIMEHeaderKey(string(name)); got != want {
			t.Fatalf("CanonicalName(%q) = %q, want %q", name, got, want)
		}
	})
}
