package handler

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// namedAnswer answers with its name.
type namedAnswer string

func (n namedAnswer) ServeHTTP(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, string(n)) }

// muxRouted is who answers a path.
func muxRouted(m http.Handler, path string) string {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	return w.Body.String()
}

func addRoutes(t testing.TB, m *PathRecorderMux, exact, prefixes []string) {
	t.Helper()
	for _, p := range exact {
		servetest.Must(t, p, m.Handle(p, namedAnswer("="+p)))
	}
	for _, p := range prefixes {
		servetest.Must(t, p, m.HandlePrefix(p, namedAnswer(p+"*")))
	}
}

// TestMuxOrder: an exact match, then the prefix with most slashes, then the
// delegate.
func TestMuxOrder(t *testing.T) {
	m := NewPathRecorderMux("test", namedAnswer("delegate"))
	addRoutes(t, m, []string{"/", "/apis", "/apis/exact/", "/a//b"}, []string{"/apis/", "/apis/group/", "/apis/group/v1/", "/other-long-name/", "//"})
	for _, test := range []struct{ path, want string }{
		{"/", "=/"},
		{"", "delegate"},
		{"/apis", "=/apis"},
		{"/apis/", "/apis/*"},
		{"/apis/x", "/apis/*"},
		{"/apis/group", "/apis/*"},
		{"/apis/group/", "/apis/group/*"},
		{"/apis/group/v1", "/apis/group/*"},
		{"/apis/group/v1/", "/apis/group/v1/*"},
		{"/apis/group/v1/deep/er", "/apis/group/v1/*"},
		{"/apis/exact/", "=/apis/exact/"},
		{"/apis/exact/more", "/apis/*"},
		{"/apisx", "delegate"},
		{"/APIS/x", "delegate"},
		{"/a//b", "=/a//b"},
		{"/a//c", "delegate"},
		{"//", "//*"},
		{"//apis/", "//*"},
		{"/other-long-name/x", "/other-long-name/*"},
		{"/other-long-name", "delegate"},
		{"apis/", "delegate"},
		{"*", "delegate"},
	} {
		servetest.Want(t, fmt.Sprintf("path %q", test.path), muxRouted(m, test.path), test.want)
	}
}

// TestMuxErrors: what cannot be added, and that it changes nothing.
func TestMuxErrors(t *testing.T) {
	m := NewPathRecorderMux("test", nil)
	addRoutes(t, m, []string{"/a", "/b/"}, []string{"/p/"})
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"no path", m.Handle("", namedAnswer("x")), "begin with a slash"},
		{"no slash", m.Handle("a", namedAnswer("x")), "begin with a slash"},
		{"no handler", m.Handle("/nil", nil), "no handler"},
		{"prefix without a slash", m.HandlePrefix("/q", namedAnswer("x")), "end with a slash"},
		{"twice", m.Handle("/a", namedAnswer("x")), "mux_test.go"},
		{"twice, unlisted", m.UnlistedHandle("/a", namedAnswer("x")), "added twice"},
		{"a prefix twice", m.HandlePrefix("/p/", namedAnswer("x")), "added twice"},
		{"a prefix over a path", m.UnlistedHandlePrefix("/b/", namedAnswer("x")), "added twice"},
		{"a path over a prefix", m.Handle("/p/", namedAnswer("x")), "added twice"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", test.name, test.err, test.want)
		}
	}
	err := m.Replace(Route{Path: "/x", Handler: namedAnswer("x")}, Route{Path: "/x", Handler: namedAnswer("y")}, Route{Path: "z"})
	for _, want := range []string{`"/x" was added twice`, `"z" must begin`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Replace: got error %v, want %q", err, want)
		}
	}
	servetest.Want(t, "nothing has changed", fmt.Sprint(m.ListedPaths()), "[/a /b/ /p/]")
	servetest.Want(t, "nor routes", muxRouted(m, "/a")+muxRouted(m, "/x"), "=/a404 page not found\n")
}

// TestMuxListed: listed paths are sorted, and the caller's own.
func TestMuxListed(t *testing.T) {
	m := NewPathRecorderMux("test", nil)
	servetest.Want(t, "none", len(m.ListedPaths()), 0)
	addRoutes(t, m, []string{"/c", "/a"}, []string{"/b/"})
	servetest.Must(t, "unlisted", m.UnlistedHandle("/hidden", namedAnswer("hidden")))
	servetest.Must(t, "unlisted prefix", m.UnlistedHandlePrefix("/secret/", namedAnswer("secret")))
	m.ListedPaths()[0] = "/changed"
	servetest.Want(t, "paths", fmt.Sprint(m.ListedPaths()), "[/a /b/ /c]")
	servetest.Want(t, "unlisted ones are routed", muxRouted(m, "/hidden")+muxRouted(m, "/secret/x"), "hiddensecret")
	m.Unregister("/a")
	m.Unregister("/b/")
	m.Unregister("/never there")
	servetest.Want(t, "after Unregister", fmt.Sprint(m.ListedPaths()), "[/c]")
	servetest.Want(t, "routes", muxRouted(m, "/a")+muxRouted(m, "/b/x"), strings.Repeat("404 page not found\n", 2))
	servetest.Must(t, "the path again", m.Handle("/a", namedAnswer("new")))
	servetest.Want(t, "it is routed", muxRouted(m, "/a"), "new")
	servetest.Must(t, "Replace", m.Replace(Route{Path: "/z", Handler: namedAnswer("z")}, Route{Path: "/y/", Prefix: true, Unlisted: true, Handler: namedAnswer("y")}))
	servetest.Want(t, "all others are gone", fmt.Sprint(m.ListedPaths()), "[/z]")
	servetest.Want(t, "routes", muxRouted(m, "/y/1")+muxRouted(m, "/z"), "yz")
}

// TestMuxSwap: requests see all of a change or nothing of it.
func TestMuxSwap(t *testing.T) {
	m := NewPathRecorderMux("test", namedAnswer("none"))
	table := func(name string) []Route {
		return []Route{{Path: "/a", Handler: namedAnswer(name)}, {Path: "/p/", Prefix: true, Handler: namedAnswer(name)}}
	}
	servetest.Must(t, "Replace", m.Replace(table("0")...))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, path := range []string{"/a", "/p/x"} {
					if got := muxRouted(m, path); got != "0" && got != "1" {
						t.Errorf("%s: answered by %q", path, got)
						return
					}
				}
			}
		})
	}
	for i := range 500 {
		servetest.Must(t, "Replace", m.Replace(table(fmt.Sprint(i%2))...))
	}
	close(stop)
	readers.Wait()
}

// muxReference routes as the API server does: a list of prefixes, by slashes and
// then by length.
func muxReference(exact, prefixes []string, path string) string {
	for _, e := range exact {
		if e == path {
			return "=" + e
		}
	}
	best := ""
	for _, p := range prefixes {
		if !strings.HasPrefix(path, p) {
			continue
		}
		more, most := strings.Count(p, "/"), strings.Count(best, "/")
		if more > most || more == most && len(p) > len(best) {
			best = p
		}
	}
	if best == "" {
		return "delegate"
	}
	return best + "*"
}

// FuzzMux: the same route as by the list, whatever the table.
func FuzzMux(f *testing.F) {
	f.Add("/a /b/c /", "/a/ /a/b/ // /a//", "/a/b/c")
	f.Add("", "/ /aa/ /a/", "/aa/b")
	f.Add("/x", "", "/x/")
	f.Add("", "/////", "//////////")
	f.Add("", "/api/ /api/v1/ /api/v1/long/er/", "/api/v1/long/e/")
	f.Fuzz(func(t *testing.T, exactText, prefixText, path string) {
		if len(exactText)+len(prefixText) > 200 {
			t.Skip("a large table is slow to build, and no other than a small one")
		}
		m := NewPathRecorderMux("fuzz", namedAnswer("delegate"))
		var exact, prefixes []string
		for p := range strings.FieldsSeq(exactText) {
			if m.Handle(p, namedAnswer("="+p)) == nil {
				exact = append(exact, p)
			}
		}
		for p := range strings.FieldsSeq(prefixText) {
			if m.HandlePrefix(p, namedAnswer(p+"*")) == nil {
				prefixes = append(prefixes, p)
			}
		}
		servetest.Want(t, "the route", muxRouted(m, path), muxReference(exact, prefixes, path))
		for _, p := range append(exact, prefixes...) {
			m.Unregister(p)
		}
		servetest.Want(t, "without routes", muxRouted(m, path), "delegate")
		servetest.Want(t, "without paths", len(m.ListedPaths()), 0)
	})
}

// TestMuxAllocs: routing allocates nothing, of a path of slashes either.
func TestMuxAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	quiet := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	m := NewPathRecorderMux("test", quiet)
	servetest.Must(t, "a path", m.Handle("/exact", quiet))
	servetest.Must(t, "a prefix", m.HandlePrefix("/a/b/", quiet))
	for _, path := range []string{"/exact", "/a/b/c/d", "/none", strings.Repeat("/", 10_000)} {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}}
		n := testing.AllocsPerRun(100, func() { m.ServeHTTP(nil, r) })
		servetest.Want(t, "allocations", n, 0)
	}
}

// BenchmarkMux routes among 100 prefixes; http.ServeMux is its twin.
func BenchmarkMux(b *testing.B) {
	hits := 0
	hit := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ })
	ours, std := NewPathRecorderMux("bench", nil), http.NewServeMux()
	for i := range 100 {
		path := fmt.Sprintf("/apis/group%d/v1/", i)
		servetest.Must(b, path, ours.HandlePrefix(path, hit))
		std.Handle(path, hit)
	}
	r := httptest.NewRequest(http.MethodGet, "/apis/group77/v1/things/name", nil)
	for name, h := range map[string]http.Handler{"PathRecorderMux": ours, "ServeMux": std} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			hits = 0
			for b.Loop() {
				h.ServeHTTP(nil, r)
			}
			if hits == 0 {
				b.Error("no hit")
			}
		})
	}
}
