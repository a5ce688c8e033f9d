package static

import (
	"net/http"
	"strconv"
)

// Field values put into header maps as they are; nobody may change them.
var (
	textPlain    = []string{"text/plain; charset=utf-8"}
	textHTML     = []string{"text/html; charset=utf-8"}
	octetStream  = []string{"application/octet-stream"}
	nosniff      = []string{"nosniff"}
	acceptRanges = []string{"bytes"}
	allowed      = []string{"GET, HEAD"}
	noCache      = []string{"no-cache"}
	varyEncoding = []string{"Accept-Encoding"}
	varyAccept   = []string{"Accept"}
	jsonType     = []string{"application/json"}
	retrySoon    = []string{"1"}
)

// answer is a short text answer, made beforehand.
type answer struct {
	status        int
	contentLength []string
	body          []byte
}

var (
	movedPermanently = newAnswer(http.StatusMovedPermanently, "moved to the directory's address")
	forbidden        = newAnswer(http.StatusForbidden, "forbidden")
	notFound         = newAnswer(http.StatusNotFound, "page not found")
	methodNotAllowed = newAnswer(http.StatusMethodNotAllowed, "method not allowed")
	conditionFailed  = newAnswer(http.StatusPreconditionFailed, "precondition failed")
	rangeRefused     = newAnswer(http.StatusRequestedRangeNotSatisfiable, "range not satisfiable")
	internalError    = newAnswer(http.StatusInternalServerError, "the file cannot be read")
	unavailable      = newAnswer(http.StatusServiceUnavailable, "out of resources, try again")
)

func newAnswer(status int, text string) *answer {
	body := []byte(strconv.Itoa(status) + " " + text + "\n")
	return &answer{status, []string{strconv.Itoa(len(body))}, body}
}

// serve answers with a; fields the caller set before stay.
func (a *answer) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Content-Type"] = textPlain
	h["Content-Length"] = a.contentLength
	h["X-Content-Type-Options"] = nosniff
	if a.status == http.StatusServiceUnavailable {
		h["Retry-After"] = retrySoon
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body)
	}
}
