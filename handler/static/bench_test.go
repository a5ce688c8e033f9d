package static

import (
	"net/http"
	"os"
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

// sendingWriter takes files too, as an engine with sendfile does.
type sendingWriter struct{ stubWriter }

func (w *sendingWriter) SendFile(_ *os.File, _, n int64) (int64, error) {
	w.bytes += int(n)
	return n, nil
}

func newHitTree(t testing.TB, opts Options) *Handler {
	dir := t.TempDir()
	write(t, dir, "index.html", strings.Repeat("x", 1000))
	write(t, dir, "index.html.gz", strings.Repeat("x", 500))
	write(t, dir, "empty", "")
	write(t, dir, "big", strings.Repeat("x", 200<<10))
	write(t, dir, "404.html", "nothing")
	return newHandler(t, dir, opts)
}

func TestHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for variant, opts := range map[string]Options{
		"plain": {}, "with siblings and a page": {Precompressed: []string{"zstd", "gzip"}, NotFound: "/404.html", CacheControl: "max-age=1"},
	} {
		opts.Revalidate = time.Hour
		h := newHitTree(t, opts)
		etag := get(t, h, "/").Header().Get("Etag")
		for name, r := range map[string]*http.Request{
			"GET": request(t, "GET", "/"), "HEAD": request(t, "HEAD", "/"), "empty": request(t, "GET", "/empty"),
			"browser": request(t, "GET", "/", "Accept: */*", "Accept-Encoding: gzip, deflate, br, zstd"), "304": request(t, "GET", "/", "If-None-Match: "+etag),
			"405": request(t, "POST", "/"), "escaped": request(t, "GET", "/inde%78.html"), "missing": request(t, "GET", "/none"),
			"open file": request(t, "GET", "/big"), "open file, HEAD": request(t, "HEAD", "/big"),
		} {
			w := &sendingWriter{stubWriter{header: make(http.Header, 16)}}
			h.ServeHTTP(w, r)
			if got := testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }); got != 0 {
				t.Errorf("%s: %s: %v allocations, want 0", variant, name, got)
			}
		}
	}
}

// The benchmarks of hits that net/http's file server has no like for.
func BenchmarkHitOf(b *testing.B) {
	h := newHitTree(b, Options{Precompressed: []string{"zstd", "gzip"}})
	for name, r := range map[string]*http.Request{
		"open-file": request(b, "GET", "/big"), "sibling": request(b, "GET", "/", "Accept-Encoding: gzip, deflate, br, zstd"),
		"missing": request(b, "GET", "/none"), "parts": request(b, "GET", "/", "Range: bytes=0-9,500-509"),
	} {
		b.Run(name, func(b *testing.B) {
			w := &sendingWriter{stubWriter{header: make(http.Header, 16)}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.bytes = 0
				h.ServeHTTP(w, r)
				if w.bytes == 0 {
					b.Fatal("nothing was sent")
				}
			}
		})
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
