package h1

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// TestWriteFields: an answer whose fields are passed on is the answer that the
// same fields in the header map make, but for their order and spelling.
func TestWriteFields(t *testing.T) {
	answers := []struct {
		name   string
		status int
		fields []string
		body   string
	}{
		{"plain", 200, []string{"Content-Type: text/plain", "Content-Length: 5"}, "hello"},
		{"letter case", 200, []string{"content-type: text/plain", "CONTENT-LENGTH: 5", "x-a: 1"}, "hello"},
		{"no length", 200, []string{"X-A: 1", "X-B: 2"}, "hello"},
		{"sniffed", 200, nil, "<html>"},
		{"encoded", 200, []string{"Content-Encoding: gzip"}, "\x1f\x8b"},
		{"date and alt-svc", 200, []string{"Date: Mon, 02 Jan 2006 15:04:05 GMT", "Alt-Svc: clear"}, "x"},
		{"close", 200, []string{"Connection: close"}, "x"},
		{"framing is ours", 200, []string{"Transfer-Encoding: chunked", "X-A: 1"}, "x"},
		{"bad length", 200, []string{"Content-Length: x"}, "x"},
		{"not modified", 304, []string{"Content-Type: text/plain", "ETag: \"a\"", "Content-Length: 7"}, ""},
		{"no content", 204, []string{"X-A: 1"}, ""},
		{"forbidden bytes", 200, []string{"X-A: a\x00b", "X(B: c"}, "x"},
		{"trailer", 200, []string{"Trailer: X-T"}, "x"},
		{"error", 502, []string{"Retry-After: 1", "Content-Length: 1"}, "x"},
	}
	for _, a := range answers {
		var fields []semantics.Field
		header := make(http.Header)
		for _, f := range a.fields {
			name, value, _ := strings.Cut(f, ": ")
			fields = append(fields, semantics.Field{Name: []byte(name), Value: []byte(value)})
			header.Add(name, value)
		}
		script(t, a.name, func(t *testing.T, fm form) {
			for _, method := range []string{"GET", "HEAD"} {
				ask := func(begin func(w http.ResponseWriter)) []string {
					p := dial(t, fm, func(w http.ResponseWriter, _ *http.Request) {
						begin(w)
						io.WriteString(w, a.body)
						if a.name == "trailer" {
							w.Header().Set("X-T", "end")
						}
					})
					p.write(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
					lines := strings.Split(strings.ToLower(p.got()), "\r\n")
					slices.Sort(lines)
					return lines
				}
				got := ask(func(w http.ResponseWriter) { w.(*response).WriteFields(a.status, fields) })
				want := ask(func(w http.ResponseWriter) {
					maps.Copy(w.Header(), header)
					w.WriteHeader(a.status)
				})
				if !slices.Equal(got, want) {
					t.Errorf("%s: got\n%q, with the map\n%q", method, got, want)
				}
			}
		})
	}
}

// TestWriteFieldsOwn: a name that the handler has in its map is its own.
func TestWriteFieldsOwn(t *testing.T) {
	script(t, "own", func(t *testing.T, fm form) {
		p := dial(t, fm, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Own", "mine")
			w.(*response).WriteFields(200, []semantics.Field{
				{Name: []byte("x-own"), Value: []byte("theirs")}, {Name: []byte("X-Owl"), Value: []byte("theirs")},
			})
		})
		p.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		got := p.got()
		if strings.Contains(got, "x-own") || !strings.Contains(got, "X-Own: mine\r\n") || !strings.Contains(got, "X-Owl: theirs\r\n") {
			t.Errorf("got %q", got)
		}
	})
}
