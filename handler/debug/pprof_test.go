package debug

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	runtimepprof "runtime/pprof"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func fetch(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestHandlerOptions(t *testing.T) {
	flight := newFlight(t, FlightOptions{}, &fakeSource{})
	servetest.Must(t, "start", flight.Start())
	defer flight.Stop()
	for _, tt := range []struct {
		name           string
		opts           Options
		pprof, profile int
		flight         int
	}{
		{"zero", Options{}, 200, 200, 404},
		{"flight recorder", Options{Flight: flight}, 200, 200, 200},
		{"no pprof", Options{DisablePprof: true}, 404, 404, 404},
		{"flight recorder alone", Options{DisablePprof: true, Flight: flight}, 404, 404, 200},
	} {
		h := NewHandler(tt.opts)
		servetest.Want(t, tt.name+": index", fetch(h, "GET", "/debug/pprof/").Code, tt.pprof)
		servetest.Want(t, tt.name+": heap", fetch(h, "GET", "/debug/pprof/heap").Code, tt.profile)
		servetest.Want(t, tt.name+": flight", fetch(h, "GET", "/debug/flight").Code, tt.flight)
		servetest.Want(t, tt.name+": others", fetch(h, "GET", "/debug/vars").Code, 404)
	}
}

// What the index links to is there, but for what takes seconds.
func TestIndexLinks(t *testing.T) {
	h := NewHandler(Options{Flight: newFlight(t, FlightOptions{}, &fakeSource{})})
	w := fetch(h, "GET", "/debug/pprof/")
	servetest.Want(t, "type", w.Header().Get("Content-Type"), "text/html; charset=utf-8")
	servetest.Want(t, "it is not kept", w.Header().Get("Cache-Control"), "no-store")
	links := strings.Split(w.Body.String(), `href="`)[1:]
	if len(links) < 9 {
		t.Errorf("only %d links", len(links))
	}
	for _, l := range links {
		l, _, _ = strings.Cut(l, `"`)
		if strings.Contains(l, "seconds=") || strings.HasPrefix(l, "../") {
			continue
		}
		servetest.Want(t, l, fetch(h, "GET", "/debug/pprof/"+l).Code, 200)
	}
	servetest.Want(t, "the recorder's state is told", strings.Contains(w.Body.String(), ErrFlightOff.Error()), true)
}

// Names of profiles are anybody's, and no markup.
func TestIndexQuotes(t *testing.T) {
	registerOdd()
	body := fetch(NewHandler(Options{}), "GET", "/debug/pprof/").Body.String()
	servetest.Want(t, "the name is quoted", strings.Contains(body, "&lt;b&gt;odd&#34;"), true)
	servetest.Want(t, "no markup", strings.Contains(body, "<b>odd"), false)
}

// registerOdd registers once: -count runs a test again, and profiles stay.
var registerOdd = sync.OnceFunc(func() { runtimepprof.NewProfile(`<b>odd"`) })

func TestIndexContention(t *testing.T) {
	const off = "contention profiling is off"
	body := func(o Options) string { return fetch(NewHandler(o), "GET", "/debug/pprof/").Body.String() }
	servetest.Want(t, "the mutex profile is off, and says so", strings.Contains(body(Options{}), off), true)
	defer StartContention(ContentionOptions{})()
	servetest.Want(t, "both are on", strings.Contains(body(Options{Contention: true}), off), false)
}

// Labels are asked for while a profile is taken, and only then.
func TestLabelsInUse(t *testing.T) {
	uses, releases := 0, 0
	h := NewHandler(Options{Labels: func() func() {
		uses++
		return func() { releases++ }
	}})
	for path, want := range map[string]int{
		"/debug/pprof/": 0, "/debug/pprof/heap": 0, "/debug/pprof/cmdline": 0, "/debug/pprof/goroutine": 1,
	} {
		uses, releases = 0, 0
		servetest.Want(t, path, fetch(h, "GET", path).Code, 200)
		servetest.Want(t, path+": uses", uses, want)
		servetest.Want(t, path+": releases", releases, want)
	}
}

func TestContention(t *testing.T) {
	before := runtime.SetMutexProfileFraction(-1)
	stop := StartContention(ContentionOptions{BlockRate: 1, MutexFraction: 1})
	servetest.Want(t, "the fraction is set", runtime.SetMutexProfileFraction(-1), 1)
	servetest.WantSoon(t, "a wait is in the block profile", func() bool {
		c := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { <-c })
		runtime.Gosched()
		close(c)
		wg.Wait()
		var profile strings.Builder
		servetest.Must(t, "block profile", runtimepprof.Lookup("block").WriteTo(&profile, 1))
		return strings.Contains(profile.String(), "TestContention")
	})
	stop()
	stop()
	servetest.Want(t, "the fraction is as before", runtime.SetMutexProfileFraction(-1), before)

	stop = StartContention(ContentionOptions{MutexFraction: -1})
	servetest.Want(t, "negative: none", runtime.SetMutexProfileFraction(-1), before)
	stop()
	stop = StartContention(ContentionOptions{})
	servetest.Want(t, "zero: the default", runtime.SetMutexProfileFraction(-1), defaultMutexFraction)
	stop()
}
