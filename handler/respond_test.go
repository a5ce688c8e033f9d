package handler

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func newRespond(t *testing.T, opts RespondOptions) *Respond {
	t.Helper()
	rs, err := NewRespond(opts)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestRespond(t *testing.T) {
	tests := []struct {
		name   string
		opts   RespondOptions
		status int
		body   string
		header map[string]string // "" means absent
	}{
		{"zero value", RespondOptions{}, 200, "", map[string]string{"Content-Length": "0", "Content-Type": ""}},
		{"body", RespondOptions{Body: []byte("hello")}, 200, "hello", map[string]string{"Content-Length": "5", "Content-Type": "text/plain; charset=utf-8"}},
		{"status", RespondOptions{Status: 503, Body: []byte("no")}, 503, "no", map[string]string{"Content-Length": "2"}},
		{"204 frames nothing", RespondOptions{Status: 204}, 204, "", map[string]string{"Content-Length": "", "Content-Type": ""}},
		{"304 frames nothing", RespondOptions{Status: 304}, 304, "", map[string]string{"Content-Length": ""}},
		{"205 has no body", RespondOptions{Status: 205}, 205, "", map[string]string{"Content-Length": "0"}},
		{"size", RespondOptions{BodySize: 70}, 200, "00000000 penstock, fixed answer\n00000032 penstock, fixed answer\n000000", map[string]string{"Content-Length": "70"}},
		{
			"header",
			RespondOptions{Body: []byte("{}"), Header: http.Header{"content-type": {"application/json"}, "X-A": {"1", "2"}}},
			200, "{}",
			map[string]string{"Content-Type": "application/json", "X-A": "1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := get(newRespond(t, test.opts), "/any/path?q")
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, test.status, test.body)
			}
			for name, want := range test.header {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestRespondRefusesOptions(t *testing.T) {
	tests := map[string]RespondOptions{
		"between 200 and 599": {Status: 199},
		"status 600":          {Status: 600},
		"status 100":          {Status: 100},
		"exclude each other":  {Body: []byte("x"), BodySize: 1},
		"is negative":         {BodySize: -1},
		"delay":               {Delay: -1},
		"204 has no body":     {Status: 204, Body: []byte("x")},
		"205 has no body":     {Status: 205, BodySize: 1},
		"server's own":        {Header: http.Header{"content-length": {"5"}}},
		"Transfer-Encoding":   {Header: http.Header{"Transfer-Encoding": {"chunked"}}},
		"only \"close\"":      {Header: http.Header{"Connection": {"keep-alive"}}},
		"not a field name":    {Header: http.Header{"a b": {"x"}}},
		"control character":   {Header: http.Header{"A": {"x\r\nSet-Cookie: y"}}},
	}
	for want, opts := range tests {
		if _, err := NewRespond(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", opts, err, want)
		}
	}
}

func TestRespondLargeBody(t *testing.T) {
	const size = 3*respondBlockBytes + 17
	w := get(newRespond(t, RespondOptions{BodySize: size}), "/")
	if w.Body.Len() != size || w.Header().Get("Content-Length") != strconv.Itoa(size) {
		t.Errorf("body of %d bytes, Content-Length %s, want %d", w.Body.Len(), w.Header().Get("Content-Length"), size)
	}
	head := httptest.NewRecorder()
	newRespond(t, RespondOptions{BodySize: 1 << 40}).ServeHTTP(head, httptest.NewRequest(http.MethodHead, "/", nil))
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") != strconv.Itoa(1<<40) {
		t.Errorf("HEAD: %d bytes, %v", head.Body.Len(), head.Header())
	}
}

func TestRespondReadsTheBodyFirst(t *testing.T) {
	body := &countingReader{Reader: bytes.NewReader(make([]byte, 100_000))}
	w := httptest.NewRecorder()
	newRespond(t, RespondOptions{}).ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/", body))
	if w.Code != http.StatusOK || body.n != 100_000 {
		t.Errorf("answered %d after %d bytes, want 200 after 100000", w.Code, body.n)
	}
}

type countingReader struct {
	io.Reader
	n int
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

func TestRespondNeverPraisesABrokenBody(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
	}{
		{"cut", io.ErrUnexpectedEOF, 400},
		{"malformed", errors.New("bad chunk"), 400},
		{"slow", os.ErrDeadlineExceeded, 408},
		{"too large", &http.MaxBytesError{Limit: 1}, 413},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := io.MultiReader(strings.NewReader("part"), iotest.ErrReader(test.err))
			w := httptest.NewRecorder()
			newRespond(t, RespondOptions{Body: []byte("fine")}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", body))
			if w.Code != test.status || w.Header().Get("Connection") != "close" {
				t.Errorf("got %d, Connection %q, want %d and close", w.Code, w.Header().Get("Connection"), test.status)
			}
		})
	}
}

func TestRespondDelay(t *testing.T) {
	synctest.Test(t, testRespondDelay)
}

func testRespondDelay(t *testing.T) {
	rs := newRespond(t, RespondOptions{Delay: 3 * time.Second})
	start := time.Now()
	get(rs, "/")
	if got := time.Since(start); got != 3*time.Second {
		t.Errorf("answered after %v, want 3s", got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start = time.Now()
	defer func() {
		if got, _ := recover().(error); !errors.Is(got, http.ErrAbortHandler) {
			t.Errorf("panic %v, want http.ErrAbortHandler", got)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("given up after %v, want when the client left", got)
		}
	}()
	rs.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	plain := httptest.NewRequest(http.MethodGet, "/none", nil)
	index := httptest.NewRequest(http.MethodGet, "/", nil)
	site := NewSite(NewVersion(BuildVersion()))
	tests := []struct {
		name string
		h    http.Handler
		r    *http.Request
	}{
		{"respond", newRespond(t, RespondOptions{Body: []byte("hello"), Header: http.Header{"X-A": {"1"}}}), plain},
		{"respond size", newRespond(t, RespondOptions{BodySize: 1 << 20}), plain},
		{"site index", site, index},
		{"site 404", site, plain},
		{"version", NewVersion(BuildVersion()), plain},
		{"not found", NotFound{}, plain},
	}
	for _, test := range tests {
		if got := allocations(test.h, test.r); got != 0 {
			t.Errorf("%s: %v allocations a request, want 0", test.name, got)
		}
	}
}
