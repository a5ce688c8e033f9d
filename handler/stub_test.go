package handler

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// stubWriter is a ResponseWriter that costs nothing of its own: one header map, reused.
type stubWriter struct {
	header http.Header
	status int
	bytes  int
}

func newStubWriter() *stubWriter { return &stubWriter{header: make(http.Header, 16)} }

func (w *stubWriter) Header() http.Header    { return w.header }
func (w *stubWriter) WriteHeader(status int) { w.status = status }
func (w *stubWriter) Write(b []byte) (int, error) {
	w.bytes += len(b)
	return len(b), nil
}

// allocations is how many one request of h makes.
func allocations(h http.Handler, r *http.Request) float64 {
	w := newStubWriter()
	return testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) })
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

// detachingWriter is one of our engines in that.
type detachingWriter struct{ stubWriter }

func (w *detachingWriter) DetachHeader() { w.header = make(http.Header) }
