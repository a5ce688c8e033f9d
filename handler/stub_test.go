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

func TestChainOrder(t *testing.T) {
	var order string
	mark := func(name string) Filter {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				order += name
				next.ServeHTTP(w, r)
			})
		}
	}
	get(Chain(NotFound{}, mark("a"), mark("b"), mark("c")), "/")
	if order != "abc" {
		t.Errorf("filters ran in order %q, want abc", order)
	}
}
