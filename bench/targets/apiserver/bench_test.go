package apiserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/util/feature"
)

// answer is the trivial handler: 64 bytes of text. BenchmarkDefaultChain of
// package handler has the same, and the same request and writer.
type answer struct{ body []byte }

var (
	textPlain     = []string{"text/plain; charset=utf-8"}
	contentLength = []string{"64"}
)

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"] = textPlain
	h["Content-Length"] = contentLength
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(a.body)
}

// memory is a ResponseWriter that costs nothing of its own: one header map, used
// again. It has what upstream's wrappers ask a writer of HTTP/2 for.
type memory struct {
	header http.Header
	status int
	bytes  int
}

func (w *memory) Header() http.Header    { return w.header }
func (w *memory) WriteHeader(status int) { w.status = status }
func (w *memory) Flush()                 {}
func (w *memory) Write(b []byte) (int, error) {
	w.bytes += len(b)
	return len(b), nil
}

// reset makes w that of a new request, as an engine would.
func (w *memory) reset() {
	clear(w.header)
	w.status = 0
}

// known says yes without a look: the chain is measured, not who is asked.
var known = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
	return asked, true, nil
})

var asked = &authenticator.Response{User: &user.DefaultInfo{Name: "ann", Groups: []string{user.AllAuthenticated}}}

// chain is upstream's, of its own NewConfig: 400 reading and 200 mutating requests
// in flight, 60 s for each, no audit, no priority and fairness (whose goroutines
// want a running informer), no CORS, no HSTS; its log of requests is silent, as it
// is below -v=3.
func chain(h http.Handler) http.Handler {
	c := server.NewConfig(serializer.NewCodecFactory(runtime.NewScheme()))
	c.FeatureGate = feature.DefaultFeatureGate
	c.Authentication.Authenticator = known
	c.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	c.RequestInfoResolver = server.NewRequestInfoResolver(c)
	c.LongRunningFunc = filters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString())
	return server.DefaultBuildHandlerChain(h, c)
}

func BenchmarkDefaultChain(b *testing.B) {
	h := answer{make([]byte, 64)}
	for _, c := range []struct {
		name string
		h    http.Handler
	}{{"bare", h}, {"chain", chain(h)}} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "https://a.example/assets/app/main.css", http.NoBody)
			r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			w := &memory{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				w.reset()
				c.h.ServeHTTP(w, r)
			}
			if w.status != http.StatusOK || w.bytes%64 != 0 || w.bytes == 0 {
				b.Fatal("no whole answer:", w.status, w.bytes)
			}
		})
	}
}

// The chain is the whole one: it names, times and answers as upstream's server does.
func TestChainWorks(t *testing.T) {
	rec := httptest.NewRecorder()
	chain(answer{make([]byte, 64)}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/assets/app/main.css", http.NoBody))
	body, err := io.ReadAll(rec.Body)
	if err != nil || rec.Code != http.StatusOK || len(body) != 64 {
		t.Fatal("answer:", rec.Code, len(body), err)
	}
	for _, name := range []string{"Audit-Id", "Cache-Control"} {
		if rec.Header().Get(name) == "" {
			t.Error("upstream's chain adds", name)
		}
	}
}
