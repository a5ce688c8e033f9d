package handler

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// stageCase is one stage alone in a chain, or several, and the allocations that
// it states.
type stageCase struct {
	name   string
	allocs float64
	stages func(tb testing.TB) []Stage
}

// observing are the stages that name, count and log requests.
var observing = []stageCase{
	{"empty", 0, func(testing.TB) []Stage { return nil }},
	{"recovery", 0, func(testing.TB) []Stage { return []Stage{NewRecovery(slog.New(slog.DiscardHandler))} }},
	{"request_id", 0, func(testing.TB) []Stage { return []Stage{NewRequestID(RequestIDOptions{})} }},
	{"request_info", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb)} }},
	{"access_log", 0, func(tb testing.TB) []Stage { return []Stage{benchLog(tb)} }},
	{"request_metrics", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb), benchMetrics(tb)} }}, // with request_info
	{"observing", 0, func(tb testing.TB) []Stage {
		return []Stage{
			NewRequestID(RequestIDOptions{}), NewRecovery(slog.New(slog.DiscardHandler)), benchInfo(tb), benchMetrics(tb), benchLog(tb),
		}
	}},
}

func benchInfo(tb testing.TB) Stage {
	return NewRequestInfo(newPathRules(tb, append(ProbeRules(), PathRule{Pattern: "/", Name: "site"})...).Resolve)
}

func benchMetrics(tb testing.TB) Stage {
	tb.Helper()
	m, err := NewRequestMetrics(prometheus.NewRegistry(), MetricsOptions{})
	servetest.Must(tb, "metrics", err)
	return m
}

// benchLog has a place that costs nothing, so that a line's own cost shows.
func benchLog(tb testing.TB) Stage {
	return newAccessLog(tb, AccessLogOptions{Writer: io.Discard, FlushInterval: time.Millisecond})
}

func stageRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/assets/app/main.css", nil)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return r
}

// Each stage allocates what it states, behind an engine that recycles.
func TestStagesAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, tt := range observing {
		servetest.Want(t, "allocations of "+tt.name, allocations(NewChain(NotFound{}, tt.stages(t)...), stageRequest()), tt.allocs)
	}
}

// BenchmarkStages is what each stage adds: less "empty", the chain's own cost.
func BenchmarkStages(b *testing.B) {
	for _, bm := range observing {
		b.Run(bm.name, func(b *testing.B) {
			h := NewChain(NotFound{}, bm.stages(b)...)
			r, w := stageRequest(), newStubWriter()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
			if w.status != http.StatusNotFound {
				b.Fatal("no answer")
			}
		})
	}
}
