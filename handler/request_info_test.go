package handler

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func newPathRules(tb testing.TB, routes ...PathRule) *PathRules {
	tb.Helper()
	t, err := NewPathRules(routes...)
	servetest.Must(tb, "routes", err)
	return t
}

func TestPathRules(t *testing.T) {
	routes := newPathRules(t, append(ProbeRules(),
		PathRule{Pattern: "/", Name: "site"},
		PathRule{Pattern: "/a/", Name: "a"},
		PathRule{Pattern: "/a/b/", Name: "ab", LongRunning: true},
		PathRule{Pattern: "/a/b/c", Name: "abc"},
	)...)
	for _, tt := range []struct {
		path string
		want Info
	}{
		{"/", Info{Route: "site"}},
		{"/x", Info{Route: "site"}},
		{"/a", Info{Route: "site"}},
		{"/a/", Info{Route: "a"}},
		{"/a/bb", Info{Route: "a"}},
		{"/a/b", Info{Route: "a"}},
		{"/a/b/", Info{Route: "ab", LongRunning: true}},
		{"/a/b/c", Info{Route: "abc"}},
		{"/a/b/c/", Info{Route: "ab", LongRunning: true}},
		{"/healthz", Info{Route: "/healthz", Exempt: true}},
		{"/healthz/", Info{Route: "/healthz", Exempt: true}},
		{"/livez/ping", Info{Route: "/livez", Exempt: true}},
		{"/readyz/a/b", Info{Route: "/readyz", Exempt: true}},
		{"/readyz/.well", Info{Route: "/readyz", Exempt: true}},
		{"/metrics", Info{Route: "/metrics", Exempt: true}},
		{"/metrics/", Info{Route: "site"}},
		{"/metrics/x", Info{Route: "site"}},
		{"/readyzfoo", Info{Route: "site"}},
		{"/READYZ", Info{Route: "site"}},
		{"/readyz/../expensive", Info{}},
		{"/readyz/..", Info{}},
		{"/readyz/x/./y", Info{}},
		{"/readyz//expensive", Info{}},
		{"//readyz", Info{}},
		{"*", Info{}},
		{"", Info{}},
		{"readyz/", Info{}},
		{strings.Repeat("/", 16<<10), Info{}},
	} {
		r := &http.Request{Method: http.MethodGet, URL: httptest.NewRequest(http.MethodGet, "/", nil).URL}
		r.URL.Path = tt.path
		servetest.Want(t, "route of "+tt.path[:min(len(tt.path), 30)], routes.Resolve(r), tt.want)
	}
}

func TestPathRulesClass(t *testing.T) {
	for method, want := range map[string]Class{
		"GET": ClassRead, "HEAD": ClassRead, "OPTIONS": ClassRead, "TRACE": ClassRead,
		"POST": ClassMutating, "PUT": ClassMutating, "DELETE": ClassMutating, "CONNECT": ClassMutating, "get": ClassMutating, "": ClassMutating,
	} {
		servetest.Want(t, "class of "+method, ClassOf(method), want)
	}
}

func TestNewPathRulesRefuses(t *testing.T) {
	for name, routes := range map[string][]PathRule{
		"twice": {{Pattern: "/a"}, {Pattern: "/a", Name: "b"}}, "twice, below": {{Pattern: "/a/"}, {Pattern: "/a/"}},
		"empty": {{}}, "relative": {{Pattern: "a/"}}, "dots": {{Pattern: "/a/../b"}}, "double slash": {{Pattern: "//"}},
	} {
		if _, err := NewPathRules(routes...); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestRequestInfo(t *testing.T) {
	var got Info
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = ExchangeOf(w).Info })
	c := NewChain(h, NewRequestInfo(newPathRules(t, ProbeRules()...).Resolve))
	r := httptest.NewRequest(http.MethodPost, "/readyz/x", nil)
	r.Header.Set("User-Agent", "kube-apiserver/1")
	c.ServeHTTP(httptest.NewRecorder(), r)
	servetest.Want(t, "info", got, Info{Route: "/readyz", Class: ClassMutating, Exempt: true})
}

// What a client chooses does not make the search long.
func BenchmarkPathRules(b *testing.B) {
	routes := newPathRules(b, append(ProbeRules(), PathRule{Pattern: "/", Name: "site"})...)
	for name, path := range map[string]string{
		"exact": "/healthz", "below": "/assets/app/main.css", "slashes": strings.Repeat("/", 16<<10), "dots": strings.Repeat("/a", 8<<10),
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if routes.Resolve(r).Class != ClassRead {
					b.Fatal("class")
				}
			}
		})
	}
}
