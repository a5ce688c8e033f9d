package handler

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// markedWriter is an engine's writer that recycles.
type markedWriter struct {
	*httptest.ResponseRecorder
	marks int
}

func (w *markedWriter) MayRecycle() { w.marks++ }

func (w *markedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, _ := net.Pipe()
	return c, nil, nil
}

// promised is a handler with a word of its own on recycling.
type promised struct {
	http.HandlerFunc
	recycles bool
}

func (p promised) RecycleRequests() bool { return p.recycles }

// hidden is a writer between that nobody sees through.
type hidden struct{ http.ResponseWriter }

// recyclingMux has a route for each case of TestMayRecycle.
func recyclingMux(t *testing.T) *PathRecorderMux {
	inner := NewPathRecorderMux("inner", EndOfChain{})
	m := NewPathRecorderMux("outer", inner)
	yes := func(f http.HandlerFunc) http.Handler { return promised{f, true} }
	add := func(m *PathRecorderMux, path string, h http.Handler) {
		t.Helper()
		servetest.Must(t, path, m.Handle(path, h))
	}
	hello := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }
	add(m, "/promised", yes(hello))
	add(m, "/silent", http.HandlerFunc(hello))
	add(m, "/refuses", promised{hello, false})
	add(inner, "/delegate", yes(hello))
	add(inner, "/delegate-silent", http.HandlerFunc(hello))
	servetest.Must(t, "prefix", m.HandlePrefix("/below/", yes(hello)))
	add(m, "/panics", yes(func(http.ResponseWriter, *http.Request) { panic("on purpose") }))
	add(m, "/aborts", yes(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	add(m, "/hijacks", yes(func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil { // not behind a hidden one
			c.Close()
		}
	}))
	add(m, "/late", yes(func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) }))
	add(m, "/late-write", yes(func(w http.ResponseWriter, r *http.Request) {
		hello(w, r)
		time.Sleep(2 * time.Second)
	}))
	add(m, "/turns-silent", yes(func(w http.ResponseWriter, r *http.Request) {
		servetest.Must(t, "replace", m.Replace(Route{Path: "/turns-silent", Handler: http.HandlerFunc(hello)}))
	}))
	add(m, "/turns-promised", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		servetest.Must(t, "replace", m.Replace(Route{Path: "/turns-promised", Handler: yes(hello)}))
	}))
	return m
}

// refuseStage answers in place of the handler.
type refuseStage struct{}

func (refuseStage) Begin(x *Exchange) bool {
	if x.Request.Header.Get("Refuse") == "" {
		return true
	}
	notFoundText.serve(x.Writer(), x.Request)
	return false
}

// TestMayRecycle: a request is recycled if the handler of its route promises it,
// and nothing has happened that could leave somebody behind.
func TestMayRecycle(t *testing.T) {
	for _, tt := range []struct {
		target string
		mux    int // marks by the mux alone; -1: it is not asked
		chain  int // by the chain around it
	}{
		{"/promised", 1, 1},
		{"/silent", 0, 0},
		{"/refuses", 0, 0},
		{"/delegate", 1, 1},
		{"/delegate-silent", 0, 0},
		{"/below/deep", 1, 1},
		{"/nothing-there", 1, 1},
		{"/panics", -1, 0},
		{"/aborts", -1, 0},
		{"/hijacks", 1, 0}, // of a connection that was taken the engine recycles nothing
		{"/late?timeout=1s", -1, 0},
		{"/late-write?timeout=1s", -1, 0},
		{"/turns-silent", 1, 1}, // the handler that has served it has promised
		{"/turns-promised", 0, 0},
	} {
		t.Run(tt.target, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testMayRecycle(t, tt.target, tt.mux, tt.chain) })
		})
	}
}

func testMayRecycle(t *testing.T, target string, byMux, byChain int) {
	request := func() *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }
	if byMux >= 0 {
		w := &markedWriter{ResponseRecorder: httptest.NewRecorder()}
		recyclingMux(t).ServeHTTP(w, request())
		servetest.Want(t, "marks of the mux", w.marks, byMux)
	}
	g := NewRegistry()
	c := NewChain(recyclingMux(t), NewRecovery(slog.New(slog.DiscardHandler)), NewWaitGroup(g, WaitGroupOptions{}), NewDeadline(DeadlineOptions{}),
		NewTimeout(g, TimeoutOptions{}), refuseStage{})
	servetest.Want(t, "for all requests", c.RecycleRequests(), false)
	servetest.Want(t, "for some", c.RecyclesSomeRequests(), true)
	served := func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if err, ok := v.(error); v != nil && (!ok || !errors.Is(err, http.ErrAbortHandler)) {
				t.Errorf("panic: %v", v)
			}
		}()
		c.ServeHTTP(w, r)
	}
	w := &markedWriter{ResponseRecorder: httptest.NewRecorder()}
	served(w, request())
	servetest.Want(t, "marks of the chain", w.marks, byChain)

	w.marks = 0
	served(hidden{w}, request())
	servetest.Want(t, "behind a writer that hides it", w.marks, 0)

	refused := request()
	refused.Header.Set("Refuse", "1")
	served(w, refused)
	servetest.Want(t, "what a stage has answered", w.marks, 1)
}

// TestSomePromises: who says what about recycling.
func TestSomePromises(t *testing.T) {
	yes, no := promised{nil, true}, promised{nil, false}
	mux := NewPathRecorderMux("test", nil)
	for _, tt := range []struct {
		name      string
		h         http.Handler
		all, some bool
	}{
		{"nothing said", http.NotFoundHandler(), false, false},
		{"promised", yes, true, false},
		{"refused", no, false, false},
		{"mux", mux, false, true},
		{"chain, promised", NewChain(yes), true, false},
		{"chain, refused", NewChain(no), false, false},
		{"chain, mux", NewChain(mux), false, true},
		{"end of chain", EndOfChain{}, true, false},
		{"end of chain, promised", EndOfChain{yes}, true, false},
		{"end of chain, refused", EndOfChain{no}, false, false},
		{"end of chain, mux", EndOfChain{mux}, false, true},
	} {
		servetest.Want(t, tt.name+": all", recyclesAll(tt.h), tt.all)
		servetest.Want(t, tt.name+": some", recyclesSome(tt.h), tt.some)
	}
}

// TestRecordIsKept: a handler that has promised nothing finds the record of its
// request unchanged, whatever comes behind it.
func TestRecordIsKept(t *testing.T) {
	var kept []*Exchange
	m := NewPathRecorderMux("test", nil)
	servetest.Must(t, "a path", m.HandlePrefix("/kept/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		kept = append(kept, ExchangeOf(w))
	})))
	servetest.Must(t, "a path", m.HandlePrefix("/promised/", promised{func(http.ResponseWriter, *http.Request) {}, true}))
	c := NewChain(m, NewRequestInfo(newPathRules(t, ProbeRules()...).Resolve))
	const requests = 50
	for i := range requests {
		for _, path := range []string{"/promised/", "/kept/"} {
			c.ServeHTTP(newStubWriter(), httptest.NewRequest(http.MethodGet, path+strings.Repeat("x", i), nil))
		}
	}
	servetest.Want(t, "kept", len(kept), requests)
	seen := make(map[*Exchange]bool)
	for i, x := range kept {
		servetest.Want(t, "its own", seen[x], false)
		seen[x] = true
		servetest.Want(t, "path", x.Request.URL.Path, "/kept/"+strings.Repeat("x", i))
		servetest.Want(t, "status", x.Status(), http.StatusOK)
	}
}

// TestRecyclingRouteAllocs: the whole default chain around a mux allocates nothing
// for a route that promises to keep nothing.
func TestRecyclingRouteAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range defaultChains[1:] {
		h, err := NewDefaultChain(appMux(t), c.options(t))
		servetest.Must(t, "chain", err)
		servetest.Want(t, c.name+": allocations", allocations(h, plainGet(t)), 0)
	}
}

// appMux has a recycling route for plainGet, behind a delegate.
func appMux(tb testing.TB) *PathRecorderMux {
	inner := NewPathRecorderMux("inner", nil)
	servetest.Must(tb, "a prefix", inner.HandlePrefix("/assets/", answer{make([]byte, 64)}))
	m := NewPathRecorderMux("outer", inner)
	servetest.Must(tb, "a path", m.Handle("/other", http.NotFoundHandler()))
	return m
}
