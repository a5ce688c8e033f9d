package handler

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestLatencyObjective(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		takes      time.Duration
		want       string
	}{
		{"within", "/api/1", 100 * time.Millisecond, ""},
		{"broken", "/api/1", 101 * time.Millisecond, "api 101ms"},
		{"default", "/elsewhere", 2 * time.Second, " 2s"},
		{"within the default", "/elsewhere", time.Second, ""},
		{"negative: none", "/report", time.Hour, ""},
		{"zero: the default", "/zero", 2 * time.Second, "/zero 2s"},
		{"exempt: no default", "/livez", time.Minute, ""},
		{"exempt, with its own", "/readyz", time.Minute, "/readyz 1m0s"},
		{"long-running", "/watch", time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testLatencyObjective(t, tt.path, tt.takes, tt.want) })
		})
	}
}

func testLatencyObjective(t *testing.T, path string, takes time.Duration, want string) {
	var got string
	objectives := map[string]time.Duration{
		"api": 100 * time.Millisecond, "/report": -1, "/zero": 0, "/readyz": time.Second, "/watch": time.Second,
	}
	s := NewLatencyObjective(LatencyObjectiveOptions{
		Routes: objectives, Default: time.Second,
		Broken: func(route string, took time.Duration) { got = fmt.Sprintf("%s %v", route, took) },
	})
	clear(objectives) // the stage has its own
	info := NewRequestInfo(newPathRules(t, append(ProbeRules(), PathRule{Pattern: "/api/", Name: "api"},
		PathRule{Pattern: "/report"}, PathRule{Pattern: "/zero"}, PathRule{Pattern: "/watch", LongRunning: true})...).Resolve)
	h := NewChain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(takes) }), info, s)
	get(h, path)
	servetest.Want(t, "the objective that was broken", got, want)
}

// Without a default, a route without an objective has none.
func TestLatencyObjectiveNoDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewLatencyObjective(LatencyObjectiveOptions{Broken: func(string, time.Duration) { t.Error("there is no objective") }})
		get(NewChain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) }), s), "/")
	})
}

// profiling are the stages by which a server is looked at, and none of them
// allocates.
var profiling = []stageCase{
	{"request_info", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb)} }},
	{"profile_labels_off", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb), NewProfileLabels()} }},
	{"profile_labels_on", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb), benchLabels(tb)} }},
	{"latency_objective_kept", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb), benchObjective(time.Hour)} }},
	{"latency_objective_broken", 0, func(tb testing.TB) []Stage { return []Stage{benchInfo(tb), benchObjective(1)} }},
}

func benchLabels(tb testing.TB) Stage {
	s := NewProfileLabels()
	tb.Cleanup(s.Use())
	return s
}

func benchObjective(d time.Duration) Stage {
	return NewLatencyObjective(LatencyObjectiveOptions{
		Routes: map[string]time.Duration{"site": d, "other": time.Second}, Broken: func(string, time.Duration) {},
	})
}

func TestProfilingStagesAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, tt := range profiling {
		servetest.Want(t, "allocations of "+tt.name, allocations(NewChain(NotFound{}, tt.stages(t)...), stageRequest()), tt.allocs)
	}
}

// BenchmarkProfilingStages is what each stage adds: less "request_info", which is
// in all of them.
func BenchmarkProfilingStages(b *testing.B) {
	for _, bm := range profiling {
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
