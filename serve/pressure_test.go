package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Rule S-7: load is shed in steps, and comes back in reverse order.
func TestPressureLevels(t *testing.T) {
	for _, tt := range []struct {
		share float64
		want  int32
	}{{0, 0}, {0.8499, 0}, {0.85, 1}, {0.9199, 1}, {0.92, 2}, {0.9499, 2}, {0.95, 3}, {2, 3}} {
		if got := levelOf(tt.share); got != tt.want {
			t.Errorf("levelOf(%v) = %d, want %d", tt.share, got, tt.want)
		}
	}
}

func TestPressureGuard(t *testing.T) {
	p := &pressure{quit: make(chan struct{})}
	h := p.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for level, want := range map[int32]int{0: 204, 1: 204, 2: 503, 3: 503} {
		p.level.Store(level)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != want {
			t.Errorf("level %d: status %d, want %d", level, w.Code, want)
		}
		if want == 503 && w.Header().Get("Retry-After") == "" {
			t.Errorf("level %d: no Retry-After", level)
		}
		if p.shedKeepAlive() != (level >= 1) {
			t.Errorf("level %d: keep-alive shed: %v", level, p.shedKeepAlive())
		}
	}
	if none := new(pressure); none.guard(h) != h {
		t.Error("without a memory limit the handler is wrapped")
	}
}

// promising is a handler with a word of its own on recycling.
type promising bool

func (promising) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (p promising) RecycleRequests() bool                      { return bool(p) }

// The guard has no word of its own on recycling: a handler without one leaves it
// to ServerOptions.
func TestPressureGuardRecycles(t *testing.T) {
	p := &pressure{quit: make(chan struct{})}
	for _, want := range []bool{true, false} {
		r, ok := p.guard(promising(want)).(recycler)
		if !ok || r.RecycleRequests() != want {
			t.Errorf("of a handler that says %v: %v", want, r)
		}
	}
	if _, ok := p.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).(recycler); ok {
		t.Error("it speaks for a handler that says nothing")
	}
}
