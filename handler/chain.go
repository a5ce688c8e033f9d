package handler

import (
	"net/http"
	"slices"
	"strconv"
)

// A Filter wraps a handler with one more concern.
type Filter func(http.Handler) http.Handler

// Chain wraps h in filters. The first filter is the outermost: it sees a
// request first and its answer last.
func Chain(h http.Handler, filters ...Filter) http.Handler {
	for _, filter := range slices.Backward(filters) {
		h = filter(h)
	}
	return h
}

// Values of fields that many answers share. They are put into header maps as
// they are, so that an answer allocates nothing; nobody may change them.
var (
	textPlain = []string{"text/plain; charset=utf-8"}
	textHTML  = []string{"text/html; charset=utf-8"}
	jsonType  = []string{"application/json"}
	nosniff   = []string{"nosniff"}
	noCache   = []string{"no-cache, private"}
	closeConn = []string{"close"}
)

// page is one answer made beforehand: sending it allocates nothing.
type page struct {
	status        int
	contentType   []string
	contentLength []string
	body          []byte
}

func newPage(status int, contentType []string, body []byte) *page {
	return &page{status, contentType, []string{strconv.Itoa(len(body))}, body}
}

// serve answers with the page. Fields the caller set before stay.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Content-Type"] = p.contentType
	h["Content-Length"] = p.contentLength
	h["X-Content-Type-Options"] = nosniff
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.body) // a client that left is the engine's to notice
	}
}

// onlyGetAndHead answers 405 with Allow (RFC 9110 §15.5.6) for other methods
// and tells whether the request may go on.
func onlyGetAndHead(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	methodNotAllowed.serve(w, r)
	return false
}

var methodNotAllowed = newPage(http.StatusMethodNotAllowed, textPlain, []byte("405 method not allowed\n"))
