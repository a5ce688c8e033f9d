package static

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOptionsAreChecked(t *testing.T) {
	dir := t.TempDir()
	for _, opts := range []Options{
		{Prefix: "assets"},
		{Prefix: "/a/../b"},
		{Prefix: "//a"},
		{Prefix: "/.hidden"},
		{Prefix: "/a\\b"},
		{Index: []string{""}},
		{Index: []string{"a/b"}},
		{Index: []string{".."}},
		{Index: []string{".hidden"}},
		{Index: []string{"a/"}},
		{NotFound: "404.html"},
		{NotFound: "/"},
		{NotFound: "/../404.html"},
		{NotFound: "/dir/"},
		{CacheControl: "a\nb"},
		{Precompressed: []string{"deflate"}},
		{Precompressed: []string{"gzip", "gzip"}},
		{Precompressed: []string{"GZIP"}},
	} {
		if h, err := New(dir, opts); err == nil {
			_ = h.Close()
			t.Errorf("%+v was taken", opts)
		}
	}
}

func TestPrefix(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "index.html", "top")
	write(t, dir, "a.txt", "file")
	write(t, dir, "sub/index.html", "sub")
	write(t, dir, "404.html", "nothing here")
	for _, prefix := range []string{"/assets", "/assets/"} {
		h := newHandler(t, dir, Options{Prefix: prefix, NotFound: "/404.html"})
		for range 2 {
			for target, want := range map[string]string{
				"/assets/": "top", "/assets/a.txt": "file", "/assets/sub/": "sub", "/%61ssets/a.txt": "file", "/assets/404.html": "nothing here",
			} {
				if w := get(t, h, target); w.Code != 200 || w.Body.String() != want {
					t.Errorf("%s: %s: %d %q", prefix, target, w.Code, w.Body)
				}
			}
			for _, target := range []string{"/", "/a.txt", "/asset", "/assetsx", "/assets//a.txt", "/assets/assets/a.txt", "/Assets/a.txt", "/assets%2fa.txt", "/assets/../a.txt"} {
				if w := get(t, h, target); w.Code != 404 || w.Body.String() != "nothing here" {
					t.Errorf("%s: %s: %d %q, want 404", prefix, target, w.Code, w.Body)
				}
			}
		}
		for target, want := range map[string]string{"/assets": "./assets/", "/assets/sub": "./sub/"} {
			w := get(t, h, target)
			base := &url.URL{Path: target}
			u, err := base.Parse(w.Header().Get("Location"))
			if w.Code != 301 || w.Header().Get("Location") != want || err != nil || u.Path != target+"/" {
				t.Errorf("%s: %s: %d %q leads to %v", prefix, target, w.Code, w.Header().Get("Location"), u)
			}
		}
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "both/index.html", "html")
	write(t, dir, "both/default.htm", "htm")
	write(t, dir, "one/default.htm", "htm")
	write(t, dir, "index-is-a-directory/index.html/x", "x")
	write(t, dir, "index-is-a-directory/default.htm", "htm")
	two := newHandler(t, dir, Options{Index: []string{"index.html", "default.htm"}, Revalidate: time.Hour})
	for range 2 {
		for target, want := range map[string]string{"/both/": "html", "/one/": "htm", "/index-is-a-directory/": "htm"} {
			if w := get(t, two, target); w.Body.String() != want {
				t.Errorf("%s: %d %q", target, w.Code, w.Body)
			}
		}
	}
	// A better index that comes later is seen at the next look; so is its end.
	write(t, dir, "one/index.html", "html")
	two.revalidateNow()
	if w := get(t, two, "/one/"); w.Body.String() != "html" {
		t.Errorf("a better index has come: %q", w.Body)
	}
	remove(t, dir, "one/index.html")
	two.revalidateNow()
	if w := get(t, two, "/one/"); w.Body.String() != "htm" {
		t.Errorf("and gone: %q", w.Body)
	}
	none := newHandler(t, dir, Options{Index: []string{}, Browse: true})
	if w := get(t, none, "/both/"); !strings.Contains(w.Body.String(), `href="./index.html"`) {
		t.Errorf("no index: %q", w.Body)
	}
}

func TestNotFoundPage(t *testing.T) {
	for name, opts := range map[string]Options{"memory": {}, "open": {CacheFileBytes: -1}, "not kept": {CacheEntries: -1}} {
		dir := t.TempDir()
		write(t, dir, "errors/404.html", "<h1>nothing</h1>")
		write(t, dir, "errors/404.html.gz", "packed")
		opts.NotFound, opts.CacheControl, opts.Precompressed = "/errors/404.html", "max-age=9", []string{"gzip"}
		opts.Revalidate = time.Hour
		h := newHandler(t, dir, opts)
		for range 2 {
			for _, target := range []string{"/none", "/.hidden", "/a%2fb", "/errors/none/"} {
				w := get(t, h, target, "If-None-Match: *", "Range: bytes=0-1")
				f := w.Header()
				if w.Code != 404 || w.Body.String() != "<h1>nothing</h1>" || f.Get("Content-Type") != "text/html; charset=utf-8" || f.Get("Content-Length") != "16" {
					t.Errorf("%s: %s: %d %q %v", name, target, w.Code, w.Body, f)
				}
				if f.Get("Etag") != "" || f.Get("Cache-Control") != "" || f.Get("Accept-Ranges") != "" || f.Get("Vary") != "Accept-Encoding" || f.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: %s: fields %v", name, target, f)
				}
			}
		}
		if w := get(t, h, "/none", "Accept-Encoding: gzip"); w.Code != 404 || w.Body.String() != "packed" || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: packed: %d %q", name, w.Code, w.Body)
		}
		if w := do(t, h, "HEAD", "/none"); w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "16" {
			t.Errorf("%s: HEAD: %d %v", name, w.Code, w.Header())
		}
		if w := get(t, h, "/errors/404.html"); w.Code != 200 || w.Header().Get("Cache-Control") != "max-age=9" {
			t.Errorf("%s: the page itself: %d %v", name, w.Code, w.Header())
		}
		if err := os.RemoveAll(filepath.Join(dir, "errors")); err != nil {
			t.Fatal(err)
		}
		h.revalidateNow()
		if w := get(t, h, "/none"); w.Code != 404 || w.Body.String() != string(notFound.body) {
			t.Errorf("%s: without the page: %d %q", name, w.Code, w.Body)
		}
	}
}

func TestCacheControl(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "0123456789")
	h := newHandler(t, dir, Options{CacheControl: "public, max-age=60", Browse: true})
	etag := get(t, h, "/a.txt").Header().Get("Etag")
	for _, test := range []struct {
		target string
		fields []string
		status int
		want   string
	}{
		{"/a.txt", nil, 200, "public, max-age=60"},
		{"/a.txt", []string{"Range: bytes=0-1"}, 206, "public, max-age=60"},
		{"/a.txt", []string{"Range: bytes=0-1,5-6"}, 206, "public, max-age=60"},
		{"/a.txt", []string{"If-None-Match: " + etag}, http.StatusNotModified, "public, max-age=60"},
		{"/a.txt", []string{"Range: bytes=99-"}, 416, ""},
		{"/a.txt", []string{`If-Match: "x"`}, 412, ""},
		{"/none", nil, 404, ""},
		{"/", nil, 200, "no-cache"},
	} {
		if w := get(t, h, test.target, test.fields...); w.Code != test.status || w.Header().Get("Cache-Control") != test.want {
			t.Errorf("%s %v: %d, Cache-Control %q, want %d %q", test.target, test.fields, w.Code, w.Header().Get("Cache-Control"), test.status, test.want)
		}
	}
}
