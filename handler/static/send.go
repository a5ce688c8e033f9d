package static

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// serveEntry answers with e; f is its open file, or nil if e is in memory.
func (h *Handler) serveEntry(w http.ResponseWriter, r *http.Request, e *entry, f *os.File) {
	if isConditional(r.Header) && h.serveConditional(w, r, e, f) {
		return
	}
	fields := w.Header()
	e.setFields(fields)
	fields["Content-Length"] = e.contentLength
	switch {
	case r.Method == http.MethodHead || e.size == 0:
		w.WriteHeader(http.StatusOK)
	case e.inMemory:
		_, _ = w.Write(e.body) // implies 200; a client that left is the engine's to notice
	default:
		w.WriteHeader(http.StatusOK)
		send(w, f, span{0, e.size})
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
func (h *Handler) serveConditional(w http.ResponseWriter, r *http.Request, e *entry, f *os.File) bool {
	switch e.judge(r.Header) {
	case notModified:
		e.setValidators(w.Header()) // RFC 9110 §15.4.5
		w.WriteHeader(http.StatusNotModified)
		return true
	case preconditionFailed:
		conditionFailed.serve(w, r)
		return true
	case proceed:
	}
	// RFC 9110 §14.2: Range is defined for GET only.
	ranges := r.Header["Range"]
	if len(ranges) == 0 || r.Method != http.MethodGet || !e.rangeHolds(r.Header["If-Range"]) {
		return false
	}
	kind, part := parseRange(ranges, e.size)
	switch kind {
	case rangeUnsatisfiable:
		w.Header()["Content-Range"] = []string{"bytes */" + strconv.FormatInt(e.size, 10)}
		rangeRefused.serve(w, r)
		return true
	case rangePart:
		e.servePart(w, f, part)
		return true
	case rangeWhole:
	}
	return false
}

func (e *entry) servePart(w http.ResponseWriter, f *os.File, part span) {
	fields := w.Header()
	e.setFields(fields)
	fields["Content-Range"] = []string{part.contentRange(e.size)}
	fields["Content-Length"] = []string{strconv.FormatInt(part.length, 10)}
	w.WriteHeader(http.StatusPartialContent)
	if e.inMemory {
		_, _ = w.Write(e.body[part.start:part.end()])
		return
	}
	send(w, f, part)
}

// send copies a part of f. A file that became shorter, or cannot be read,
// aborts the answer: its length is already promised, and nothing else may
// stand in for the missing bytes (rule F-2).
func send(w http.ResponseWriter, f *os.File, part span) {
	if _, err := f.Seek(part.start, io.SeekStart); err != nil {
		panic(http.ErrAbortHandler)
	}
	// CopyN gives w's ReadFrom a limited *os.File: the form sendfile is made for.
	if n, err := io.CopyN(w, f, part.length); err != nil || n != part.length {
		panic(http.ErrAbortHandler)
	}
}

// redirectToDir sends a client from "/a/dir" to "dir/". The Location is
// relative and begins with "./": it never names another host or scheme (rule F-3).
func redirectToDir(w http.ResponseWriter, r *http.Request, name string) {
	last := name[strings.LastIndexByte(name, '/')+1:]
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
