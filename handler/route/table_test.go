package route_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/route"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// is is a handler that tells its name.
func is(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(name)) })
}

func at(id string, m route.Match) route.Route {
	return route.Route{ID: id, Match: m, Handler: is(id)}
}

// hosts has each kind of host and match.
func hosts() []route.Host {
	get := []string{"GET"}
	return []route.Host{
		{Names: []string{"www.example.org", "example.org"}, Routes: []route.Route{
			at("exact", route.Match{Path: "/a"}),
			at("below a", route.Match{Prefix: "/a"}),
			at("below a b", route.Match{Prefix: "/a/b/"}),
			at("read", route.Match{Prefix: "/m", Methods: get}),
			at("write", route.Match{Prefix: "/m", Methods: []string{"POST"}}),
			at("plain", route.Match{Path: "/q"}),
			at("asked", route.Match{Path: "/q", Query: map[string]string{"v": "2"}}),
			at("asked and told", route.Match{Path: "/q", Query: map[string]string{"v": "2"}, Header: map[string]string{"x-v": ""}}),
			at("only get", route.Match{Path: "/get", Methods: get}),
			at("all", route.Match{Prefix: "/all/"}),
		}},
		{Names: []string{"*.example.org"}, Routes: []route.Route{at("wild", route.Match{Prefix: "/"})}},
		{Names: []string{"*.b.example.org"}, Routes: []route.Route{at("wilder", route.Match{Prefix: "/"})}},
	}
}

func request(method, url string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, url, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func TestFind(t *testing.T) {
	table, err := route.New(hosts())
	servetest.Must(t, "the table", err)
	for _, c := range []struct {
		r      *http.Request
		id     string
		status int
	}{
		{request("GET", "http://example.org/a"), "exact", 200},
		{request("GET", "http://www.example.org:8443/a"), "exact", 200},
		{request("GET", "http://example.org/a/"), "below a", 200},
		{request("GET", "http://example.org/a/x"), "below a", 200},
		{request("GET", "http://example.org/a/b"), "below a", 200},
		{request("GET", "http://example.org/a/b/"), "below a b", 200},
		{request("GET", "http://example.org/a/b/c/d"), "below a b", 200},
		{request("GET", "http://example.org/ab"), "", 404},
		{request("GET", "http://example.org/"), "", 404},
		{request("GET", "http://example.org/all"), "", 404},
		{request("GET", "http://example.org/all/"), "all", 200},
		{request("GET", "http://example.org/m/1"), "read", 200},
		{request("HEAD", "http://example.org/m/1"), "read", 200},
		{request("POST", "http://example.org/m/1"), "write", 200},
		{request("PUT", "http://example.org/m/1"), "", 405},
		{request("PUT", "http://example.org/get"), "", 405},
		{request("GET", "http://example.org/q"), "plain", 200},
		{request("GET", "http://example.org/q?v=1"), "plain", 200},
		{request("GET", "http://example.org/q?w=1&v=2"), "asked", 200},
		{request("GET", "http://example.org/q?v=2", "X-V: 7"), "asked and told", 200},
		{request("GET", "http://example.org/q?v=2;w=1"), "", 400},
		{request("GET", "http://example.org/q?%zz"), "", 400},
		{request("GET", "http://example.org/q?"+strings.Repeat("&", 10_000)), "", 400},
		{request("GET", "http://example.org/a?%zz"), "exact", 200},
		{request("GET", "http://x.example.org/"), "wild", 200},
		{request("GET", "http://x.y.example.org/"), "wild", 200},
		{request("GET", "http://x.b.example.org/"), "wilder", 200},
		{request("GET", "http://b.example.org/"), "wild", 200},
		{request("GET", "http://example.com/"), "", 421},
		{request("GET", "http://[::1]:80/"), "", 421},
		{request("GET", "http://example.org/a/../a"), "", 400},
		{request("GET", "http://example.org/a/%2e%2e/a"), "", 400},
		{request("GET", "http://example.org/a/."), "", 400},
		{request("GET", "http://example.org/a/b%2fc"), "", 400},
		{request("GET", "http://example.org/a/b%5cc"), "", 400},
		{request("GET", "http://example.org/a/%00"), "", 400},
		{request("GET", "http://example.org//a"), "", 400},
		{request("GET", "http://example.org/a/b..c"), "below a", 200},
		{request("GET", "http://example.org/a/.well-known"), "below a", 200},
	} {
		t.Run(c.r.Method+" "+c.r.Host+c.r.URL.String()[:min(60, len(c.r.URL.String()))], func(t *testing.T) {
			got, status := table.Find(c.r)
			id := ""
			if got != nil {
				id = got.ID
			}
			if id != c.id || status != c.status {
				t.Errorf("got %q and %d, want %q and %d", id, status, c.id, c.status)
			}
		})
	}
}

// TestOrderIsNotAsked: whatever the order of hosts and routes, the answers are the
// same (rule F-4).
func TestOrderIsNotAsked(t *testing.T) {
	first, err := route.New(hosts())
	servetest.Must(t, "the table", err)
	for range 50 {
		shuffled := hosts()
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for _, h := range shuffled {
			rand.Shuffle(len(h.Routes), func(i, j int) { h.Routes[i], h.Routes[j] = h.Routes[j], h.Routes[i] })
		}
		table, err := route.New(shuffled)
		servetest.Must(t, "another order", err)
		for _, host := range []string{"example.org", "x.example.org", "x.b.example.org", "example.com"} {
			for _, path := range []string{"/", "/a", "/a/", "/a/b", "/a/b/c", "/m", "/m/x", "/q", "/q?v=2", "/q?v", "/get"} {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
					r := request(method, "http://"+host+path, "X-V: 1")
					a, as := first.Find(r)
					b, bs := table.Find(r)
					if as != bs || (a == nil) != (b == nil) || a != nil && a.ID != b.ID {
						t.Fatalf("%s %s%s: %v and %d, in another order %v and %d", method, host, path, a, as, b, bs)
					}
				}
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	one := func(routes ...route.Route) []route.Host { return []route.Host{{Names: []string{"a"}, Routes: routes}} }
	for _, c := range []struct {
		name, part string
		hosts      []route.Host
	}{
		{"no path", "either a path or a prefix", one(at("x", route.Match{}))},
		{"both", "either a path or a prefix", one(at("x", route.Match{Path: "/a", Prefix: "/b"}))},
		{"relative", "begins with a slash", one(at("x", route.Match{Prefix: "a"}))},
		{"dots", "dot segments", one(at("x", route.Match{Prefix: "/a/../b"}))},
		{"no handler", "handler is missing", one(route.Route{ID: "x", Match: route.Match{Path: "/"}})},
		{"one id twice", "are called", one(at("x", route.Match{Path: "/a"}), at("x", route.Match{Path: "/b"}))},
		{"equal", "could be meant", one(at("x", route.Match{Path: "/a"}), at("y", route.Match{Path: "/a"}))},
		{"methods overlap", "could be meant", one(
			at("x", route.Match{Path: "/a", Methods: []string{"GET"}}), at("y", route.Match{Path: "/a", Methods: []string{"HEAD"}}))},
		{"different fields", "could be meant", one(
			at("x", route.Match{Path: "/a", Header: map[string]string{"A": "1"}}), at("y", route.Match{Path: "/a", Header: map[string]string{"B": "1"}}))},
		{"slash or none", "could be meant", one(at("x", route.Match{Prefix: "/a"}), at("y", route.Match{Prefix: "/a/"}))},
		{"host twice", "given twice", []route.Host{{Names: []string{"a"}}, {Names: []string{"a"}}}},
		{"two for the rest", "no names", []route.Host{{}, {}}},
		{"upper case", "lower case", []route.Host{{Names: []string{"A"}}}},
		{"star within", "lower case", []route.Host{{Names: []string{"a.*.b"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := route.New(c.hosts)
			if err == nil || !strings.Contains(err.Error(), c.part) {
				t.Errorf("got %v, want an error with %q", err, c.part)
			}
		})
	}
}

// TestRouter: with and without a chain in front, through a replacement, and before
// there is a table.
func TestRouter(t *testing.T) {
	var o route.Router
	chain := handler.NewChain(&o, handler.NewRequestInfo(o.Resolve))
	ask := func(h http.Handler, url string) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("GET", url))
		return fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String()))
	}
	for _, h := range []http.Handler{chain, &o} {
		o = route.Router{}
		servetest.Want(t, "no table", ask(h, "http://a/"), "503 service unavailable")
		for _, name := range []string{"one", "two"} {
			table, err := route.New([]route.Host{{Names: []string{"a"}, Routes: []route.Route{at(name, route.Match{Path: "/"})}}})
			servetest.Must(t, "table", err)
			o.Replace(table)
			servetest.Want(t, "its route", ask(h, "http://a/"), "200 "+name)
			servetest.Want(t, "another path", ask(h, "http://a/x"), "404 not found")
			servetest.Want(t, "another host", ask(h, "http://b/"), "421 misdirected request")
		}
	}
}

func BenchmarkFind(b *testing.B) {
	table, err := route.New(hosts())
	servetest.Must(b, "the table", err)
	r := request("GET", "http://www.example.org/a/b/c/d")
	b.ReportAllocs()
	for b.Loop() {
		table.Find(r)
	}
}

// TestFindAllocs: a route without conditions on the query is found without an
// allocation.
func TestFindAllocs(t *testing.T) {
	table, err := route.New(hosts())
	servetest.Must(t, "the table", err)
	r := request("GET", "http://www.example.org/a/b/c/d")
	if n := testing.AllocsPerRun(100, func() { table.Find(r) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
