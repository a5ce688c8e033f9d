package serve_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

func nothing(serve.HookContext) error { return nil }

// wantErrText fails the test unless err tells of each text.
func wantErrText(t *testing.T, why string, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", why)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error %q lacks %q", why, err, text)
		}
	}
}

// TestHookErrors: what cannot be registered, of both kinds.
func TestHookErrors(t *testing.T) {
	servetest.CheckLeaks(t)
	s := newGeneric(t, serve.Config{})
	for kind, add := range map[string]func(string, func(serve.HookContext) error) error{
		"post-start":   func(name string, f func(serve.HookContext) error) error { return s.AddPostStartHook(name, f) },
		"pre-shutdown": func(name string, f func(serve.HookContext) error) error { return s.AddPreShutdownHook(name, f) },
	} {
		wantErrText(t, "without a name", add("", nothing), kind, "no name")
		wantErrText(t, "without a function", add("nil", nil), kind, `"nil"`, "no function")
		servetest.Must(t, "the first", add("twice", nothing))
		wantErrText(t, "a name again", add("twice", nothing), kind, `"twice"`, "registered before", "TestHookErrors", "hooks_test.go")
	}
	g := runGeneric(t, s)
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	wantErrText(t, "post-start, late", s.AddPostStartHook("late", nothing), "too late: PrepareRun")
	servetest.Must(t, "pre-shutdown while it runs", s.AddPreShutdownHook("not late", nothing))
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	wantErrText(t, "pre-shutdown, late", s.AddPreShutdownHook("late", nothing), "too late: the server stops")
}

// TestPostStartHook: it runs beside others once the server listens, fails its
// checks until it is done, and its context ends with the server.
func TestPostStartHook(t *testing.T) {
	servetest.CheckLeaks(t)
	release, ended := make(chan struct{}), make(chan error, 1)
	cfg, addr := serveAll(t, serve.Config{PublicHealth: true, DisabledPostStartHooks: []string{"disabled"}})
	s := newGeneric(t, cfg)
	answers := make(chan got, 2)
	servetest.Must(t, "asks", s.AddPostStartHook("asks", func(c serve.HookContext) error {
		answers <- get(c.Client, "http://whoever/livez")
		answers <- get(clientOf(t, "h2"), "https://"+addr+"/livez") // it listens
		<-release
		return nil
	}))
	servetest.Must(t, "stays", s.AddPostStartHook("stays", func(c serve.HookContext) error {
		<-release
		go func() {
			<-c.Done()
			ended <- c.Err()
		}()
		return nil
	}))
	servetest.Must(t, "disabled", s.AddPostStartHook("disabled", func(serve.HookContext) error { return errors.New("it ran") }))
	g := runGeneric(t, s)
	for range 2 {
		a := within(t, "an answer", answers)
		if a.err != nil {
			t.Error(a.err)
		}
	}
	body := local(s, "/readyz").Body.String()
	for _, line := range []string{"[-]poststarthook/asks failed", "[-]poststarthook/stays failed"} {
		if !strings.Contains(body, line) {
			t.Errorf("readyz lacks %q:\n%s", line, body)
		}
	}
	servetest.Want(t, "ready", isSignaled(s.Signals().HasBeenReady), false)
	close(release)
	within(t, "ready", s.Signals().HasBeenReady.Signaled()) // nobody probes
	servetest.Want(t, "readyz", local(s, "/readyz").Code, http.StatusOK)
	wantNotYet(t, "the context ended before the server", ended)
	close(g.stop)
	servetest.WantErr(t, "the context", within(t, "it ends", ended), context.Canceled)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
}

// TestPostStartHookFails: an error or a panic makes the server unready and
// drain; requests under way finish; Run returns it.
func TestPostStartHookFails(t *testing.T) {
	for _, form := range []struct {
		name string
		fail func() error
		want string
	}{
		{"error", func() error { return errors.New("no database") }, "no database"},
		{"panic", func() error { panic("no database") }, "panic: no database"},
	} {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			entered, release, fail := make(chan struct{}), make(chan struct{}), make(chan struct{})
			cfg, addr := serveAll(t, serve.Config{PublicHealth: true})
			s := newGeneric(t, cfg)
			servetest.Must(t, "a path", s.Mux.Handle("/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				close(entered)
				<-release
			})))
			servetest.Must(t, "hook", s.AddPostStartHook("fails", func(serve.HookContext) error {
				<-fail
				return form.fail()
			}))
			g := runGeneric(t, s)
			slow := make(chan got, 1)
			go func() { slow <- get(clientOf(t, "h1"), "https://"+addr) }()
			within(t, "a request is under way", entered)
			close(fail)
			within(t, "the stop begins", s.Signals().ShutdownInitiated.Signaled())
			body := local(s, "/readyz").Body.String()
			if !strings.Contains(body, "[-]poststarthook/fails failed") || !strings.Contains(body, "[-]shutdown failed") {
				t.Errorf("readyz:\n%s", body)
			}
			within(t, "it drains", s.Signals().HTTPServerStoppedListening.Signaled())
			close(release)
			wantStatus(t, "the request under way", within(t, "slow", slow), http.StatusOK)
			wantErrText(t, "Run", within(t, "Run returns", g.ended), `post-start hook "fails"`, form.want)
		})
	}
}

// TestPostStartHookFailsNonBlocking: the channels close then.
func TestPostStartHookFailsNonBlocking(t *testing.T) {
	servetest.CheckLeaks(t)
	s := newGeneric(t, serve.Config{})
	servetest.Must(t, "hook", s.AddPostStartHook("fails", func(serve.HookContext) error { return errors.New("no") }))
	stopped, listenerStopped, err := prepare(t, s).NonBlockingRun(make(chan struct{}), patience)
	servetest.Must(t, "NonBlockingRun", err)
	within(t, "listeners", listenerStopped)
	within(t, "stopped", stopped)
}

// TestPostStartHookEnds: what a hook returns because the server stops is no
// failure; one that heeds nothing holds nobody up for long.
func TestPostStartHookEnds(t *testing.T) {
	servetest.CheckLeaks(t)
	release := make(chan struct{})
	running := make(chan struct{}, 2)
	s := newGeneric(t, serve.Config{ShutdownTimeout: 300 * time.Millisecond})
	servetest.Must(t, "heeds", s.AddPostStartHook("heeds", func(c serve.HookContext) error {
		running <- struct{}{}
		<-c.Done()
		return c.Err()
	}))
	servetest.Must(t, "deaf", s.AddPostStartHook("deaf", func(serve.HookContext) error {
		running <- struct{}{}
		<-release
		return errors.New("too late to matter")
	}))
	g := runGeneric(t, s)
	within(t, "one runs", running)
	within(t, "both run", running)
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	close(release)
}
