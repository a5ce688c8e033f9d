package static

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// sharingWriter takes files as an engine with sendfile does.
type sharingWriter struct {
	*httptest.ResponseRecorder
	during func() // called with the file in use
	files  []*os.File
}

func (w *sharingWriter) SendFile(f *os.File, off, n int64) (int64, error) {
	w.files = append(w.files, f)
	if w.during != nil {
		w.during()
	}
	p := make([]byte, n)
	m, err := f.ReadAt(p, off)
	_, _ = w.Write(p[:m])
	return int64(m), err
}

func newSharingWriter() *sharingWriter {
	return &sharingWriter{ResponseRecorder: httptest.NewRecorder()}
}

// One open file serves all its answers, and none of them moves its position.
func TestOpenFileIsShared(t *testing.T) {
	dir := t.TempDir()
	body := strings.Repeat("0123456789", 1000)
	write(t, dir, "a", body)
	h := newHandler(t, dir, Options{CacheFileBytes: -1})
	get(t, h, "/a") // opened, and kept
	var first *os.File
	for _, fields := range [][]string{nil, {"Range: bytes=100-199"}, {"Range: bytes=0-9,5000-5009"}, nil} {
		w := newSharingWriter()
		h.ServeHTTP(w, request(t, "GET", "/a", fields...))
		for _, f := range w.files {
			if first == nil {
				first = f
			}
			if f != first {
				t.Errorf("%v: another file", fields)
			}
		}
		if len(w.files) == 0 {
			t.Errorf("%v: not sent from the file", fields)
		}
		if pos, err := first.Seek(0, 1); pos != 0 || err != nil {
			t.Errorf("%v: the position is %d, %v", fields, pos, err)
		}
	}
}

// A file in use stays open, whatever becomes of its entry; it is closed behind the
// last answer.
func TestFileInUseIsNotClosed(t *testing.T) {
	ways := map[string]func(t *testing.T, h *Handler, dir string){
		"pushed out": func(t *testing.T, h *Handler, dir string) {
			for i := range 10 {
				get(t, h, fmt.Sprintf("/other%d", i))
			}
		},
		"replaced": func(t *testing.T, h *Handler, dir string) {
			if err := os.Rename(write(t, dir, "new", "other contents"), filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
			h.revalidateNow()
			if w := get(t, h, "/a"); w.Body.String() != "other contents" {
				t.Errorf("the new file: %q", w.Body)
			}
		},
		"deleted": func(t *testing.T, h *Handler, dir string) {
			remove(t, dir, "a")
			h.revalidateNow()
			if w := get(t, h, "/a"); w.Code != http.StatusNotFound {
				t.Errorf("the deleted file: %d", w.Code)
			}
		},
		"handler closed": func(t *testing.T, h *Handler, dir string) { _ = h.Close() },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			body := strings.Repeat("0123456789", 1000)
			write(t, dir, "a", body)
			for i := range 10 {
				write(t, dir, fmt.Sprintf("other%d", i), "x")
			}
			h := newHandler(t, dir, Options{CacheFileBytes: -1, CacheOpenFiles: 2, Revalidate: time.Hour})
			get(t, h, "/a")
			w := newSharingWriter()
			w.during = func() { way(t, h, dir) }
			h.ServeHTTP(w, request(t, "GET", "/a"))
			if w.Body.String() != body {
				t.Errorf("%d bytes", w.Body.Len())
			}
			if _, err := w.files[0].Stat(); err == nil {
				t.Error("still open behind its last answer")
			}
			if name != "handler closed" {
				h.cache.check(t)
			}
		})
	}
}

// Whatever happens, all descriptors are given back (rule F-2, figure 5).
func TestDescriptorsComeBack(t *testing.T) {
	servetest.CheckLeaks(t)
	for _, opts := range []Options{
		{CacheFileBytes: -1, CacheOpenFiles: 5, Revalidate: -1, Precompressed: allCodings},
		{CacheFileBytes: -1, CacheOpenFiles: -1},
		{CacheFileBytes: 10, CacheEntries: 4, Precompressed: allCodings, NotFound: "/3", Index: []string{"a", "b"}},
		{CacheEntries: -1, NotFound: "/3"},
	} {
		dir := t.TempDir()
		for i := range 20 {
			write(t, dir, fmt.Sprint(i), strings.Repeat("x", 100))
			write(t, dir, fmt.Sprintf("%d.gz", i), strings.Repeat("x", 50))
			write(t, dir, fmt.Sprintf("d%d/b", i), "index")
		}
		h, err := New(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() { mixedRequests(t, h, dir, g) })
		}
		wg.Wait()
		h.cache.check(t)
		_ = h.Close()
		if w := get(t, h, "/1"); w.Code != http.StatusInternalServerError && w.Code != http.StatusNotFound {
			t.Errorf("after Close: %d", w.Code)
		}
	}
}

// mixedRequests asks in all ways, also for what changes meanwhile, and breaks off.
func mixedRequests(t *testing.T, h *Handler, dir string, g int) {
	for i := range 150 {
		name := fmt.Sprint((i*7 + g) % 20)
		switch i % 10 {
		case 0:
			aborts(func() {
				h.ServeHTTP(&brokenWriter{httptest.NewRecorder(), 10}, request(t, "GET", "/"+name))
			})
		case 1:
			tmp := filepath.Join(dir, fmt.Sprintf(".tmp%d", g))
			_ = os.WriteFile(tmp, []byte(strings.Repeat("y", 200)), 0o600)
			_ = os.Rename(tmp, filepath.Join(dir, name))
		case 2:
			get(t, h, "/none"+name)
		case 3:
			get(t, h, "/d"+name+"/")
		case 4:
			get(t, h, "/"+name, "Range: bytes=0-1,5-6")
		case 5:
			do(t, h, "HEAD", "/"+name, "Accept-Encoding: gzip")
		default:
			w := newSharingWriter()
			aborts(func() { h.ServeHTTP(w, request(t, "GET", "/"+name, "Accept-Encoding: gzip")) })
			if got := w.Header().Get("Content-Length"); w.Code == 200 && got != fmt.Sprint(w.Body.Len()) {
				t.Errorf("/%s: %d bytes of %s", name, w.Body.Len(), got)
			}
		}
	}
}

func TestOpenFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		write(t, dir, fmt.Sprint(i), strings.Repeat("x", i))
	}
	h := newHandler(t, dir, Options{CacheFileBytes: 10, CacheOpenFiles: 8})
	for i := range 200 {
		n := i * 13 % 50
		if w := get(t, h, fmt.Sprintf("/%d", n)); w.Code != 200 || w.Body.Len() != n {
			t.Errorf("/%d: %d, %d bytes", n, w.Code, w.Body.Len())
		}
		h.cache.check(t)
	}
	if h.cache.open != 8 || len(h.cache.ring) <= 8 {
		t.Errorf("%d open files of %d entries, want 8: small contents need none", h.cache.open, len(h.cache.ring))
	}
	for _, test := range []struct {
		opts Options
		most int
	}{{Options{}, 1024}, {Options{CacheEntries: 10}, 10}, {Options{CacheOpenFiles: 3}, 3}, {Options{CacheOpenFiles: -1}, -1}, {Options{CacheEntries: -1}, 0}} {
		if got := test.opts.cacheOpenFiles(); got > test.most || int64(got) > descriptorLimit()/8 && test.opts.CacheOpenFiles <= 0 {
			t.Errorf("%+v: %d open files of %d descriptors", test.opts, got, descriptorLimit())
		}
	}
}

// A file that is written to in place under its open descriptor: neither its old
// length is promised nor its old validator sent with the new bytes.
func TestOpenFileWrittenInPlace(t *testing.T) {
	dir := t.TempDir()
	name := write(t, dir, "a", "first contents")
	h := newHandler(t, dir, Options{CacheFileBytes: -1, Revalidate: time.Hour})
	first := get(t, h, "/a")
	for _, body := range []string{"same length 14", "short"} {
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		setTime(t, name, oldTime.Add(time.Duration(len(body))*time.Hour))
		w := get(t, h, "/a")
		if w.Body.String() != body || w.Header().Get("Content-Length") != fmt.Sprint(len(body)) || w.Header().Get("Etag") == first.Header().Get("Etag") {
			t.Errorf("%q, %v", w.Body, w.Header())
		}
	}
}
