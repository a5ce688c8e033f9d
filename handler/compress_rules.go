package handler

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// varyAcceptEncoding: RFC 9110 §12.5.5.
var varyAcceptEncoding = []string{"Accept-Encoding"}

// suits tells whether an answer may be compressed by its head, but for type and
// length.
func suits(status int, h http.Header) bool {
	switch {
	case status < 200, status == http.StatusNoContent, status == http.StatusResetContent, status == http.StatusPartialContent, status == http.StatusNotModified:
		return false
	}
	// A digest is of the bytes as they are (RFC 9530 §2); what announces trailers is
	// framed by its handler.
	for _, name := range []string{"Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Trailer"} {
		if _, ok := h[name]; ok {
			return false
		}
	}
	for _, v := range h["Cache-Control"] {
		if semantics.HasToken(v, "no-transform") { // RFC 9111 §5.2.2.6
			return false
		}
	}
	return true
}

// typed tells whether an answer has a type, and whether that is on the list.
func (c *Compress) typed(h http.Header) (known, listed bool) {
	values, known := h["Content-Type"]
	if len(values) == 0 {
		return known, false
	}
	return true, c.lists(values[0])
}

func (c *Compress) lists(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	_, ok := c.types[strings.ToLower(trimOWS(media))]
	return ok
}

// declaredLength is Content-Length; -1: none that can be read.
func declaredLength(h http.Header) int64 {
	values := h["Content-Length"]
	if len(values) == 0 {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// recode makes the head that of a compressed answer.
func recode(h http.Header, coding []string) {
	h["Content-Encoding"] = coding
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges") // ranges would be of the other bytes
	weaken(h)
}

// weaken: RFC 9110 §8.8.3.3, a strong validator is of one representation alone.
func weaken(h http.Header) {
	if tag := h["Etag"]; len(tag) > 0 && strings.HasPrefix(tag[0], `"`) {
		h["Etag"] = []string{"W/" + tag[0]}
	}
}

// weakenNotModified gives a 304 the tag the client has: a strong one would select
// another stored answer, or none (RFC 9111 §4.3.4).
func weakenNotModified(h http.Header, ifNoneMatch []string) {
	tag := h["Etag"]
	if len(tag) == 0 {
		return
	}
	for _, line := range ifNoneMatch {
		if strings.Contains(line, "W/"+tag[0]) {
			weaken(h)
			return
		}
	}
}
