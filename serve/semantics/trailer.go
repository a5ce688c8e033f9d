package semantics

import (
	"net/http"
	"strings"
)

// forbiddenTrailers may never come from a trailer section, whatever was announced.
var forbiddenTrailers = [...]string{
	"content-length", "transfer-encoding", "trailer", "host", "connection", "upgrade", "te", "expect", "max-forwards",
	"authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate", "proxy-authenticate",
	"content-encoding", "content-type", "content-range", "cache-control", "range", "if-match", "if-none-match",
	"if-modified-since", "if-unmodified-since", "if-range", "keep-alive", "proxy-connection", "forwarded",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "location",
}

// ForbiddenTrailer tells whether a field of this name, in any letter case, must
// not be sent or used as a trailer field (RFC 9110 §6.5.1).
func ForbiddenTrailer(name string) bool {
	b := []byte(name) // compiled without a copy
	for _, n := range forbiddenTrailers {
		if EqualFold(b, n) {
			return true
		}
	}
	return false
}

// AnnouncedTrailers takes the Trailer field out of a request's header and makes
// its Trailer map: the announced names without values. nil: there are none.
func AnnouncedTrailers(h http.Header) http.Header {
	lines, ok := h["Trailer"]
	if !ok {
		return nil
	}
	delete(h, "Trailer")
	var array [8]string
	var t http.Header
	for _, name := range AppendTrailerNames(array[:0], lines) {
		if t == nil {
			t = make(http.Header)
		}
		t[name] = nil
	}
	return t
}

// AppendTrailerNames appends the names that the lines of a Trailer field
// announce, in canonical form and in order, without those that must not be
// trailers.
func AppendTrailerNames(dst, lines []string) []string {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if IsToken(name) && !ForbiddenTrailer(name) {
				dst = append(dst, name)
			}
		}
	}
	return dst
}

// AnnouncesTrailer tells whether the lines of an answer's Trailer field
// announce name, in canonical form: then it goes there and not into the head.
func AnnouncesTrailer(lines []string, name string) bool {
	for _, line := range lines {
		for n := range strings.SplitSeq(line, ",") {
			if http.CanonicalHeaderKey(strings.TrimSpace(n)) == name {
				return !ForbiddenTrailer(name)
			}
		}
	}
	return false
}
