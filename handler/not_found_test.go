package handler

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestEndOfChain: 503 with Retry-After for what came early, 404 for the rest.
func TestEndOfChain(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/unknown", nil)
	early := MarkEarly(r)
	servetest.Want(t, "a mark", IsEarly(early), true)
	servetest.Want(t, "none", IsEarly(r), false)
	for _, test := range []struct {
		name       string
		end        EndOfChain
		r          *http.Request
		status     int
		retryAfter string
		body       string
	}{
		{"early", EndOfChain{}, early, http.StatusServiceUnavailable, "5", "503 the server is starting, not all paths are there yet\n"},
		{"early, with a handler", EndOfChain{NotFound: namedAnswer("index")}, early, http.StatusServiceUnavailable, "5", "503 the server is starting, not all paths are there yet\n"},
		{"complete", EndOfChain{}, r, http.StatusNotFound, "", "404 page not found\n"},
		{"complete, with a handler", EndOfChain{NotFound: namedAnswer("index")}, r, http.StatusOK, "", "index"},
	} {
		w := httptest.NewRecorder()
		test.end.ServeHTTP(w, test.r)
		servetest.Want(t, test.name+": status", w.Code, test.status)
		servetest.Want(t, test.name+": Retry-After", w.Header().Get("Retry-After"), test.retryAfter)
		servetest.Want(t, test.name+": body", w.Body.String(), test.body)
	}
}
