package static

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// part is one of an answer in several parts.
type part struct{ content, contentRange, contentType string }

// partsOf reads a multipart answer with the standard library's reader, and checks
// what the answer says of itself.
func partsOf(t testing.TB, w *httptest.ResponseRecorder) (parts []part, boundary string) {
	t.Helper()
	media, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil || media != "multipart/byteranges" {
		t.Fatalf("Content-Type %q: %v", w.Header().Get("Content-Type"), err)
	}
	if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
		t.Errorf("Content-Length %s, body %d", got, w.Body.Len())
	}
	if w.Header().Get("Content-Range") != "" {
		t.Error("RFC 9110 §15.3.7.2: a Content-Range of the whole multipart")
	}
	r := multipart.NewReader(bytes.NewReader(w.Body.Bytes()), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, params["boundary"]
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part{string(content), p.Header.Get("Content-Range"), p.Header.Get("Content-Type")})
	}
}

func TestSeveralRanges(t *testing.T) {
	const body = "0123456789abcdefghij"
	tests := []struct {
		value string
		want  []string // "first-last" of each part, in order
	}{
		{"0-1,5-6", []string{"0-1", "5-6"}},
		{"5-6,0-1", []string{"5-6", "0-1"}}, // the client's order
		{"0-0,-1", []string{"0-0", "19-19"}},
		{"0-1,50-,5-6", []string{"0-1", "5-6"}},
		{"8-9,0-1,2-3,7-7", []string{"7-9", "0-3"}},
		{"0-1,3-4,1-3,10-10", []string{"0-4", "10-10"}},
		{"18-,0-0", []string{"18-19", "0-0"}},
	}
	dir := t.TempDir()
	write(t, dir, "a.txt", body)
	for name, opts := range map[string]Options{"memory": {}, "file": {CacheFileBytes: -1}} {
		h := newHandler(t, dir, opts)
		for _, test := range tests {
			w := get(t, h, "/a.txt", "Range: bytes="+test.value)
			if w.Code != http.StatusPartialContent || !strings.HasPrefix(w.Header().Get("Etag"), `"`) {
				t.Errorf("%s %s: %d %v", name, test.value, w.Code, w.Header())
				continue
			}
			parts, _ := partsOf(t, w)
			if len(parts) != len(test.want) {
				t.Errorf("%s %s: %v, want %v", name, test.value, parts, test.want)
				continue
			}
			for i, want := range test.want {
				var first, last int
				_, _ = fmt.Sscanf(want, "%d-%d", &first, &last)
				if p := parts[i]; p.content != body[first:last+1] || p.contentRange != "bytes "+want+"/20" || p.contentType != "text/plain; charset=utf-8" {
					t.Errorf("%s %s: part %d is %+v, want %s", name, test.value, i, p, want)
				}
			}
		}
	}
}

// The boundary is another one each time, so that no file can hold it.
func TestBoundary(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "0123456789")
	h := newHandler(t, dir, Options{})
	seen := map[string]bool{}
	for range 20 {
		w := get(t, h, "/a.txt", "Range: bytes=0-1,5-6")
		_, boundary := partsOf(t, w)
		if seen[boundary] || len(boundary) < 26 {
			t.Errorf("boundary %q: seen before, or short", boundary)
		}
		seen[boundary] = true
	}
}

// Rule S-8: a list that only makes work is answered with the whole file.
func TestManyRanges(t *testing.T) {
	const size = 10_000
	list := func(n int, spec func(i int) string) string {
		var all []string
		for i := range n {
			all = append(all, spec(i))
		}
		return "bytes=" + strings.Join(all, ",")
	}
	apart := func(i int) string { return fmt.Sprintf("%d-%d", 10*i, 10*i) }
	touching := func(i int) string { return fmt.Sprintf("%d-%d", i, i) }
	tests := []struct {
		name, value string
		want        int
		parts       int
	}{
		{"as many as are sent", list(maxRanges, apart), 206, maxRanges},
		{"one more", list(maxRanges+1, apart), 200, 0},
		{"more, that merge into one", list(maxRanges+1, touching), 206, 1},
		{"more than are looked at", list(maxRangeSpecs+1, touching), 200, 0},
		{"as many as are looked at", list(maxRangeSpecs, touching), 206, 1},
		{"a thousand that overlap", list(1000, func(int) string { return "0-" }), 200, 0},
		{"two that sum to the file", "bytes=0-4999,5000-", 206, 1},
		{"two that sum to more", "bytes=0-5000,5000-", 200, 0},
		{"many beyond the end", list(100, func(int) string { return "10000-" }), 416, 0},
	}
	dir := t.TempDir()
	write(t, dir, "a.txt", strings.Repeat("0123456789", size/10))
	h := newHandler(t, dir, Options{})
	for _, test := range tests {
		w := get(t, h, "/a.txt", "Range: "+test.value)
		if w.Code != test.want {
			t.Errorf("%s: %d, want %d", test.name, w.Code, test.want)
			continue
		}
		if test.parts > 1 {
			if parts, _ := partsOf(t, w); len(parts) != test.parts {
				t.Errorf("%s: %d parts, want %d", test.name, len(parts), test.parts)
			}
		}
		if test.want == 200 && w.Body.Len() != size {
			t.Errorf("%s: %d bytes", test.name, w.Body.Len())
		}
	}
}
