package static

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// oldTime is long enough ago for strong validators.
var oldTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

// write makes a file below dir whose time is oldTime.
func write(t testing.TB, dir, name, body string) string {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	setTime(t, full, oldTime)
	return full
}

func setTime(t testing.TB, name string, mtime time.Time) {
	t.Helper()
	if err := os.Chtimes(name, mtime, mtime); err != nil {
		t.Fatal(err)
	}
}

func newHandler(t testing.TB, dir string, opts Options) *Handler {
	t.Helper()
	h, err := New(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// request makes a request whose target is not cleaned by anybody.
func request(t testing.TB, method, target string, fields ...string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("target %q: %v", target, err)
	}
	r := httptest.NewRequest(method, "/", nil)
	r.URL, r.RequestURI = u, target
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func do(t testing.TB, h http.Handler, method, target string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(t, method, target, fields...))
	return w
}

func get(t testing.TB, h http.Handler, target string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, http.MethodGet, target, fields...)
}

func TestNew(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing root: %v", err)
	}
	if _, err := New(write(t, t.TempDir(), "file", ""), Options{}); err == nil {
		t.Error("a file was taken for a root")
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "index.html", "<h1>top</h1>")
	write(t, dir, "hello.txt", "hello")
	write(t, dir, "empty.txt", "")
	write(t, dir, "README", "plain words")
	write(t, dir, "blob", "\x00\x01\x02\x03")
	write(t, dir, "page-without-name", "<!doctype html><script>alert(1)</script>")
	write(t, dir, "big.bin", strings.Repeat("0123456789abcdef", 16<<10))
	write(t, dir, "sub/index.html", "sub")
	write(t, dir, "a b ü.TXT", "odd name")
	write(t, dir, "semi;colon", "x")
	write(t, dir, "%2e%2e", "a name of percent signs")
	write(t, dir, ".well-known/security.txt", "contact")
	h := newHandler(t, dir, Options{})
	tests := []struct {
		target, contentType, body string
	}{
		{"/", "text/html; charset=utf-8", "<h1>top</h1>"},
		{"/index.html", "text/html; charset=utf-8", "<h1>top</h1>"},
		{"/hello.txt", "text/plain; charset=utf-8", "hello"},
		{"/hello.txt?v=1", "text/plain; charset=utf-8", "hello"},
		{"/%68ello.txt", "text/plain; charset=utf-8", "hello"},
		{"/empty.txt", "text/plain; charset=utf-8", ""},
		{"/README", "text/plain; charset=utf-8", "plain words"},
		{"/blob", "application/octet-stream", "\x00\x01\x02\x03"},
		{"/page-without-name", "application/octet-stream", "<!doctype html><script>alert(1)</script>"},
		{"/big.bin", "text/plain; charset=utf-8", strings.Repeat("0123456789abcdef", 16<<10)},
		{"/sub/", "text/html; charset=utf-8", "sub"},
		{"/a%20b%20%C3%BC.TXT", "text/plain; charset=utf-8", "odd name"},
		{"/semi;colon", "text/plain; charset=utf-8", "x"},
		{"/%252e%252e", "text/plain; charset=utf-8", "a name of percent signs"},
		{"/.well-known/security.txt", "text/plain; charset=utf-8", "contact"},
	}
	for _, test := range tests {
		for _, round := range []string{"first", "again"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := do(t, h, method, test.target)
				want := test.body
				if method == http.MethodHead {
					want = ""
				}
				if w.Code != http.StatusOK || w.Body.String() != want {
					t.Errorf("%s %s %s: %d, %d bytes", round, method, test.target, w.Code, w.Body.Len())
				}
				f := w.Header()
				if f.Get("Content-Type") != test.contentType || f.Get("Content-Length") != strconv.Itoa(len(test.body)) ||
					f.Get("X-Content-Type-Options") != "nosniff" || f.Get("Accept-Ranges") != "bytes" ||
					!strings.HasPrefix(f.Get("Etag"), `"`) || f.Get("Last-Modified") != oldTime.Format(http.TimeFormat) {
					t.Errorf("%s %s %s: fields %v", round, method, test.target, f)
				}
			}
		}
	}
}

func TestMethods(t *testing.T) {
	h := newHandler(t, t.TempDir(), Options{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"} {
		if w := do(t, h, method, "/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestDirectoryRedirect(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/deep/index.html", "x")
	write(t, dir, "javascript:alert(1)/index.html", "x")
	write(t, dir, "ü b/index.html", "x")
	h := newHandler(t, dir, Options{})
	for target, want := range map[string]string{
		"/sub":                     "./sub/",
		"/sub/deep":                "./deep/",
		"/sub/deep?a=1&b=2":        "./deep/?a=1&b=2",
		"/sub/deep?":               "./deep/",
		"/javascript:alert(1)":     "./javascript:alert%281%29/",
		"/%C3%BC%20b":              "./%C3%BC%20b/",
		"/sub/deep?x=%0d%0aA:%20b": "./deep/?x=%0d%0aA:%20b",
	} {
		w := get(t, h, target)
		if w.Code != http.StatusMovedPermanently || w.Header().Get("Location") != want {
			t.Errorf("%s: %d, Location %q, want 301, %q", target, w.Code, w.Header().Get("Location"), want)
		}
		base, ref := &url.URL{Scheme: "https", Host: "edge", Path: request(t, "GET", target).URL.Path}, w.Header().Get("Location")
		if u, err := base.Parse(ref); err != nil || u.Host != "edge" || u.Path != base.Path+"/" {
			t.Errorf("%s: a client goes to %v (%v)", target, u, err)
		}
	}
	if w := get(t, h, "/sub/"); w.Code != http.StatusNotFound {
		t.Errorf("directory without index, without browse: %d", w.Code)
	}
	if w := get(t, h, "/sub/deep/index.html/"); w.Code != http.StatusNotFound {
		t.Errorf("file with a slash: %d", w.Code)
	}
}

// recorder fails writes after limit bytes, as a client that left does.
type brokenWriter struct {
	*httptest.ResponseRecorder
	limit int
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.Body.Len()+len(p) > w.limit {
		return 0, io.ErrClosedPipe
	}
	return w.ResponseRecorder.Write(p)
}

func TestLargeFileAbortsWhenTheClientLeaves(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "big", strings.Repeat("x", 1<<20))
	h := newHandler(t, dir, Options{})
	if !aborts(func() {
		h.ServeHTTP(&brokenWriter{httptest.NewRecorder(), 100 << 10}, request(t, "GET", "/big"))
	}) {
		t.Error("a half-sent answer was not aborted")
	}
}

// aborts tells whether f panics with http.ErrAbortHandler.
func aborts(f func()) (aborted bool) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			aborted = true
		default:
			panic(p)
		}
	}()
	f()
	return false
}

func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		write(t, dir, strconv.Itoa(i), strings.Repeat(strconv.Itoa(i%10), 100))
	}
	h := newHandler(t, dir, Options{CacheEntries: 16, CacheBytes: 1500, Revalidate: -1})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				n := (i*7 + g) % 40
				w := get(t, h, "/"+strconv.Itoa(n))
				if want := bytes.Repeat([]byte{byte('0' + n%10)}, 100); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), want) {
					t.Errorf("/%d: %d %q", n, w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
	h.cache.check(t)
}
