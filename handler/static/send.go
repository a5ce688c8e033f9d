package static

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// serveVariant answers with v, whose file stays open meanwhile.
func (h *Handler) serveVariant(w http.ResponseWriter, r *http.Request, v *variant) {
	if isConditional(r.Header) && v.serveConditional(w, r) {
		return
	}
	fields := w.Header()
	v.setFields(fields)
	fields["Content-Length"] = v.contentLength
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead && v.size > 0 {
		v.sendAll(w)
	}
}

// isConditional tells whether a request has preconditions or ranges. One walk
// costs less than five look-ups when, as mostly, there is none (BenchmarkHit).
func isConditional(h http.Header) bool {
	for name := range h {
		if name == "Range" || strings.HasPrefix(name, "If-") {
			return true
		}
	}
	return false
}

// serveConditional answers what preconditions and ranges turn into something
// else than 200, and tells whether it did.
func (v *variant) serveConditional(w http.ResponseWriter, r *http.Request) bool {
	switch v.judge(r.Header) {
	case notModified:
		v.setValidators(w.Header())
		w.WriteHeader(http.StatusNotModified)
		return true
	case preconditionFailed:
		v.setVary(w.Header())
		conditionFailed.serve(w, r)
		return true
	case proceed:
	}
	// RFC 9110 §14.2: Range is defined for GET only.
	ranges := r.Header["Range"]
	if len(ranges) == 0 || r.Method != http.MethodGet || !v.rangeHolds(r.Header["If-Range"]) {
		return false
	}
	kind, parts := parseRange(ranges, v.size)
	switch {
	case kind == rangeUnsatisfiable:
		v.setVary(w.Header())
		w.Header()["Content-Range"] = []string{"bytes */" + strconv.FormatInt(v.size, 10)}
		rangeRefused.serve(w, r)
		return true
	case kind == rangeParts && len(parts) == 1:
		v.servePart(w, parts[0])
		return true
	case kind == rangeParts && v.contentEncoding == nil:
		v.serveParts(w, parts)
		return true
	}
	// Several parts of encoded content come as a whole: a Content-Encoding of a
	// multipart/byteranges would be taken for the coding of the multipart itself,
	// and without it a cache that puts the parts together would lose the coding.
	return false
}

func (v *variant) servePart(w http.ResponseWriter, part span) {
	fields := w.Header()
	v.setFields(fields)
	fields["Content-Range"] = []string{part.contentRange(v.size)}
	fields["Content-Length"] = []string{strconv.FormatInt(part.length, 10)}
	w.WriteHeader(http.StatusPartialContent)
	v.sendPart(w, part)
}

// redirectToDir sends a client from "/a/dir" to "dir/". The Location is
// relative and begins with "./": it never names another host or scheme (rule F-3).
func redirectToDir(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	last := path[strings.LastIndexByte(path, '/')+1:]
	location := "./" + url.PathEscape(last) + "/"
	if q := r.URL.RawQuery; q != "" && isVisibleASCII(q) {
		location += "?" + q
	}
	w.Header()["Location"] = []string{location}
	movedPermanently.serve(w, r)
}

func isVisibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
