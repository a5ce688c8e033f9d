package semantics

import (
	"net/url"
	"strings"
)

// ValidTarget tells whether b may be a request target, whatever its form: one
// byte or more, no controls, no 8-bit bytes, no "#" (a fragment is never sent),
// no broken percent-encoding (rule H1-11).
func ValidTarget(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if targetBytes[b[i]] {
			continue
		}
		if b[i] != '%' || i+2 >= len(b) || !hexDigit(b[i+1]) || !hexDigit(b[i+2]) {
			return false
		}
		i += 2
	}
	return len(b) > 0
}

// targetBytes: what may stand in a target. "%" is looked at apart.
var targetBytes = func() (t [256]bool) {
	for c := 0x21; c < 0x7f; c++ {
		t[c] = c != '#' && c != '%'
	}
	return t
}()

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// TargetURL gives what url.ParseRequestURI gives for a valid target, for plain
// paths without its cost. Bytes that our grammar lets pass and net/url does not
// (a "[" in a path that looks like a host, say) make an opaque path, as sent;
// it has no Scheme, even if the target was in absolute form.
func TargetURL(target string) url.URL {
	if plainPath(target) {
		return url.URL{Path: target}
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		path, query, _ := strings.Cut(target, "?")
		return url.URL{Path: path, RawQuery: query}
	}
	return *u
}

// plainPath: origin-form without anything to decode or split. "//" begins what
// net/url would take for an authority elsewhere; ParseRequestURI decides.
func plainPath(s string) bool {
	if len(s) > 1 && s[1] == '/' {
		return false
	}
	if s == "" || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if !plainByte[s[i]] {
			return false
		}
	}
	return true
}

// plainByte: bytes that net/url neither decodes nor escapes in a path.
var plainByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "/-_.~$&+,:;=@" {
		t[c] = true
	}
	return t
}()
