package message

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// TestBeginPassedOn: an answer whose fields are passed on is the answer that the
// same fields in the header map make; what is in the map comes before.
func TestBeginPassedOn(t *testing.T) {
	type said struct {
		status, length                          int64
		fields, trailers                        string
		typed, encoded, date, altSvc, end, none bool
	}
	tell := func(a *Answer) said {
		var lines []string
		for _, f := range a.Fields {
			lines = append(lines, f.Name+": "+f.Value)
		}
		slices.Sort(lines)
		return said{
			int64(a.Status), a.Length, strings.Join(lines, "\n"), strings.Join(a.Trailers, ","),
			a.ContentType, a.Encoded, a.Date, a.AltSvc, a.Close, a.NoContent,
		}
	}
	for _, c := range []struct {
		name   string
		status int
		own    http.Header
		fields []string
	}{
		{"plain", 200, nil, []string{"content-type: text/plain", "Content-Length: 5", "x-a: 1", "X-A: 2"}},
		{"encoded", 200, nil, []string{"Content-Encoding: gzip", "Date: x", "Alt-Svc: clear"}},
		{"connection's own", 200, nil, []string{"Connection: close", "Keep-Alive: 1", "Transfer-Encoding: chunked", "Upgrade: x"}},
		{"not modified", 304, nil, []string{"Content-Type: text/plain", "Content-Length: 7", "Etag: \"a\""}},
		{"no number", 200, nil, []string{"Content-Length: x"}},
		{"trailers", 200, nil, []string{"Trailer: X-T, X-U"}},
		{"own ones win", 200, http.Header{"X-A": {"mine"}, "Server": {"us"}}, []string{"x-a: theirs", "X-B: 1"}},
		{"own length", 200, http.Header{"Content-Length": {"3"}}, []string{"Content-Length: 5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var fields []semantics.Field
			merged := maps.Clone(c.own)
			if merged == nil {
				merged = make(http.Header)
			}
			for _, line := range c.fields {
				name, value, _ := strings.Cut(line, ": ")
				f := semantics.Field{Name: []byte(name), Value: []byte(value)}
				fields = append(fields, f)
				if key := http.CanonicalHeaderKey(name); c.own[key] == nil {
					merged.Add(name, value)
				}
			}
			var got, want Answer
			for range 2 { // the second one on the arrays of the first
				got.Reset()
				got.BeginPassedOn(c.status, c.own, fields)
			}
			want.Begin(c.status, merged)
			for i := range fields {
				clear(fields[i].Value) // they were copied
			}
			if g, w := tell(&got), tell(&want); g != w {
				t.Errorf("got\n%+v\nwith the map\n%+v", g, w)
			}
		})
	}
}
