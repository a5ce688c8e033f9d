package static

import (
	"bytes"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// differences are the ranges that http.ServeContent answers otherwise, and why. One
// more holds for all of them: net/http gives a HEAD a 206, where RFC 9110 §14.2 knows
// ranges for GET alone.
var differences = map[string]string{
	"bytes=3-1":     "RFC 9110 §14.1.1: an invalid range is ignored; net/http refuses it",
	"bytes=x":       "likewise",
	"lines=0-1":     "RFC 9110 §14.2: an unknown unit is ignored; net/http refuses it",
	"bytes=-0":      "RFC 9110 §14.1.2: a suffix of length 0 is unsatisfiable; net/http sends an empty part",
	"bytes=0-2,1-4": "RFC 9110 §15.3.7.2: overlaps are joined; net/http sends them as parts",
	"bytes=0-1,2-3": "likewise, what touches",
	"BYTES=0-1":     "RFC 9110 §14.1: names of units have no letter case; net/http refuses it",
}

// http.ServeContent, with the same entity tag, is the oracle for all combinations of
// conditions and ranges, on GET and HEAD.
func TestConditionsLikeNetHTTP(t *testing.T) {
	const body = "0123456789abcdefghij"
	dir := t.TempDir()
	write(t, dir, "a.txt", body)
	ours := newHandler(t, dir, Options{})
	etag := get(t, ours, "/a.txt").Header().Get("Etag")
	theirs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", etag)
		http.ServeContent(w, r, "a.txt", oldTime, strings.NewReader(body))
	})
	date := func(d time.Duration) string { return oldTime.Add(d).Format(http.TimeFormat) }
	axes := [][]string{
		{"", "If-Match: " + etag, "If-Match: W/" + etag, "If-Match: \"x\", " + etag, `If-Match: "x"`, "If-Match: *", "If-Match: garbage"},
		{"", "If-None-Match: " + etag, "If-None-Match: W/" + etag, `If-None-Match: "x"`, "If-None-Match: *"},
		{
			"", "If-Modified-Since: " + date(0), "If-Modified-Since: " + date(-time.Hour), "If-Modified-Since: " + date(time.Hour), "If-Modified-Since: garbage",
			"If-Unmodified-Since: " + date(0), "If-Unmodified-Since: " + date(-time.Hour), "If-Unmodified-Since: " + date(time.Hour), "If-Unmodified-Since: x",
		},
		{"", "If-Range: " + etag, "If-Range: W/" + etag, "If-Range: " + date(0), "If-Range: " + date(time.Hour), "If-Range: x"},
		{"", "Range: bytes=0-3", "Range: bytes=-5", "Range: bytes=15-", "Range: bytes=0-1,5-6", "Range: bytes=9-9,5-6,0-1", "Range: bytes=100-", "Range: bytes="},
	}
	count := 0
	for fields := range combinations(axes) {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			count++
			theirFields := fields
			if method == http.MethodHead {
				theirFields = slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return strings.HasPrefix(f, "Range: ") })
			}
			got, want := do(t, ours, method, "/a.txt", fields...), do(t, theirs, method, "/a.txt", theirFields...)
			if differ(t, got, want) {
				t.Fatalf("%s %q: %d %v %q, net/http %d %v %q", method, fields, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
			}
		}
	}
	if count < 20_000 {
		t.Errorf("only %d combinations", count)
	}
	for value, why := range differences {
		if !differ(t, get(t, ours, "/a.txt", "Range: "+value), get(t, theirs, "/a.txt", "Range: "+value)) {
			t.Errorf("%s: no difference left (%s)", value, why)
		}
	}
}

// combinations takes one of each axis; "" is none.
func combinations(axes [][]string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		if len(axes) == 0 {
			yield(nil)
			return
		}
		for _, last := range axes[0] {
			for fields := range combinations(axes[1:]) {
				if last != "" {
					fields = append(slices.Clone(fields), last)
				}
				if !yield(fields) {
					return
				}
			}
		}
	}
}

// differ compares what a client goes by. The text of an error, and the fields that
// tell of it, are ours.
func differ(t *testing.T, got, want *httptest.ResponseRecorder) bool {
	if got.Code != want.Code {
		return true
	}
	names := []string{"Content-Range", "Content-Length", "Etag", "Content-Type", "Accept-Ranges", "Last-Modified"}
	switch {
	case got.Code == http.StatusNotModified:
	case got.Code >= 400:
		names = names[:1]
	case strings.HasPrefix(want.Header().Get("Content-Type"), "multipart/"):
		if !strings.HasPrefix(got.Header().Get("Content-Type"), "multipart/") {
			return true
		}
		return got.Body.Len() > 0 && fmt.Sprint(firstOf(partsOf(t, got))) != fmt.Sprint(firstOf(partsOf(t, want)))
	case !bytes.Equal(got.Body.Bytes(), want.Body.Bytes()):
		return true
	}
	for _, name := range names {
		if got.Header().Get(name) != want.Header().Get(name) {
			return true
		}
	}
	return false
}

func firstOf(parts []part, _ string) []part { return parts }

// http.FileServer is the oracle for which path is which file.
func TestFilesLikeNetHTTP(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"index.html", "a.txt", "sub/index.html", "sub/b.css", "empty/x/y", "no type", "pic.png", "c.js", "d.json", "e.svg", "f.wasm"} {
		write(t, dir, name, "contents of "+name)
	}
	wanted := map[string]string{ // field: reason
		"no type": "no name, no active content: the type is not sniffed beyond text",
	}
	ours, theirs := newHandler(t, dir, Options{}), http.FileServer(http.FS(os.DirFS(dir)))
	for _, target := range []string{"/", "/a.txt", "/sub/", "/sub/b.css", "/sub", "/empty", "/none", "/a.txt/x", "/sub/none", "/no%20type", "/pic.png", "/c.js", "/d.json", "/e.svg"} {
		got, want := get(t, ours, target), get(t, theirs, target)
		if got.Code != want.Code || got.Code == 200 && got.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %q, net/http %d %q", target, got.Code, got.Body, want.Code, want.Body)
		}
		base := request(t, "GET", target).URL
		a, _ := base.Parse(got.Header().Get("Location"))
		b, _ := base.Parse(want.Header().Get("Location"))
		if a == nil || b == nil || a.Path != b.Path {
			t.Errorf("%s: leads to %v, net/http to %v", target, a, b)
		}
		_, known := wanted[strings.ReplaceAll(strings.TrimPrefix(target, "/"), "%20", " ")]
		if same := got.Header().Get("Content-Type") == want.Header().Get("Content-Type"); got.Code == 200 && !same && !known {
			t.Errorf("%s: Content-Type %q, net/http %q", target, got.Header().Get("Content-Type"), want.Header().Get("Content-Type"))
		}
	}
}
