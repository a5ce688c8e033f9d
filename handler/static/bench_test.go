package static

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// stubWriter is a ResponseWriter that costs nothing of its own.
type stubWriter struct {
	header http.Header
	bytes  int
}

func (w *stubWriter) Header() http.Header { return w.header }
func (w *stubWriter) WriteHeader(int)     {}
func (w *stubWriter) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

func TestHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	dir := t.TempDir()
	write(t, dir, "index.html", strings.Repeat("x", 1000))
	write(t, dir, "empty", "")
	h := newHandler(t, dir, Options{Revalidate: time.Hour})
	etag := get(t, h, "/").Header().Get("Etag")
	for name, r := range map[string]*http.Request{
		"GET": request(t, "GET", "/"), "HEAD": request(t, "HEAD", "/"), "empty": request(t, "GET", "/empty"),
		"browser": request(t, "GET", "/", "Accept: */*", "User-Agent: x"), "304": request(t, "GET", "/", "If-None-Match: "+etag),
		"405": request(t, "POST", "/"), "escaped": request(t, "GET", "/inde%78.html"),
	} {
		w := &stubWriter{header: make(http.Header, 16)}
		h.ServeHTTP(w, r)
		if got := testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "index.html", strings.Repeat("x", 1000))
	handlers := map[string]http.Handler{"penstock": newHandler(b, dir, Options{}), "nethttp": http.FileServer(http.Dir(dir))}
	for name, h := range handlers {
		b.Run(name, func(b *testing.B) {
			r := request(b, "GET", "/")
			w := &stubWriter{header: make(http.Header, 16)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.bytes = 0
				h.ServeHTTP(w, r)
				if w.bytes != 1000 {
					b.Fatalf("%d bytes", w.bytes)
				}
			}
		})
	}
}
