package handler

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// longText is worth it.
var longText = strings.Repeat("All work and no play makes Jack a dull boy.\n", 200)

func newCompress(t testing.TB, o CompressOptions) *Compress {
	t.Helper()
	c, err := NewCompress(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// uncompress undoes a content coding.
func uncompress(t testing.TB, coding string, b []byte) string {
	t.Helper()
	var out []byte
	var err error
	switch coding {
	case "":
		return string(b)
	case "zstd":
		out, err = unzstd(b)
	default:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			out, err = io.ReadAll(r)
		}
	}
	if err != nil {
		t.Errorf("%s of %d bytes: %v", coding, len(b), err)
	}
	return string(out)
}

// ask sends a request through a filter, with fields as "Name: value".
func ask(c *Compress, h http.HandlerFunc, method string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	c.Wrap(h).ServeHTTP(w, r)
	return w
}

// answering makes a handler that sets fields, and writes body in n parts.
func answering(status int, body string, n int, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Add(name, value)
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		for rest := body; rest != ""; {
			k := min(len(rest), len(body)/n+1)
			_, _ = io.WriteString(w, rest[:k])
			rest = rest[k:]
		}
	}
}

// compressTest is what a handler answers, and what becomes of it.
type compressTest struct {
	name       string
	status     int
	body       string
	fields     []string
	compressed bool
	vary       string
}

func TestCompress(t *testing.T) {
	html, length := "Content-Type: text/html; charset=utf-8", fmt.Sprintf("Content-Length: %d", len(longText))
	tests := []compressTest{
		{"text", 200, longText, []string{html}, true, "Accept-Encoding"},
		{"status not said", 0, longText, []string{html}, true, "Accept-Encoding"},
		{"length said", 200, longText, []string{html, length}, true, "Accept-Encoding"},
		{"type in other letters", 200, longText, []string{"Content-Type: Text/HTML ;charset=x"}, true, "Accept-Encoding"},
		{"type not said", 200, longText, nil, true, "Accept-Encoding"},
		{"type not said, length said", 0, longText, []string{length}, true, "Accept-Encoding"},
		{"an error page", 500, longText, []string{html}, true, "Accept-Encoding"},
		{"other Vary", 200, longText, []string{html, "Vary: Origin"}, true, "Origin,Accept-Encoding"},
		{"the same Vary", 200, longText, []string{html, "Vary: accept-encoding"}, true, "accept-encoding"},
		{"short", 200, "short", []string{html}, false, ""},
		{"short, length said", 200, "short", []string{html, "Content-Length: 5"}, false, ""},
		{"nothing", 200, "", []string{html}, false, ""},
		{"a type not on the list", 200, longText, []string{"Content-Type: image/png"}, false, ""},
		{"an event stream", 200, longText, []string{"Content-Type: text/event-stream"}, false, ""},
		{"not text by its begin", 200, "\x00\x01" + longText, nil, false, ""},
		{"encoded", 200, longText, []string{html, "Content-Encoding: br"}, false, ""},
		{"no-transform", 200, longText, []string{html, "Cache-Control: max-age=1, No-Transform"}, false, ""},
		{"a digest", 200, longText, []string{html, "Repr-Digest: sha-256=:x:"}, false, ""},
		{"trailers", 200, longText, []string{html, "Trailer: X-End"}, false, ""},
		{"a part", 206, longText, []string{html, "Content-Range: bytes 0-1/2"}, false, "Accept-Encoding"},
		{"a part of an image", 206, longText, []string{"Content-Type: image/png"}, false, ""},
		{"204", 204, "", []string{html}, false, ""},
		{"304", 304, "", nil, false, "Accept-Encoding"},
	}
	for _, coding := range knownEncodings() {
		c := newCompress(t, CompressOptions{Encodings: []string{coding}})
		for _, test := range tests {
			for _, parts := range []int{1, 3, 500} {
				test.run(t, c, coding, parts)
			}
		}
		if n := c.encoders.lent.Load(); n != 0 {
			t.Errorf("%s: %d encoders were not given back", coding, n)
		}
	}
}

func (test compressTest) run(t *testing.T, c *Compress, coding string, parts int) {
	t.Helper()
	want := ""
	if test.compressed {
		want = coding
	}
	h := answering(test.status, test.body, parts, test.fields...)
	encodedAlready := test.name == "encoded"
	w := ask(c, h, "GET", "Accept-Encoding: br, "+coding)
	got := w.Header()
	if got.Get("Content-Encoding") != want && !encodedAlready || uncompress(t, want, w.Body.Bytes()) != test.body {
		t.Errorf("%s, %s, %d parts: Content-Encoding %q, %d bytes", coding, test.name, parts, got.Get("Content-Encoding"), w.Body.Len())
	}
	if test.status != 0 && w.Code != test.status {
		t.Errorf("%s, %s: status %d", coding, test.name, w.Code)
	}
	if test.compressed && (w.Body.Len() > len(test.body)/2 || got.Get("Content-Length") != "" || got.Get("Content-Type") == "") {
		t.Errorf("%s, %s: %d of %d bytes, %v", coding, test.name, w.Body.Len(), len(test.body), got)
	}
	if vary := strings.Join(got["Vary"], ","); vary != test.vary {
		t.Errorf("%s, %s: Vary %q, want %q", coding, test.name, vary, test.vary)
	}
	// Who takes none gets it as it is, and is told that it varies.
	w = ask(c, h, "GET", "Accept-Encoding: br, "+coding+";q=0")
	if w.Body.String() != test.body || w.Header().Get("Content-Encoding") != "" && !encodedAlready || test.compressed && strings.Join(w.Header()["Vary"], ",") != test.vary {
		t.Errorf("%s, %s, refused: %d bytes, %v", coding, test.name, w.Body.Len(), w.Header())
	}
}

func TestCompressValidators(t *testing.T) {
	c := newCompress(t, CompressOptions{Encodings: []string{"gzip"}})
	tests := []struct {
		name, etag string
		status     int
		fields     []string
		want       string
	}{
		{"strong becomes weak", `"x"`, 200, nil, `W/"x"`},
		{"weak stays", `W/"x"`, 200, nil, `W/"x"`},
		{"304 for who has ours", `"x"`, 304, []string{`If-None-Match: "a", W/"x"`}, `W/"x"`},
		{"304 for who has the plain one", `"x"`, 304, []string{`If-None-Match: "x"`}, `"x"`},
	}
	for _, test := range tests {
		body := longText
		if test.status == 304 {
			body = ""
		}
		h := answering(test.status, body, 1, "Content-Type: text/plain", "Accept-Ranges: bytes", "Etag: "+test.etag)
		w := ask(c, h, "GET", append(test.fields, "Accept-Encoding: gzip")...)
		if got := w.Header().Get("Etag"); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if test.status == 200 && w.Header().Get("Accept-Ranges") != "" {
			t.Errorf("%s: offers ranges of other bytes", test.name)
		}
	}
	if w := ask(c, answering(200, longText, 1, "Content-Type: text/plain", `Etag: "x"`), "GET"); w.Header().Get("Etag") != `"x"` {
		t.Errorf("not compressed: %s", w.Header().Get("Etag"))
	}
}

// RFC 9110 §9.3.2: HEAD tells what GET would, and sends nothing.
func TestCompressHead(t *testing.T) {
	c := newCompress(t, CompressOptions{Encodings: []string{"gzip"}, MaxEncoders: 1})
	for name, h := range map[string]http.HandlerFunc{
		"length said":     answering(200, "", 1, "Content-Type: text/plain", "Content-Length: 9000", `Etag: "x"`),
		"content written": answering(200, longText, 5, "Content-Type: text/plain", `Etag: "x"`),
	} {
		w := ask(c, h, "HEAD", "Accept-Encoding: gzip")
		f := w.Header()
		if f.Get("Content-Encoding") != "gzip" || f.Get("Content-Length") != "" || f.Get("Etag") != `W/"x"` || f.Get("Vary") != "Accept-Encoding" || w.Body.Len() != 0 {
			t.Errorf("%s: %v, %d bytes", name, f, w.Body.Len())
		}
	}
	if w := ask(c, answering(200, "", 1, "Content-Type: text/plain", "Content-Length: 9"), "HEAD", "Accept-Encoding: gzip"); w.Header().Get("Content-Length") != "9" {
		t.Errorf("short: %v", w.Header())
	}
}

// S-9: above the bound answers go as they are; all encoders come back, whatever
// their handler does.
func TestCompressBoundsEncoders(t *testing.T) {
	for _, coding := range knownEncodings() {
		c := newCompress(t, CompressOptions{Encodings: []string{coding}, MaxEncoders: 2})
		inside, leave := make(chan struct{}), make(chan struct{})
		var holders sync.WaitGroup
		for i := range 2 {
			holders.Go(func() {
				defer func() { _ = recover() }()
				_ = ask(c, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/plain")
					_, _ = io.WriteString(w, longText)
					inside <- struct{}{}
					<-leave
					if i == 1 {
						panic(http.ErrAbortHandler)
					}
				}, "GET", "Accept-Encoding: "+coding)
			})
		}
		<-inside
		<-inside
		w := ask(c, answering(200, longText, 1, "Content-Type: text/plain", "Content-Length: "+fmt.Sprint(len(longText)), `Etag: "x"`), "GET", "Accept-Encoding: "+coding)
		f := w.Header()
		if w.Body.String() != longText || f.Get("Content-Encoding") != "" || f.Get("Vary") != "Accept-Encoding" || f.Get("Etag") != `"x"` || f.Get("Content-Length") == "" || c.Skipped() != 1 {
			t.Errorf("%s: above the bound: %v, %d bytes, %d skipped", coding, f, w.Body.Len(), c.Skipped())
		}
		close(leave)
		holders.Wait()
		if n := c.encoders.lent.Load(); n != 0 {
			t.Errorf("%s: %d encoders were not given back", coding, n)
		}
		if w := ask(c, answering(200, longText, 1, "Content-Type: text/plain"), "GET", "Accept-Encoding: "+coding); uncompress(t, w.Header().Get("Content-Encoding"), w.Body.Bytes()) != longText || w.Header().Get("Content-Encoding") != coding {
			t.Errorf("%s: afterwards: %v", coding, w.Header())
		}
	}
}

// Each flush lets the client read all that was written: event streams work.
func TestCompressFlush(t *testing.T) {
	for _, coding := range knownEncodings() {
		c := newCompress(t, CompressOptions{Encodings: []string{coding}, Types: []string{"text/event-stream"}})
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", coding)
		var sent string
		c.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 5 {
				event := fmt.Sprintf("data: %d\n\n", i)
				_, _ = io.WriteString(w, event)
				sent += event
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				if got := begun(t, coding, rec.Body.Bytes()); got != sent {
					t.Errorf("%s: after %d flushes a client has %q, want %q", coding, i+1, got, sent)
				}
			}
		})).ServeHTTP(rec, r)
		if got := uncompress(t, coding, rec.Body.Bytes()); got != sent || !rec.Flushed {
			t.Errorf("%s: %q", coding, got)
		}
	}
}

// begun decodes what there is of an answer that goes on.
func begun(t *testing.T, coding string, b []byte) string {
	t.Helper()
	if coding == "zstd" {
		out, _ := unzstd(b) // what there is, and that the rest is missing
		return string(out)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Error(err)
		return ""
	}
	out, err := io.ReadAll(r)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want that the rest is missing", err)
	}
	return string(out)
}

// An answer that is not whole must not pass for a whole one.
func TestCompressCutStaysVisible(t *testing.T) {
	c := newCompress(t, CompressOptions{Encodings: []string{"gzip"}})
	for name, test := range map[string]struct {
		h    http.HandlerFunc
		want any
	}{
		"shorter than said": {answering(200, longText[:5000], 1, "Content-Type: text/plain", "Content-Length: 8800"), http.ErrAbortHandler},
		"aborted": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, longText)
			panic(http.ErrAbortHandler)
		}, http.ErrAbortHandler},
		"panicked": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, longText); panic("x") }, "x"},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		func() {
			defer func() {
				if p := recover(); p != test.want {
					t.Errorf("%s: panic %v, want %v", name, p, test.want)
				}
			}()
			c.Wrap(test.h).ServeHTTP(w, r)
		}()
		zr, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
		if err == nil {
			_, err = io.Copy(io.Discard, zr)
		}
		if err == nil {
			t.Errorf("%s: what was sent is a whole gzip", name)
		}
	}
	w := ask(c, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2000")
		w.Header().Set("Content-Type", "text/plain")
		if n, err := io.WriteString(w, longText); n != 0 || !errors.Is(err, http.ErrContentLength) {
			t.Errorf("more than said: %d, %v", n, err)
		}
		_, _ = io.WriteString(w, longText[:2000])
	}, "GET", "Accept-Encoding: gzip")
	if uncompress(t, "gzip", w.Body.Bytes()) != longText[:2000] {
		t.Error("what was said did not come")
	}
	if n := c.encoders.lent.Load(); n != 0 {
		t.Errorf("%d encoders were not given back", n)
	}
}

// A writer that a handler keeps must not reach the encoder, which is another's by then.
func TestCompressLateWrites(t *testing.T) {
	c := newCompress(t, CompressOptions{Encodings: []string{"gzip"}})
	var kept http.ResponseWriter
	ask(c, func(w http.ResponseWriter, _ *http.Request) {
		kept = w
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, longText)
	}, "GET", "Accept-Encoding: gzip")
	if n, err := kept.Write([]byte("late")); n != 0 || err == nil {
		t.Errorf("late write: %d, %v", n, err)
	}
	_ = http.NewResponseController(kept).Flush() // the engine's to refuse
	if n := c.encoders.lent.Load(); n != 0 {
		t.Errorf("%d encoders are lent", n)
	}
}

func TestCompressOptions(t *testing.T) {
	for _, o := range []CompressOptions{
		{Encodings: []string{}},
		{Encodings: []string{"br"}},
		{Encodings: []string{"gzip", "gzip"}},
		{Types: []string{"text"}},
		{Types: []string{"text/*"}},
		{Types: []string{"text/html; charset=utf-8"}},
		{MinBytes: maxMinBytes + 1},
		{Level: 10},
		{Level: -1},
		{WindowBytes: 1000},
		{WindowBytes: 16 << 20},
		{WindowBytes: 3 << 20},
		{MaxEncoders: -1},
	} {
		if _, err := NewCompress(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, o := range []CompressOptions{{MinBytes: -1}, {Level: 1}, {Level: 9, WindowBytes: 1 << 20}, {WindowBytes: minWindowBytes}} {
		c := newCompress(t, o)
		for _, coding := range knownEncodings() {
			w := ask(c, answering(200, longText, 7, "Content-Type: text/plain"), "GET", "Accept-Encoding: "+coding)
			if w.Header().Get("Content-Encoding") != coding || uncompress(t, coding, w.Body.Bytes()) != longText {
				t.Errorf("%+v, %s: %v", o, coding, w.Header())
			}
		}
	}
	w := ask(newCompress(t, CompressOptions{MinBytes: -1}), answering(200, "x", 1, "Content-Type: text/plain"), "GET", "Accept-Encoding: gzip")
	if uncompress(t, "gzip", w.Body.Bytes()) != "x" {
		t.Error("without a least size")
	}
}

// What is not compressed costs one look at the fields.
func TestCompressPassesWithoutAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	page := newPage(200, []string{"image/png"}, []byte(longText))
	h := newCompress(t, CompressOptions{}).Wrap(recycling{page})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	if n := allocations(h, r); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

type recycling struct{ *page }

func (p recycling) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.serve(w, r) }
func (recycling) RecycleRequests() bool                              { return true }

func BenchmarkCompress(b *testing.B) {
	page := newPage(200, textPlain, []byte(longText))
	for _, coding := range knownEncodings() {
		b.Run(coding, func(b *testing.B) {
			h := newCompress(b, CompressOptions{Encodings: []string{coding}}).Wrap(recycling{page})
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept-Encoding", coding)
			w := newStubWriter()
			b.ReportAllocs()
			b.SetBytes(int64(len(longText)))
			for b.Loop() {
				clear(w.header)
				w.bytes = 0
				h.ServeHTTP(w, r)
				if w.bytes == 0 || w.bytes > len(longText)/2 {
					b.Fatalf("%d bytes", w.bytes)
				}
			}
		})
	}
}
