package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// services resolves names, and notes that it was given the chain's sources.
type services struct {
	known map[string]string
	turns []string     // of any other name, one after the other
	turn  atomic.Int64 // how many were told
	given bool
}

func (s *services) ResolveService(name string) (*url.URL, error) {
	if target, ok := s.known[name]; ok {
		return url.Parse(target)
	}
	if len(s.turns) > 0 {
		return url.Parse(s.turns[int(s.turn.Add(1))%len(s.turns)])
	}
	return nil, errors.New("unknown")
}

func (s *services) SetSources(serve.Sources) error {
	s.given = true
	return nil
}

// newTestChain is a chain in this process, on an address of its own.
func newTestChain(t *testing.T, front FrontConfig, args ...string) (*ServerChain, string) {
	t.Helper()
	return newTestChainOf(t, CoreConfig{}, front, args...)
}

func newTestChainOf(t *testing.T, core CoreConfig, front FrontConfig, args ...string) (*ServerChain, string) {
	t.Helper()
	o, err := parse(t, serveDefaults, append([]string{"--listen", anyPort, "--admin", "off"}, args...)...)
	servetest.Must(t, "flags", err)
	var chain *ServerChain
	p, err := o.Complete().prepare(t.Context(), func(c CompletedConfig) (*serve.GenericServer, error) {
		c.Core, c.Front = core, front
		var err error
		chain, err = CreateServerChain(c)
		if err != nil {
			return nil, err
		}
		return chain.Front, nil
	}, &lifecycle{log: slog.New(slog.DiscardHandler)})
	servetest.Must(t, "prepare", err)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.Run(stop, io.Discard) }()
	t.Cleanup(func() {
		close(stop)
		servetest.Must(t, "the run", <-ended)
	})
	<-chain.Front.Signals().MuxAndDiscoveryComplete.Signaled()
	return chain, p.plain[0].url("http")
}

func TestFrontProxiesToServices(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s for %s", r.Method, r.URL.Path, r.Header.Get("X-Forwarded-For"))
	}))
	defer origin.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	known := &services{known: map[string]string{"origin": origin.URL + "/base", "gone": gone.URL}}
	_, base := newTestChain(t, FrontConfig{Resolver: known, Routes: []ServiceRoute{
		{Path: "/api/", Service: "origin"}, {Path: "/version", Service: "origin"}, {Path: "/lost", Service: "nobody"}, {Path: "/gone", Service: "gone"},
	}})
	servetest.Want(t, "the resolver was given the sources", known.given, true)
	client := newClient(t)
	for path, want := range map[string]string{
		"/api/x":   "200 GET /base/api/x for 127.0.0.1",
		"/version": "200 GET /base/version for 127.0.0.1", // before that of the core
		"/lost":    "503 503 no endpoint",
		"/gone":    "502 Bad Gateway: upstream connect refused",
	} {
		resp, body := ask(t, client, http.MethodGet, base+path, "X-Forwarded-For", "192.0.2.1")
		if got := fmt.Sprint(resp.StatusCode, " ", body); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// A resolver may name another endpoint each time; each has connections of its own.
func TestFrontFollowsItsResolver(t *testing.T) {
	var known services
	want := make(map[string]bool)
	for n := range 3 {
		name := fmt.Sprint("endpoint ", n)
		want[name] = true
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
		t.Cleanup(s.Close)
		known.turns = append(known.turns, s.URL)
	}
	_, base := newTestChain(t, FrontConfig{Resolver: &known, Routes: []ServiceRoute{{Path: "/", Service: "any"}}})
	client := newClient(t)
	for range 9 {
		_, body := ask(t, client, http.MethodGet, base+"/")
		if !want[body] {
			t.Fatalf("answered by %q", body)
		}
	}
	servetest.Want(t, "endpoints asked", known.turn.Load(), 9)
}

// Endpoints that were not asked for long are forgotten.
func TestEndpointsAreBounded(t *testing.T) {
	p := &serviceProxy{service: "s", log: slog.New(slog.DiscardHandler), endpoints: make(map[endpointKey]*serviceEndpoint)}
	for n := range maxEndpoints + 10 {
		_, err := p.endpoint(&url.URL{Scheme: "http", Host: fmt.Sprint("127.0.0.1:", 10000+n)})
		servetest.Must(t, "endpoint", err)
	}
	servetest.Want(t, "endpoints", len(p.endpoints), maxEndpoints)
	servetest.Want(t, "the first is gone", p.endpoints[endpointKey{"http", "127.0.0.1:10000", ""}] == nil, true)
	servetest.Must(t, "shutdown", p.Shutdown(t.Context()))
}

// A service that does not answer in time is given up.
func TestRequestTimeout(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	front := FrontConfig{
		Resolver: &services{known: map[string]string{"slow": slow.URL}},
		Routes:   []ServiceRoute{{Path: "/slow", Service: "slow"}},
	}
	_, base := newTestChain(t, front, "--request-timeout", "100ms")
	resp, _ := ask(t, newClient(t), http.MethodGet, base+"/slow")
	servetest.Want(t, "status", resp.StatusCode, http.StatusGatewayTimeout)
}

// Routes without somebody to resolve their names do not start.
func TestFrontNeedsAResolver(t *testing.T) {
	o, err := parse(t, serveDefaults, "--listen", anyPort, "--admin", "off")
	servetest.Must(t, "flags", err)
	_, err = o.Complete().prepare(t.Context(), func(c CompletedConfig) (*serve.GenericServer, error) {
		c.Front.Routes = []ServiceRoute{{Path: "/api/", Service: "x"}}
		chain, err := CreateServerChain(c)
		if err != nil {
			return nil, err
		}
		return chain.Front, nil
	}, &lifecycle{log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "nobody to resolve") {
		t.Errorf("error %v", err)
	}
}

func TestDynamicRoutesAreSwapped(t *testing.T) {
	chain, base := newTestChain(t, FrontConfig{})
	client := newClient(t)
	text := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	for i, table := range [][]handler.Route{
		{{Path: "/a", Handler: text("first")}},
		{{Path: "/b/", Handler: text("second"), Prefix: true}, {Path: "/version", Handler: text("never seen")}},
		nil,
	} {
		servetest.Must(t, "replace", chain.Dynamic.Mux.Replace(table...))
		_, a := ask(t, client, http.MethodGet, base+"/a")
		_, b := ask(t, client, http.MethodGet, base+"/b/c")
		_, version := ask(t, client, http.MethodGet, base+"/version")
		servetest.Want(t, fmt.Sprint("/a of table ", i), a == "first", i == 0)
		servetest.Want(t, fmt.Sprint("/b/c of table ", i), b == "second", i == 1)
		servetest.Want(t, "the core comes first", version == "never seen", false)
	}
}

func TestCoreEndpoints(t *testing.T) {
	_, base := newTestChain(t, FrontConfig{})
	client := newClient(t)
	for path, want := range map[string]string{
		"/": "penstock is running", "/index.html": "penstock is running", "/version": `"go": "go1.`, "/respond": "ok\n",
		"/swagger.json": `"swagger":"2.0"`, "/openapi/v2": `"/version"`, "/openapi/v3": "/openapi/v3/", "/openapi/v3/root": `"/echo"`,
	} {
		if status, body := fetch(t, client, base+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.300q, want %q", path, status, body, want)
		}
	}
	resp, body := ask(t, client, http.MethodGet, base+"/", "Accept", "application/json")
	servetest.Want(t, "type of the index", resp.Header.Get("Content-Type"), "application/json")
	for _, path := range []string{`"/echo"`, `"/readyz"`, `"/openapi/v3/"`} {
		if !strings.Contains(body, path) {
			t.Errorf("%s is not in the index %s", path, body)
		}
	}
	content := strings.Repeat("0123456789", 100_000)
	resp, err := client.Post(base+"/echo", "text/html", strings.NewReader(content))
	servetest.Must(t, "echo", err)
	defer resp.Body.Close()
	back, err := io.ReadAll(resp.Body)
	servetest.Must(t, "echo's content", err)
	servetest.Want(t, "the content comes back", string(back) == content, true)
	servetest.Want(t, "but not as a page", resp.Header.Get("Content-Type"), "application/octet-stream")
	resp, _ = ask(t, client, http.MethodGet, base+"/echo")
	servetest.Want(t, "echo of GET", resp.StatusCode, http.StatusMethodNotAllowed)
}

func TestPublicEndpoints(t *testing.T) {
	all := []string{"/", "/index.html", "/version", "/swagger.json", "/openapi/v2", "/openapi/v3", "/echo", "/respond", "/healthz", "/livez", "/readyz"}
	for flag, want := range map[string][]string{
		"none": nil, "version,openapi": {"/version", "/swagger.json", "/openapi/v2", "/openapi/v3"}, "health": {"/healthz", "/livez", "/readyz"}, "site": {"/", "/index.html"},
	} {
		p := start(t, nil, "serve", "--listen", anyPort, "--admin", anyPort, "--public-endpoints", flag)
		client := newClient(t)
		for _, path := range all {
			status, _ := fetch(t, client, p.urls[0]+path)
			servetest.Want(t, flag+": there is "+path, status == http.StatusOK, slices.Contains(want, path))
		}
		status, _ := fetch(t, client, p.urls[1]+"/livez")
		servetest.Want(t, flag+": health at the admin address", status, http.StatusOK)
	}
}

// A long-running request is told to end, and the stop then has nothing to cut.
func TestWatchTerminationGracePeriod(t *testing.T) {
	watched := make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(watched)
	}))
	t.Cleanup(service.Close)
	front := FrontConfig{
		Resolver: &services{known: map[string]string{"watch": service.URL}},
		Routes:   []ServiceRoute{{Path: "/watch", Service: "watch", LongRunning: true}},
	}
	var resp *http.Response
	t.Cleanup(func() { // behind the stop, whose error newTestChain's own cleanup tells
		<-watched
		_ = resp.Body.Close()
	})
	_, base := newTestChain(t, front, "--shutdown-watch-termination-grace-period", "10s", "--request-timeout", "100ms")
	var err error
	resp, err = newClient(t).Get(base + "/watch")
	servetest.Must(t, "begin to watch", err)
	servetest.Want(t, "status", resp.StatusCode, http.StatusOK)
	ended := make(chan struct{})
	go func() { // ends with the answer
		defer close(ended)
		_, _ = io.Copy(io.Discard, resp.Body)
	}()
	select {
	case <-ended:
		t.Error("the request has ended before the stop")
	case <-time.After(300 * time.Millisecond): // three times --request-timeout
	}
}
