package message

import (
	"net/http"
	"strings"
	"unsafe"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// Fill makes the header map of Names and Values; equal names share one entry,
// in order. header is cleared and used again; nil: a new one is made. given is
// the array that the map's values lie in, overwritten, and grown where it is
// too short: a request may have it again once nobody looks at the map of the
// one before. Head itself is only read, and may fill any number of maps.
func (h *Head) Fill(header http.Header, given []string) (http.Header, []string) {
	if header != nil {
		clear(header)
	} else {
		header = make(http.Header, len(h.Names))
	}
	// A handler may change its values in place, and that must not show in the
	// next request: it gets a copy.
	given = append(given[:0], h.Values...)
	for i, name := range h.Names {
		if old, ok := header[name]; ok {
			header[name] = append(old, given[i])
			continue
		}
		// Capacity one: a handler's append must not run into the neighbour.
		header[name] = given[i : i+1 : i+1]
	}
	if h.Protocol != "" {
		header[":protocol"] = []string{h.Protocol} // RFC 8441; as net/http's server
	}
	return header, given
}

// TrailerOf makes a trailer section of fields (RFC 9113 §8.1, RFC 9114 §4.1);
// names of framing, routing and authentication are dropped (H1-7). False:
// malformed.
func TrailerOf(fields []hpack.Field) (http.Header, bool) {
	t := make(http.Header, len(fields))
	for i := range fields {
		f := &fields[i]
		if !validName(f.Name) || !validValue(f.Value) { // a pseudo-field's name is none
			return nil, false
		}
		if !semantics.ForbiddenTrailer(f.Name) {
			name := semantics.CanonicalName(bytesOf(f.Name))
			t[name] = append(t[name], f.Value)
		}
	}
	return t, true
}

// Clean is what each field of a handler passes before it is encoded, so that
// nothing it sets can split a message or a log (H1-16): forbidden bytes of the
// value become spaces, and white space at its ends goes. altered tells that the
// field was not fit to be sent as it was; sent false, that it is to be left out,
// because its name is no token.
func Clean(name, value string) (clean string, altered, sent bool) {
	if !semantics.IsToken(name) {
		return "", true, false
	}
	if !semantics.ValidFieldValue(bytesOf(value)) {
		altered = true
		b := []byte(value)
		for i, c := range b {
			if !semantics.IsFieldValueByte(c) {
				b[i] = ' '
			}
		}
		value = string(b)
	}
	// RFC 9113 §8.2.1: no white space at the ends; RFC 9114 §4.2 takes it from
	// RFC 9110 §5.5.
	return trimOWS(value), altered, true
}

func trimOWS(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, " \t")
}

// validName: a token without upper-case letters (RFC 9113 §8.2.1, RFC 9114 §4.2).
func validName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !semantics.IsTokenByte(c) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

// validValue: RFC 9110 §5.5, without white space at its ends (RFC 9113 §8.2.1;
// RFC 9114 §4.2 and §10.3 by RFC 9110).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	first, last := s[0], s[len(s)-1]
	return first > ' ' && last > ' ' && semantics.ValidFieldValue(bytesOf(s))
}

// bytesOf lends the bytes of s to a function that only reads them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
