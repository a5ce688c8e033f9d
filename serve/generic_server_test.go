package serve_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// genericServer is a GenericServer under test, that runs.
type genericServer struct {
	*serve.GenericServer
	addr  string
	stop  chan struct{}
	ended chan error // Run's answer
}

// runner is what PrepareRun returns.
type runner interface {
	Run(stopCh <-chan struct{}) error
	RunWithContext(ctx context.Context) error
	NonBlockingRun(stopCh <-chan struct{}, shutdownTimeout time.Duration) (<-chan struct{}, <-chan struct{}, error)
}

// newGeneric makes a server over the end of the chain.
func newGeneric(t *testing.T, cfg serve.Config) *serve.GenericServer {
	t.Helper()
	if cfg.Options.ErrorLog == nil {
		cfg.Options.ErrorLog = quiet()
	}
	s, err := cfg.Complete().New("test", serve.NewEmptyDelegate())
	servetest.Must(t, "New", err)
	return s
}

func prepare(t *testing.T, s *serve.GenericServer) runner {
	t.Helper()
	p, err := s.PrepareRun()
	servetest.Must(t, "PrepareRun", err)
	return p
}

// runGeneric runs s, until the test's end at the latest.
func runGeneric(t *testing.T, s *serve.GenericServer) *genericServer {
	t.Helper()
	g := &genericServer{GenericServer: s, stop: make(chan struct{}), ended: make(chan error, 1)}
	p := prepare(t, s)
	go func() { g.ended <- p.Run(g.stop) }()
	t.Cleanup(func() { s.Close() })
	return g
}

// serveAll makes cfg listen for all protocols on one port.
func serveAll(t *testing.T, cfg serve.Config) (serve.Config, string) {
	t.Helper()
	cert, _ := testCert()
	group, packets := bindBoth(t)
	cfg.SecureServing = &serve.SecureServingInfo{
		Listener: group, Packets: packets, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
	}
	return cfg, group.Addr().String()
}

// clientKinds are the protocols that a GenericServer is asked by.
var clientKinds = []string{"h1", "h2", "h3"}

// clientOf makes a client with connections of its own.
func clientOf(t *testing.T, kind string) *http.Client {
	t.Helper()
	if kind == "h3" {
		return &http.Client{Transport: transportH3(t)}
	}
	tr := &http.Transport{TLSClientConfig: clientTLS(), ForceAttemptHTTP2: kind == "h2"}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// got is an answer, whole.
type got struct {
	status     int
	body       string
	retryAfter string
	altSvc     string
	proto      int
	err        error
}

func get(c *http.Client, url string) (g got) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return got{err: err}
	}
	resp, err := c.Do(req)
	if err != nil {
		return got{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, string(body), resp.Header.Get("Retry-After"), resp.Header.Get("Alt-Svc"), resp.ProtoMajor, err}
}

func wantStatus(t *testing.T, why string, g got, status int) {
	t.Helper()
	if g.err != nil || g.status != status {
		t.Errorf("%s: got status %d, error %v, body %q; want %d", why, g.status, g.err, g.body, status)
	}
}

// isSignaled tells whether a lifecycle signal has fired.
func isSignaled(s *serve.LifecycleSignal) bool { return s.HasSignaled() }

// order notes what happens one after the other.
type order struct {
	mu   sync.Mutex
	list []string
}

func (o *order) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, what)
}

func (o *order) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.list, " ")
}

func ok(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// local answers a request to h without a connection.
func local(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// TestConfigForged: what does not come from Complete or PrepareRun is useless.
func TestConfigForged(t *testing.T) {
	if _, err := (serve.CompletedConfig{}).New("forged", serve.NewEmptyDelegate()); err == nil {
		t.Error("a forged config makes a server")
	}
	p, err := serve.NewEmptyDelegate().PrepareRun()
	servetest.Must(t, "PrepareRun", err)
	if err := p.RunWithContext(t.Context()); err == nil {
		t.Error("the end of a chain runs")
	}
	if _, _, err := p.NonBlockingRun(nil, 0); err == nil {
		t.Error("the end of a chain runs")
	}
}

// TestConfigFaults: New tells all that is wrong.
func TestConfigFaults(t *testing.T) {
	end := serve.NewEmptyDelegate()
	l := listenTCP(t)
	defer l.Close()
	listening := newGeneric(t, serve.Config{Plain: []net.Listener{l}})
	check := func() handler.HealthChecker { return handler.PingCheck() }
	hook := func(serve.HookContext) error { return nil }
	for _, test := range []struct {
		name, server string
		cfg          serve.Config
		delegate     serve.DelegationTarget
		want         []string
	}{
		{"no name", "", serve.Config{}, end, []string{"name"}},
		{"no delegate", "s", serve.Config{}, nil, []string{"delegate"}},
		{"negative times, all told", "s", serve.Config{
			ShutdownTimeout: -1, ShutdownDelayDuration: -2, LongRunningGrace: -3, LivezGracePeriod: -4,
		}, end, []string{"ShutdownTimeout is", "ShutdownDelayDuration is", "LongRunningGrace", "LivezGracePeriod"}},
		{"a delay beyond the deadline", "s", serve.Config{ShutdownDelayDuration: time.Minute}, end, []string{"must be less than ShutdownTimeout"}},
		{"nil listeners", "s", serve.Config{Plain: []net.Listener{nil}}, end, []string{"listener must not be nil"}},
		{"TLS without a certificate", "s", serve.Config{Secure: []net.Listener{l}}, end, []string{"certificate"}},
		{"old TLS", "s", serve.Config{SecureServing: &serve.SecureServingInfo{MinTLSVersion: tls.VersionTLS11}}, end, []string{"TLS 1.2", "nil"}},
		{"two TLS settings", "s", serve.Config{SecureServing: &serve.SecureServingInfo{Listener: l}, TLSConfig: serverTLS()}, end, []string{"both set"}},
		{"a delegate that listens", "s", serve.Config{}, listening, []string{"only the outermost"}},
		{"a check twice", "s", serve.Config{ReadyzChecks: []handler.HealthChecker{check(), check()}}, end, []string{`"ping"`}},
		{"a hook twice", "s", serve.Config{
			PreShutdownHooks: []serve.NamedPreShutdownHook{{Name: "a", Run: hook}, {Name: "a", Run: hook}},
		}, end, []string{`"a"`}},
		{"a chain that fails", "s", serve.Config{
			BuildHandlerChain: func(http.Handler, *serve.GenericServer) (http.Handler, error) { return nil, errors.New("no filters") },
		}, end, []string{"no filters"}},
		{"a chain of nothing", "s", serve.Config{
			BuildHandlerChain: func(http.Handler, *serve.GenericServer) (http.Handler, error) { return nil, nil },
		}, end, []string{"nothing"}},
	} {
		s, err := test.cfg.Complete().New(test.server, test.delegate)
		if err == nil || s != nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", test.name, err, want)
			}
		}
	}
}

// TestPrepareRun: the health groups are installed by it, the delegates' steps
// come first, and a second call does nothing.
func TestPrepareRun(t *testing.T) {
	servetest.CheckLeaks(t)
	var steps order
	step := func(name string) []func(*serve.GenericServer) error {
		return []func(*serve.GenericServer) error{func(s *serve.GenericServer) error {
			steps.note(name)
			return s.Mux.Handle("/"+name, ok(name))
		}}
	}
	log := serve.ServerOptions{ErrorLog: quiet()}
	inner, err := serve.Config{PrepareSteps: step("inner"), Options: log}.Complete().New("inner", serve.NewEmptyDelegate())
	servetest.Must(t, "inner", err)
	outer, err := serve.Config{PrepareSteps: step("outer"), PublicHealth: true, Options: log}.Complete().New("outer", inner)
	servetest.Must(t, "outer", err)

	if _, err := outer.HealthGroups(handler.HealthOptions{}); err == nil {
		t.Error("health groups before PrepareRun")
	}
	servetest.Want(t, "healthz before PrepareRun: early, so not 404", local(outer, "/healthz").Code, http.StatusServiceUnavailable)
	prepare(t, outer)
	prepare(t, outer)
	servetest.Want(t, "steps, once each", steps.String(), "inner outer")
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/inner", "/outer"} {
		servetest.Want(t, path, local(outer, path).Code, http.StatusOK)
	}
	servetest.Want(t, "no public reasons", local(outer, "/readyz/ping").Code, http.StatusServiceUnavailable)
	servetest.Want(t, "paths", fmt.Sprint(outer.ListedPaths()), "[/healthz /inner /livez /outer /readyz]")
	if err := outer.AddHealthChecks(handler.NamedCheck("late", nil)); err == nil {
		t.Error("a check was added behind PrepareRun")
	}

	failing, err := serve.Config{PrepareSteps: []func(*serve.GenericServer) error{
		func(*serve.GenericServer) error { return errors.New("no routes") },
	}, Options: log}.Complete().New("failing", serve.NewEmptyDelegate())
	servetest.Must(t, "failing", err)
	if _, err := failing.PrepareRun(); err == nil || !strings.Contains(err.Error(), "no routes") {
		t.Errorf("a step that fails: %v", err)
	}
}

// TestMuxAndDiscoveryComplete: unknown paths are 503 until all parts of the
// chain are complete, and 404 with the index then.
func TestMuxAndDiscoveryComplete(t *testing.T) {
	servetest.CheckLeaks(t)
	log := serve.ServerOptions{ErrorLog: quiet()}
	inner, err := serve.Config{Options: log}.Complete().New("inner", serve.NewEmptyDelegate())
	servetest.Must(t, "inner", err)
	servetest.Must(t, "a path", inner.Mux.Handle("/there", ok("there")))
	innerDone, outerDone := make(chan struct{}), make(chan struct{})
	servetest.Must(t, "inner signal", inner.RegisterMuxAndDiscoveryCompleteSignal("inner", innerDone))
	outer, err := serve.Config{Options: log}.Complete().New("outer", inner)
	servetest.Must(t, "outer", err)
	servetest.Must(t, "outer signal", outer.RegisterMuxAndDiscoveryCompleteSignal("outer", outerDone))
	if err := outer.RegisterMuxAndDiscoveryCompleteSignal("inner", outerDone); err == nil {
		t.Error("two signals of one name")
	}
	if err := outer.RegisterMuxAndDiscoveryCompleteSignal("nil", nil); err == nil {
		t.Error("a nil signal")
	}
	if err := inner.RegisterMuxAndDiscoveryCompleteSignal("late", outerDone); err == nil {
		t.Error("a signal that the server on top does not know of")
	}
	g := runGeneric(t, outer)

	early := local(outer, "/unknown")
	servetest.Want(t, "before", early.Code, http.StatusServiceUnavailable)
	servetest.Want(t, "Retry-After", early.Header().Get("Retry-After"), "5")
	servetest.Want(t, "a known path before", local(outer, "/there").Code, http.StatusOK)
	close(outerDone)
	select {
	case <-outer.Signals().MuxAndDiscoveryComplete.Signaled():
		t.Error("complete with a part missing")
	case <-time.After(20 * time.Millisecond):
	}
	close(innerDone)
	within(t, "complete", outer.Signals().MuxAndDiscoveryComplete.Signaled())
	late := local(outer, "/unknown")
	servetest.Want(t, "after", late.Code, http.StatusNotFound)
	var index struct{ Paths []string }
	servetest.Must(t, "the index", json.Unmarshal(late.Body.Bytes(), &index))
	servetest.Want(t, "of all paths", fmt.Sprint(index.Paths), "[/there]")
	if err := outer.RegisterMuxAndDiscoveryCompleteSignal("late", outerDone); err == nil {
		t.Error("a signal behind the start")
	}
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
}

// TestRunWithoutListener: a server that listens nowhere runs its hooks, and
// stops at once.
func TestRunWithoutListener(t *testing.T) {
	servetest.CheckLeaks(t)
	hooks := new(order)
	s := newGeneric(t, serve.Config{
		ShutdownDelayDuration: 50 * time.Second, // for nobody
		PostStartHooks:        []serve.NamedPostStartHook{{Name: "start", Run: func(c serve.HookContext) error { hooks.note("start"); return nil }}},
		PreShutdownHooks:      []serve.NamedPreShutdownHook{{Name: "stop", Run: func(serve.HookContext) error { hooks.note("stop"); return nil }}},
	})
	g := runGeneric(t, s)
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	servetest.Want(t, "hooks", hooks.String(), "start stop")
	servetest.Want(t, "phase", s.DrainStatus().Phase, "Stopped")
}

// TestRunTwice: one server, one run.
func TestRunTwice(t *testing.T) {
	servetest.CheckLeaks(t)
	released := 0
	s := newGeneric(t, serve.Config{})
	s.OnDestroy(func() { released++ })
	p := prepare(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.RunWithContext(ctx) }()
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	if err := p.Run(nil); err == nil {
		t.Error("a second run, beside the first")
	}
	if _, _, err := p.NonBlockingRun(nil, 0); err == nil {
		t.Error("a second run, not blocking")
	}
	cancel()
	servetest.Must(t, "the run", within(t, "it returns", ended))
	if err := p.RunWithContext(t.Context()); err == nil {
		t.Error("a second run, behind the first")
	}
	servetest.Want(t, "released once", released, 1)
}

// TestGenericClose: Close cuts, twice too, and before Run.
func TestGenericClose(t *testing.T) {
	servetest.CheckLeaks(t)
	early := newGeneric(t, serve.Config{})
	p := prepare(t, early)
	servetest.Must(t, "Close", early.Close())
	servetest.Must(t, "Close again", early.Close())
	servetest.WantErr(t, "Run behind Close", p.RunWithContext(t.Context()), http.ErrServerClosed)

	l := listenTCP(t)
	entered := make(chan struct{})
	s := newGeneric(t, serve.Config{Plain: []net.Listener{l}, ShutdownDelayDuration: 50 * time.Second})
	servetest.Must(t, "a path", s.Mux.Handle("/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})))
	g := runGeneric(t, s)
	c, err := net.Dial("tcp", l.Addr().String())
	servetest.Must(t, "dial", err)
	defer c.Close()
	io.WriteString(c, getSlash)
	within(t, "the handler runs", entered)
	s.Close()
	s.Close()
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a cut connection answered")
	}
}

// TestManyGenericListeners: plain, TLS and UDP at once, and the channels of
// NonBlockingRun.
func TestManyGenericListeners(t *testing.T) {
	servetest.CheckLeaks(t)
	plain := []net.Listener{listenTCP(t), foreignListener{listenTCP(t)}}
	group, packets := bindBoth(t)
	s := newGeneric(t, serve.Config{Plain: plain, Secure: []net.Listener{group}, Packets: []packetGroup{packets}, TLSConfig: serverTLS()})
	servetest.Must(t, "a path", s.Mux.Handle("/", ok("root")))
	stop := make(chan struct{})
	stopped, listenerStopped, err := prepare(t, s).NonBlockingRun(stop, patience)
	servetest.Must(t, "NonBlockingRun", err)
	for i, l := range plain {
		wantStatus(t, fmt.Sprint("plain ", i), get(clientOf(t, "h1"), "http://"+l.Addr().String()), http.StatusOK)
	}
	for i, kind := range clientKinds {
		a := get(clientOf(t, kind), "https://"+group.Addr().String())
		wantStatus(t, kind, a, http.StatusOK)
		servetest.Want(t, kind+" is its protocol", a.proto, i+1)
	}
	servetest.Want(t, "connections by protocol, of h3", s.DrainStatus().Connections["h3"], 1)
	close(stop)
	within(t, "listeners stopped", listenerStopped)
	within(t, "stopped", stopped)
	servetest.Want(t, "requests", s.Stats().Requests, 5)
	for protocol, n := range s.DrainStatus().Connections {
		servetest.Want(t, "nothing is connected by "+protocol, n, 0)
	}
}

// TestStartFails: of a listener that cannot be served nothing is left.
func TestStartFails(t *testing.T) {
	servetest.CheckLeaks(t)
	for _, blocking := range []bool{true, false} {
		audit := &testAudit{order: new(order)}
		l := listenTCP(t)
		packets := bindPackets(t, "127.0.0.1:0")
		packets.Close()
		hooked := false
		s := newGeneric(t, serve.Config{
			Plain: []net.Listener{l}, Packets: []packetGroup{packets}, TLSConfig: serverTLS(), Audit: audit,
			PostStartHooks: []serve.NamedPostStartHook{{Name: "never", Run: func(serve.HookContext) error { hooked = true; return nil }}},
		})
		p := prepare(t, s)
		var err error
		if blocking {
			err = p.RunWithContext(t.Context())
			servetest.Want(t, "the audit", audit.order.String(), "audit stopped")
		} else {
			_, _, err = p.NonBlockingRun(nil, 0)
		}
		if err == nil {
			t.Error("served closed sockets")
		}
		servetest.Want(t, "hooks", hooked, false)
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
			t.Error("something listens after a start that failed")
		}
	}
}

// TestGenericListenerDies: it is fatal, and drains without the delay.
func TestGenericListenerDies(t *testing.T) {
	servetest.CheckLeaks(t)
	inner := listenTCP(t)
	cert, _ := testCert()
	told := make(chan error, 1)
	s := newGeneric(t, serve.Config{
		SecureServing: &serve.SecureServingInfo{
			Listener: foreignListener{inner}, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
			Failed: func(err error) { told <- err },
		},
		ShutdownDelayDuration: 50 * time.Second,
	})
	g := runGeneric(t, s)
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	inner.Close()
	if err := within(t, "Run returns", g.ended); err == nil || !strings.Contains(err.Error(), "stopped listening") {
		t.Errorf("Run: %v", err)
	}
	if err := within(t, "Failed is told", told); err == nil {
		t.Error("Failed without an error")
	}
}

// TestGenericRecycles: the chain decides, else the options.
func TestGenericRecycles(t *testing.T) {
	chain := func(recycles bool) func(http.Handler, *serve.GenericServer) (http.Handler, error) {
		return func(http.Handler, *serve.GenericServer) (http.Handler, error) { return promise{recycles}, nil }
	}
	on := serve.ServerOptions{RecycleRequests: true}
	servetest.Want(t, "by itself", newGeneric(t, serve.Config{}).RecycleRequests(), false)
	servetest.Want(t, "by the options", newGeneric(t, serve.Config{Options: on}).RecycleRequests(), true)
	servetest.Want(t, "by the chain", newGeneric(t, serve.Config{BuildHandlerChain: chain(true)}).RecycleRequests(), true)
	servetest.Want(t, "the chain first", newGeneric(t, serve.Config{Options: on, BuildHandlerChain: chain(false)}).RecycleRequests(), false)
}

// promise is a handler that may be given recycled requests.
type promise struct{ recycles bool }

func (promise) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (p promise) RecycleRequests() bool                      { return p.recycles }

// names are those of checks.
func names(checks []handler.HealthChecker) string {
	var list []string
	for _, c := range checks {
		list = append(list, c.Name())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
