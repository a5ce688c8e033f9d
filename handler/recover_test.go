package handler

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// endOf is a stage that keeps what its End sees.
type endOf struct {
	status  int
	aborted bool
	ended   bool
}

func (e *endOf) Begin(*Exchange) bool { return true }
func (e *endOf) End(x *Exchange)      { e.status, e.aborted, e.ended = x.Status(), x.Aborted(), true }

// panicking tells what get sees of h: an answer, or what reached the engine.
func panicking(h http.Handler) (w *httptest.ResponseRecorder, failure any) {
	w = httptest.NewRecorder()
	defer func() { failure = recover() }()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a%0ab", nil))
	return w, nil
}

func deepPanic() { panic("boom") }

func TestRecovery(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int  // what the stages see
		abort   bool // and the engine
		logged  bool
	}{
		{"nothing sent", func(http.ResponseWriter, *http.Request) { deepPanic() }, 500, false, true},
		{"fields set", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", "100000")
			w.Header().Set("Etag", `"x"`)
			deepPanic()
		}, 500, false, true},
		{"only a hint sent", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); deepPanic() }, 500, false, true},
		{"after the head", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); deepPanic() }, 201, true, true},
		{"inside the body", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); deepPanic() }, 200, true, true},
		{"quiet abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, true, false},
		{"quiet abort, wrapped", func(http.ResponseWriter, *http.Request) { panic(fmt.Errorf("copy: %w", http.ErrAbortHandler)) }, 0, true, false},
		{"a value that cannot be compared", func(http.ResponseWriter, *http.Request) { panic([]int{1}) }, 500, false, true},
		{"nil", func(http.ResponseWriter, *http.Request) { panic(nil) }, 500, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			outer, inner := &endOf{}, &endOf{}
			w, failure := panicking(NewChain(tt.handler, outer, NewRecovery(slog.New(slog.NewTextHandler(&log, nil))), inner))
			var told any
			if tt.abort {
				told = http.ErrAbortHandler
			}
			servetest.Want(t, "the engine is told", failure, told)
			servetest.Want(t, "outer stage", *outer, endOf{tt.status, tt.abort, true})
			servetest.Want(t, "inner stage", *inner, *outer)
			servetest.Want(t, "logged", log.Len() > 0, tt.logged)
			if tt.status == 500 {
				servetest.Want(t, "body", w.Body.String(), "500 internal server error\n")
				servetest.Want(t, "length", w.Header().Get("Content-Length"), "26")
				servetest.Want(t, "encoding", w.Header().Get("Content-Encoding"), "")
				servetest.Want(t, "validator", w.Header().Get("Etag"), "")
			}
		})
	}
}

func TestRecoveryLogsThePlace(t *testing.T) {
	var log bytes.Buffer
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { deepPanic() })
	panicking(NewChain(h, NewRecovery(slog.New(slog.NewTextHandler(&log, nil)))))
	for _, want := range []string{"panic=boom", "handler.deepPanic", "recover_test.go", "method=", "GET", `a\\nb`} {
		servetest.Want(t, "the log holds "+want, strings.Contains(log.String(), want), true)
	}
	servetest.Want(t, "one line, whatever the path holds", strings.Count(log.String(), "\n"), 1)
}

func TestRecoveryBoundsTheStack(t *testing.T) {
	var log bytes.Buffer
	var dig func(n int) int
	dig = func(n int) int {
		if n == 0 {
			panic("deep")
		}
		return dig(n-1) + 1
	}
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dig(20_000) })
	panicking(NewChain(h, NewRecovery(slog.New(slog.NewTextHandler(&log, nil)))))
	servetest.Want(t, "bounded", log.Len() > 0 && log.Len() < 2*maxPanicStack, true)
}

// A panic of a stage is settled too, by a Recovery before it; one before
// Recovery is the engine's.
func TestRecoveryOfStages(t *testing.T) {
	quiet := NewRecovery(slog.New(slog.DiscardHandler))
	w, failure := panicking(NewChain(NotFound{}, quiet, stageFunc(func(*Exchange) bool { panic("stage") })))
	servetest.Want(t, "behind it", w.Code, 500)
	servetest.Want(t, "settled", failure, nil)
	_, failure = panicking(NewChain(NotFound{}, stageFunc(func(*Exchange) bool { panic("stage") }), quiet))
	servetest.Want(t, "before it", failure, any("stage"))
}

// A late panic of a handler whose answer has expired does not spoil the answer.
func TestRecoveryAfterExpiry(t *testing.T) {
	end := &endOf{}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
		ExchangeOf(w).w.late.Store(true) // as after an expiry
		deepPanic()
	})
	w, failure := panicking(NewChain(h, NewRecovery(slog.New(slog.DiscardHandler)), end))
	servetest.Want(t, "code", w.Code, http.StatusGatewayTimeout)
	servetest.Want(t, "no abort", failure, nil)
	servetest.Want(t, "end", fmt.Sprint(*end), fmt.Sprint(endOf{504, false, true}))
}

func TestRecoveryAfterHijack(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ExchangeOf(w).w.hijacked = true
		deepPanic()
	})
	w, failure := panicking(NewChain(h, NewRecovery(slog.New(slog.DiscardHandler))))
	servetest.Want(t, "nothing is written", w.Body.Len(), 0)
	servetest.Want(t, "aborted", failure, any(http.ErrAbortHandler))
}

// stageFunc is a stage that is a function.
type stageFunc func(x *Exchange) bool

func (f stageFunc) Begin(x *Exchange) bool { return f(x) }
