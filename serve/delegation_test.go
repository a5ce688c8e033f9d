package serve_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

func sick(name string) handler.HealthChecker {
	return handler.NamedCheck(name, func(*http.Request) error { return errors.New(name + " is sick") })
}

func well(name string) handler.HealthChecker {
	return handler.NamedCheck(name, func(*http.Request) error { return nil })
}

// TestNewWithDelegate: hooks, checks of each group, paths, sources and releases
// of the whole chain are those of the outermost server.
func TestNewWithDelegate(t *testing.T) {
	servetest.CheckLeaks(t)
	var did order
	started := make(chan struct{}, 2)
	inner, outer := newPair(t, &did, started)
	wantMerged(t, inner, outer)

	g := runGeneric(t, outer)
	within(t, "a hook", started)
	within(t, "the other hook", started)
	within(t, "all paths", outer.Signals().MuxAndDiscoveryComplete.Signaled())
	for path, status := range map[string]int{"/inner": 200, "/outer": 200, "/hidden": 200, "/none": 404, "/readyz": 500, "/healthz": 500} {
		servetest.Want(t, path, local(outer, path).Code, status)
	}
	// The grace of the delegate goes with its checks; hooks are done.
	servetest.WantSoon(t, "livez, in the grace", func() bool { return local(outer, "/livez").Code == http.StatusOK })
	verbose := local(outer, "/readyz?verbose").Body.String()
	for _, line := range []string{"[-]inner-ready failed", "[-]inner-boot failed", "[+]outer-all ok", "[+]poststarthook/inner-post ok"} {
		if !strings.Contains(verbose, line) {
			t.Errorf("readyz lacks %q:\n%s", line, verbose)
		}
	}
	servetest.Want(t, "paths", fmt.Sprint(outer.ListedPaths()), "[/healthz /inner /livez /outer /readyz]")
	if outer.NextDelegate() != serve.DelegationTarget(inner) {
		t.Error("the next delegate is another")
	}
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	outer.Destroy()
	servetest.Want(t, "at the stop", did.String(), "inner-pre outer-pre outer-destroyed-first outer-destroyed-last inner-destroyed")
}

// newPair makes a chain of two servers with one of each thing.
func newPair(t *testing.T, did *order, started chan<- struct{}) (inner, outer *serve.GenericServer) {
	t.Helper()
	log := serve.ServerOptions{ErrorLog: quiet()}
	post := func(serve.HookContext) error {
		started <- struct{}{}
		return nil
	}
	pre := func(name string) serve.PreShutdownHookFunc {
		return func(serve.HookContext) error {
			did.note(name)
			return nil
		}
	}
	var err error
	inner, err = serve.Config{Options: log, LivezGracePeriod: time.Hour}.Complete().New("inner", serve.NewEmptyDelegate())
	servetest.Must(t, "inner", err)
	servetest.Must(t, "a path", inner.Mux.Handle("/inner", ok("inner")))
	servetest.Must(t, "a hidden path", inner.Mux.UnlistedHandle("/hidden", ok("hidden")))
	servetest.Must(t, "post-start", inner.AddPostStartHook("inner-post", post))
	servetest.Must(t, "pre-shutdown", inner.AddPreShutdownHook("inner-pre", pre("inner-pre")))
	servetest.Must(t, "checks", inner.AddHealthChecks(well("inner-all")))
	servetest.Must(t, "boot checks", inner.AddBootSequenceHealthChecks(sick("inner-boot")))
	servetest.Must(t, "readyz", inner.AddReadyzChecks(sick("inner-ready")))
	servetest.Must(t, "livez", inner.AddLivezChecks(time.Hour, sick("inner-live")))
	inner.OnDestroy(func() { did.note("inner-destroyed") })

	outer, err = serve.Config{
		Options: log, PublicHealth: true,
		PostStartHooks:   []serve.NamedPostStartHook{{Name: "outer-post", Run: post}},
		PreShutdownHooks: []serve.NamedPreShutdownHook{{Name: "outer-pre", Run: pre("outer-pre")}},
	}.Complete().New("outer", inner)
	servetest.Must(t, "outer", err)
	servetest.Must(t, "a path", outer.Mux.Handle("/outer", ok("outer")))
	servetest.Must(t, "a check", outer.AddHealthChecks(well("outer-all")))
	outer.OnDestroy(func() { did.note("outer-destroyed-last") })
	outer.OnDestroy(func() { did.note("outer-destroyed-first") })
	return inner, outer
}

// wantMerged looks at the outer server before it runs.
func wantMerged(t *testing.T, inner, outer *serve.GenericServer) {
	t.Helper()
	checks := outer.HealthChecks()
	const hooks = "poststarthook/inner-post poststarthook/outer-post"
	servetest.Want(t, "healthz", names(checks.Healthz), "inner-all inner-boot log outer-all ping "+hooks)
	servetest.Want(t, "livez", names(checks.Livez), "inner-all inner-boot inner-live log outer-all ping "+hooks)
	servetest.Want(t, "readyz", names(checks.Readyz), "inner-all inner-boot inner-ready log outer-all ping "+hooks)
	for _, late := range []error{
		inner.AddPostStartHook("late", nothing), inner.AddPreShutdownHook("late", nothing), inner.AddHealthChecks(well("late")),
	} {
		if late == nil || !strings.Contains(late.Error(), "too late: server outer delegates to it") {
			t.Errorf("added behind the merge: %v", late)
		}
	}
	if err := outer.AddPostStartHook("inner-post", nothing); err == nil || !strings.Contains(err.Error(), "delegation_test.go") {
		t.Errorf("the name of a delegate's hook: %v", err)
	}
}

// TestCustomEnd: the end of the chain answers what nobody knows.
func TestCustomEnd(t *testing.T) {
	servetest.CheckLeaks(t)
	s, err := serve.Config{Options: serve.ServerOptions{ErrorLog: quiet()}}.Complete().New("s", serve.NewEmptyDelegateWithCustomHandler(ok("custom")))
	servetest.Must(t, "New", err)
	servetest.Want(t, "what nobody knows", local(s, "/unknown").Body.String(), "custom")
}

// TestFiltersOnce: the filters of an inner server are not in the way of the
// outer one's requests.
func TestFiltersOnce(t *testing.T) {
	servetest.CheckLeaks(t)
	var passed order
	chain := func(name string) func(http.Handler, *serve.GenericServer) (http.Handler, error) {
		return func(next http.Handler, _ *serve.GenericServer) (http.Handler, error) {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				passed.note(name)
				next.ServeHTTP(w, r)
			}), nil
		}
	}
	log := serve.ServerOptions{ErrorLog: quiet()}
	inner, err := serve.Config{Options: log, BuildHandlerChain: chain("inner")}.Complete().New("inner", serve.NewEmptyDelegate())
	servetest.Must(t, "inner", err)
	servetest.Must(t, "a path", inner.Mux.Handle("/a", ok("a")))
	outer, err := serve.Config{Options: log, BuildHandlerChain: chain("outer")}.Complete().New("outer", inner)
	servetest.Must(t, "outer", err)
	servetest.Want(t, "a path of the delegate", local(outer, "/a").Body.String(), "a")
	servetest.Want(t, "filters", passed.String(), "outer")
}

// TestDestroyTwice: by many at once, each release once, a panic isolated.
func TestDestroyTwice(t *testing.T) {
	var did order
	s := newGeneric(t, serve.Config{})
	s.OnDestroy(func() { did.note("first") })
	s.OnDestroy(func() { panic("in a release") })
	var all sync.WaitGroup
	for range 8 {
		all.Go(s.Destroy)
	}
	all.Wait()
	servetest.Want(t, "released", did.String(), "first")
}
