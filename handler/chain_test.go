package handler

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// recorder is a stage that notes its calls.
type recorder struct {
	name  string
	notes *[]string
	stop  bool
}

func (s *recorder) note(what string) { *s.notes = append(*s.notes, s.name+" "+what) }

func (s *recorder) Begin(x *Exchange) bool {
	s.note("begin")
	if s.stop {
		x.Writer().WriteHeader(http.StatusTeapot)
	}
	return !s.stop
}
func (s *recorder) Head(_ *Exchange, status int) { s.note(fmt.Sprint("head ", status)) }
func (s *recorder) End(x *Exchange)              { s.note(fmt.Sprint("end ", x.Status())) }

func TestChainOrder(t *testing.T) {
	var notes []string
	a, b := &recorder{name: "a", notes: &notes}, &recorder{name: "b", notes: &notes}
	get(NewChain(NotFound{}, a, nil, b), "/")
	servetest.Want(t, "order", strings.Join(notes, ", "), "a begin, b begin, b head 404, a head 404, b end 404, a end 404")
	notes = nil
	a.stop = true
	servetest.Want(t, "a stage's own answer", get(NewChain(NotFound{}, a, b), "/").Code, http.StatusTeapot)
	servetest.Want(t, "nothing behind it runs", strings.Join(notes, ", "), "a begin, a head 418, a end 418")
}

func TestChainImplicitStatus(t *testing.T) {
	var notes []string
	a := &recorder{name: "a", notes: &notes}
	for _, h := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) {},
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") },
		func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) },
	} {
		notes = nil
		get(NewChain(h, a), "/")
		servetest.Want(t, "notes", strings.Join(notes, ", "), "a begin, a head 200, a end 200")
	}
}

func TestChainPanics(t *testing.T) {
	var notes []string
	a := &recorder{name: "a", notes: &notes}
	defer func() {
		servetest.Want(t, "the engine sees it", recover(), any("boom"))
		servetest.Want(t, "the ends run", strings.Join(notes, ", "), "a begin, a end 0")
	}()
	get(NewChain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }), a), "/")
}

func TestExchangeOf(t *testing.T) {
	var got *Exchange
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = ExchangeOf(struct{ unwrapper }{unwrapper{w}}) })
	get(NewChain(h), "/")
	servetest.Want(t, "found through a wrapper", got != nil, true)
	servetest.Want(t, "behind no chain", ExchangeOf(httptest.NewRecorder()) == nil, true)
}

type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// A recycling chain makes no allocation of its own.
func TestChainAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	servetest.Want(t, "allocations", allocations(NewChain(NotFound{}), r), 0)
}

func BenchmarkChain(b *testing.B) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, h := range map[string]http.Handler{"bare": NotFound{}, "empty chain": NewChain(NotFound{})} {
		b.Run(name, func(b *testing.B) {
			w := newStubWriter()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// asking notes whether the head had gone when it was first read.
type asking struct {
	w    *stubWriter
	sent bool
	left int
}

func (a *asking) Read(p []byte) (int, error) {
	if a.left == 2 {
		a.sent = a.w.status != 0
	}
	if a.left == 0 {
		return 0, io.EOF
	}
	a.left--
	return copy(p, "part "), nil
}

// A copy reads its source before the head goes: an echo's first read asks for the
// body (100 Continue), which a final head would forbid.
func TestReadFromReadsFirst(t *testing.T) {
	w := newStubWriter()
	src := &asking{w: w, left: 2}
	h := NewChain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, err := io.Copy(w, src)
		servetest.Want(t, "bytes", n, 10)
		servetest.WantErr(t, "copied", err, nil)
		servetest.Want(t, "counted", ExchangeOf(w).Written(), 10)
	}))
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	servetest.Want(t, "the head came before the first read", src.sent, false)
	servetest.Want(t, "content", w.bytes, 10)
}
