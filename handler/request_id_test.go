package handler

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

var uuid7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestRequestID(t *testing.T) {
	long := strings.Repeat("a", maxInboundID)
	for _, tt := range []struct {
		name   string
		opts   RequestIDOptions
		header http.Header
		want   string // empty: a new one
	}{
		{"none", RequestIDOptions{}, nil, ""},
		{"taken over", RequestIDOptions{}, http.Header{"X-Request-Id": {"aZ09._-"}}, "aZ09._-"},
		{"longest", RequestIDOptions{}, http.Header{"X-Request-Id": {long}}, long},
		{"too long", RequestIDOptions{}, http.Header{"X-Request-Id": {long + "a"}}, ""},
		{"empty", RequestIDOptions{}, http.Header{"X-Request-Id": {""}}, ""},
		{"a quote", RequestIDOptions{}, http.Header{"X-Request-Id": {`a"b`}}, ""},
		{"a line end", RequestIDOptions{}, http.Header{"X-Request-Id": {"a\nb"}}, ""},
		{"not ASCII", RequestIDOptions{}, http.Header{"X-Request-Id": {"ä"}}, ""},
		{"two of them", RequestIDOptions{}, http.Header{"X-Request-Id": {"a", "b"}}, ""},
		{"another field, not asked for", RequestIDOptions{}, http.Header{"Audit-Id": {"a"}}, ""},
		{"another field", RequestIDOptions{Also: []string{"Audit-ID"}}, http.Header{"Audit-Id": {"a"}}, "a"},
		{"the first field wins", RequestIDOptions{Also: []string{"Audit-ID"}}, http.Header{"Audit-Id": {"a"}, "X-Request-Id": {"b"}}, "b"},
		{"own name", RequestIDOptions{Header: "audit-ID"}, http.Header{"Audit-Id": {"a"}}, "a"},
		{"not trusted", RequestIDOptions{Trust: func(*http.Request) bool { return false }}, http.Header{"X-Request-Id": {"a"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen string
			s := NewRequestID(tt.opts)
			h := NewChain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { seen = ExchangeOf(w).ID }), s)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = tt.header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			servetest.Want(t, "the answer carries it", w.Header().Get(s.name), seen)
			if tt.want == "" {
				servetest.Want(t, "a new one: "+seen, uuid7.MatchString(seen), true)
				return
			}
			servetest.Want(t, "id", seen, tt.want)
		})
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	h := NewChain(NotFound{}, NewRequestID(RequestIDOptions{}))
	for range 10_000 {
		id := get(h, "/").Header().Get(defaultIDHeader)
		if seen[id] || !uuid7.MatchString(id) {
			t.Fatalf("id %q: twice, or no UUID", id)
		}
		seen[id] = true
	}
}
