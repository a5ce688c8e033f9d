package serve_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// testSource is one that syncs by hand.
type testSource struct {
	name     string
	starts   atomic.Int32
	synced   atomic.Bool
	panics   bool
	returned chan struct{}
}

func newSource(name string) *testSource {
	return &testSource{name: name, returned: make(chan struct{})}
}

func (s *testSource) Name() string { return s.name }
func (s *testSource) Start(ctx context.Context) {
	s.starts.Add(1)
	if s.panics {
		panic("in a source")
	}
	<-ctx.Done()
	close(s.returned)
}
func (s *testSource) HasSynced() bool { return s.synced.Load() }

// wants is a plugin that asks for all there is.
type wants struct {
	sources serve.Sources
	extra   string
	err     error
}

func (w *wants) SetSources(s serve.Sources) error { w.sources = s; return nil }
func (w *wants) SetExtra(text string)             { w.extra = text }
func (w *wants) ValidateInitialization() error    { return w.err }

// extra is an initialiser.
type extra struct{ err error }

func (e extra) Initialize(plugin any) error {
	if w, ok := plugin.(interface{ SetExtra(string) }); ok {
		w.SetExtra("given")
	}
	return e.err
}

// TestSources: sources of a chain are started once, by the server that listens,
// hold readyz back until they have synced, and outlive the requests.
func TestSources(t *testing.T) {
	servetest.CheckLeaks(t)
	log := serve.ServerOptions{ErrorLog: quiet()}
	shared, own := newSource("shared"), newSource("own")
	inner, err := serve.Config{Options: log, Sources: []serve.Source{shared}}.Complete().New("inner", serve.NewEmptyDelegate())
	servetest.Must(t, "inner", err)
	middle, err := serve.Config{Options: log}.Complete().New("middle", inner)
	servetest.Must(t, "middle", err)
	plugin := new(wants)
	outer, err := serve.Config{
		Options: log, PublicHealth: true, Sources: []serve.Source{shared, own}, PluginInitializers: []serve.PluginInitializer{extra{}},
		BuildHandlerChain: func(h http.Handler, s *serve.GenericServer) (http.Handler, error) {
			return h, s.Initialize(plugin, "a plugin that wants nothing")
		},
	}.Complete().New("outer", middle)
	servetest.Must(t, "outer", err)
	for _, name := range []string{"shared", "own"} {
		if src, ok := plugin.sources.Get(name); !ok || src.Name() != name {
			t.Errorf("the plugin was not given %q", name)
		}
	}
	if _, ok := plugin.sources.Get("none"); ok {
		t.Error("the plugin was given what there is not")
	}
	servetest.Want(t, "by the other initialiser", plugin.extra, "given")
	wantErrText(t, "another one of the name", outer.AddSource(newSource("own")), `"own"`)
	wantErrText(t, "without a name", outer.AddSource(newSource("")), "no name")
	servetest.Must(t, "the same one", outer.AddSource(own))

	g := runGeneric(t, outer)
	servetest.WantSoon(t, "both are started", func() bool { return shared.starts.Load() == 1 && own.starts.Load() == 1 })
	body := local(outer, "/readyz").Body.String()
	for _, line := range []string{"[-]source/shared failed", "[-]source/own failed"} {
		if !strings.Contains(body, line) {
			t.Errorf("readyz lacks %q:\n%s", line, body)
		}
	}
	servetest.Want(t, "livez", local(outer, "/livez").Code, http.StatusOK)
	shared.synced.Store(true)
	own.synced.Store(true)
	within(t, "ready", outer.Signals().HasBeenReady.Signaled())
	wantErrText(t, "late", outer.AddSource(newSource("late")), "too late")
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	within(t, "the source ended", own.returned)
	within(t, "the shared one too", shared.returned)
	servetest.Want(t, "starts", shared.starts.Load(), 1)
}

// TestSourcePanics: it is named in readyz, nothing else breaks.
func TestSourcePanics(t *testing.T) {
	servetest.CheckLeaks(t)
	bad := newSource("bad")
	bad.panics = true
	bad.synced.Store(true)
	s := newGeneric(t, serve.Config{PublicHealth: true, Sources: []serve.Source{bad}})
	g := runGeneric(t, s)
	servetest.WantSoon(t, "readyz names it", func() bool { return strings.Contains(local(s, "/readyz").Body.String(), "[-]source/bad failed") })
	servetest.Want(t, "livez", local(s, "/livez").Code, http.StatusOK)
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
}

// TestInitializeErrors: all are told.
func TestInitializeErrors(t *testing.T) {
	s := newGeneric(t, serve.Config{PluginInitializers: []serve.PluginInitializer{extra{errors.New("nothing to give")}}})
	wantErrText(t, "two plugins", s.Initialize(&wants{err: errors.New("I lack something")}, 1), "*serve_test.wants: nothing to give", "I lack something", "int: nothing")
}
