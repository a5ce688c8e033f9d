package static

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPreconditions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "hello")
	write(t, dir, "big.txt", strings.Repeat("x", 200<<10))
	h := newHandler(t, dir, Options{})
	for _, target := range []string{"/a.txt", "/big.txt"} {
		etag := get(t, h, target).Header().Get("Etag")
		at := oldTime.Format(http.TimeFormat)
		before := oldTime.Add(-time.Second).Format(http.TimeFormat)
		after := oldTime.Add(time.Second).Format(http.TimeFormat)
		tests := []struct {
			name   string
			fields []string
			want   int
		}{
			{"13.1.1 If-Match same", []string{"If-Match: " + etag}, 200},
			{"13.1.1 If-Match in a list", []string{`If-Match: "x", ` + etag}, 200},
			{"13.1.1 If-Match in a second line", []string{`If-Match: "x"`, "If-Match: " + etag}, 200},
			{"13.1.1 If-Match any", []string{"If-Match: *"}, 200},
			{"13.1.1 If-Match other", []string{`If-Match: "x"`}, 412},
			{"13.1.1 If-Match compares strongly", []string{"If-Match: W/" + etag}, 412},
			{"13.1.1 If-Match garbage", []string{"If-Match: x"}, 412},
			{"13.1.2 If-None-Match same", []string{"If-None-Match: " + etag}, 304},
			{"13.1.2 If-None-Match compares weakly", []string{"If-None-Match: W/" + etag}, 304},
			{"13.1.2 If-None-Match in a list", []string{`If-None-Match: "a,b" ,, ` + etag}, 304},
			{"13.1.2 If-None-Match any", []string{"If-None-Match: *"}, 304},
			{"13.1.2 If-None-Match other", []string{`If-None-Match: "x"`}, 200},
			{"13.1.2 If-None-Match unquoted", []string{"If-None-Match: " + strings.Trim(etag, `"`)}, 200},
			{"13.1.2 If-None-Match unfinished", []string{"If-None-Match: " + strings.TrimSuffix(etag, `"`)}, 200},
			{"13.1.3 If-Modified-Since same", []string{"If-Modified-Since: " + at}, 304},
			{"13.1.3 If-Modified-Since later", []string{"If-Modified-Since: " + after}, 304},
			{"13.1.3 If-Modified-Since before", []string{"If-Modified-Since: " + before}, 200},
			{"13.1.3 If-Modified-Since no date", []string{"If-Modified-Since: yesterday"}, 200},
			{"13.1.3 If-Modified-Since twice", []string{"If-Modified-Since: " + at, "If-Modified-Since: " + at}, 200},
			{"13.1.4 If-Unmodified-Since same", []string{"If-Unmodified-Since: " + at}, 200},
			{"13.1.4 If-Unmodified-Since before", []string{"If-Unmodified-Since: " + before}, 412},
			{"13.1.4 If-Unmodified-Since no date", []string{"If-Unmodified-Since: x"}, 200},
			{"13.2.2 If-Match rules out If-Unmodified-Since", []string{"If-Match: " + etag, "If-Unmodified-Since: " + before}, 200},
			{"13.2.2 If-None-Match rules out If-Modified-Since", []string{`If-None-Match: "x"`, "If-Modified-Since: " + at}, 200},
			{"13.2.2 412 before 304", []string{`If-Match: "x"`, "If-None-Match: " + etag}, 412},
			{"13.2.2 304 before 206", []string{"If-None-Match: " + etag, "Range: bytes=0-1"}, 304},
		}
		for _, test := range tests {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := do(t, h, method, target, test.fields...)
				if w.Code != test.want {
					t.Errorf("%s %s %s: %d, want %d", test.name, method, target, w.Code, test.want)
				}
				if w.Code == http.StatusNotModified && (w.Header().Get("Etag") != etag || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "") {
					t.Errorf("%s: 304 with %v", test.name, w.Header())
				}
			}
		}
	}
}
