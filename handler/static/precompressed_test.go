package static

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var allCodings = []string{"zstd", "br", "gzip"}

// newPrecompressed serves a.txt with three siblings, whose contents are their names.
func newPrecompressed(t testing.TB, opts Options) (*Handler, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "a.txt.zst", "a.txt.br", "a.txt.gz", "plain.txt"} {
		write(t, dir, name, name)
	}
	if opts.Precompressed == nil {
		opts.Precompressed = allCodings
	}
	return newHandler(t, dir, opts), dir
}

func TestPrecompressedChoice(t *testing.T) {
	tests := []struct{ accept, want string }{
		{"", ""},
		{"gzip", "gzip"},
		{"gzip, deflate, br, zstd", "zstd"},
		{"gzip, br", "br"},
		{"gzip;q=1, br;q=0.9, zstd;q=0.8", "gzip"},
		{"zstd;q=0, br;q=0, gzip", "gzip"},
		{"zstd;q=0, br;q=0, gzip;q=0", ""},
		{"*", "zstd"},
		{"*;q=0.5, gzip", "gzip"},
		{"*, zstd;q=0", "br"},
		{"identity", ""},
		{"identity, gzip;q=0.5", ""},
		{"identity;q=0.5, gzip;q=0.5", "gzip"},
		{"deflate", ""},
		{"GZIP", "gzip"},
		{"x-gzip", "gzip"},
		{"gzip;q=2", ""},
	}
	for name, opts := range map[string]Options{"memory": {}, "open": {CacheFileBytes: -1}, "not kept": {CacheEntries: -1}} {
		h, _ := newPrecompressed(t, opts)
		for _, test := range tests {
			for _, fields := range [][]string{nil, {"Range: bytes=0-3"}} {
				w := get(t, h, "/a.txt", append(fields, "Accept-Encoding: "+test.accept)...)
				body := map[string]string{"": "a.txt", "zstd": "a.txt.zst", "br": "a.txt.br", "gzip": "a.txt.gz"}[test.want]
				if fields != nil {
					body = body[:4]
				}
				f := w.Header()
				if w.Body.String() != body || f.Get("Content-Encoding") != test.want {
					t.Errorf("%s, Accept-Encoding: %s %v: %q, Content-Encoding %q, want %q", name, test.accept, fields, w.Body, f.Get("Content-Encoding"), test.want)
				}
				if f.Get("Vary") != "Accept-Encoding" || f.Get("Content-Type") != "text/plain; charset=utf-8" || f.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s, Accept-Encoding: %s: fields %v", name, test.accept, f)
				}
			}
		}
	}
}

// Each coding has a strong validator of its own (RFC 9110 §8.8.3.3).
func TestPrecompressedValidators(t *testing.T) {
	h, _ := newPrecompressed(t, Options{})
	tags := map[string]string{}
	for _, accept := range []string{"identity", "gzip", "br", "zstd"} {
		etag := get(t, h, "/a.txt", "Accept-Encoding: "+accept).Header().Get("Etag")
		if other, ok := tags[etag]; ok || !strings.HasPrefix(etag, `"`) {
			t.Errorf("%s has the tag %s, as %q", accept, etag, other)
		}
		tags[etag] = accept
	}
	for etag, accept := range tags {
		for _, asked := range []string{"identity", "gzip", "br", "zstd"} {
			w := get(t, h, "/a.txt", "Accept-Encoding: "+asked, "If-None-Match: "+etag)
			want := http.StatusOK
			if asked == accept {
				want = http.StatusNotModified
			}
			if w.Code != want || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("tag of %s, asked for %s: %d, Vary %q, want %d", accept, asked, w.Code, w.Header().Get("Vary"), want)
			}
			w = get(t, h, "/a.txt", "Accept-Encoding: "+asked, "If-Range: "+etag, "Range: bytes=0-1")
			if want = 200; asked == accept {
				want = 206
			}
			if w.Code != want {
				t.Errorf("If-Range of %s, asked for %s: %d, want %d", accept, asked, w.Code, want)
			}
		}
	}
	// The size of a refused range is that of the chosen bytes.
	w := get(t, h, "/a.txt", "Accept-Encoding: gzip", "Range: bytes=8-")
	if w.Code != 416 || w.Header().Get("Content-Range") != "bytes */8" || w.Header().Get("Vary") == "" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("416: %d %v", w.Code, w.Header())
	}
	if w := get(t, h, "/a.txt", "Accept-Encoding: gzip", "Range: bytes=0-1,4-5"); w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("several parts of encoded content: %d %v, want it as a whole", w.Code, w.Header())
	}
	if w := do(t, h, "HEAD", "/a.txt", "Accept-Encoding: gzip"); w.Header().Get("Content-Length") != "8" || w.Body.Len() != 0 {
		t.Errorf("HEAD: %v", w.Header())
	}
}

func TestPrecompressedWhatIsLookedFor(t *testing.T) {
	h, dir := newPrecompressed(t, Options{Precompressed: []string{"gzip", "br"}})
	if err := os.Mkdir(filepath.Join(dir, "plain.txt.gz"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "sub/index.html", "page")
	write(t, dir, "sub/index.html.br", "small page")
	all := "Accept-Encoding: zstd, br, gzip"
	for _, test := range []struct{ target, encoding, vary, body string }{
		{"/a.txt", "gzip", "Accept-Encoding", "a.txt.gz"}, // our order; zstd is not asked for
		{"/plain.txt", "", "Accept-Encoding", "plain.txt"},
		{"/a.txt.gz", "", "", "a.txt.gz"},
		{"/a.txt.zst", "", "Accept-Encoding", "a.txt.zst"},
		{"/sub/", "br", "Accept-Encoding", "small page"},
	} {
		w := get(t, h, test.target, all)
		if w.Code != 200 || w.Body.String() != test.body || w.Header().Get("Content-Encoding") != test.encoding || w.Header().Get("Vary") != test.vary {
			t.Errorf("%s: %d %q %v", test.target, w.Code, w.Body, w.Header())
		}
	}
	if w := get(t, newHandler(t, dir, Options{}), "/a.txt", all); w.Header().Get("Vary") != "" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("not asked for: %v", w.Header())
	}
}

// What becomes of the siblings is seen at the next look, as of the file itself.
func TestPrecompressedChanges(t *testing.T) {
	steps := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string
	}{
		{"all there", func(*testing.T, string) {}, "zstd"},
		{"one goes", func(t *testing.T, dir string) { remove(t, dir, "a.txt.zst") }, "br"},
		{"one is older than the file", func(t *testing.T, dir string) { setTime(t, filepath.Join(dir, "a.txt.br"), oldTime.Add(-time.Second)) }, "gzip"},
		{"it is made again", func(t *testing.T, dir string) { setTime(t, filepath.Join(dir, "a.txt.br"), oldTime.Add(time.Second)) }, "br"},
		{"one comes", func(t *testing.T, dir string) { write(t, dir, "a.txt.zst", "new") }, "zstd"},
		{"the file is newer than all", func(t *testing.T, dir string) { setTime(t, filepath.Join(dir, "a.txt"), oldTime.Add(time.Hour)) }, ""},
	}
	for name, opts := range map[string]Options{"memory": {}, "open": {CacheFileBytes: -1}} {
		opts.Revalidate = time.Hour
		h, dir := newPrecompressed(t, opts)
		for _, step := range steps {
			step.change(t, dir)
			h.revalidateNow()
			for range 2 {
				w := get(t, h, "/a.txt", "Accept-Encoding: *")
				if got := w.Header().Get("Content-Encoding"); got != step.want {
					t.Errorf("%s: %s: %q, want %q", name, step.name, got, step.want)
				}
			}
			h.cache.check(t)
		}
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
