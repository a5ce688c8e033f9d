package handler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// scrape is what the endpoint shows of reg, without comments.
func scrape(tb testing.TB, reg *prometheus.Registry) string {
	tb.Helper()
	w := get(NewMetrics(reg), "/metrics")
	servetest.Want(tb, "scrape", w.Code, http.StatusOK)
	var out strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func wantMetrics(tb testing.TB, reg *prometheus.Registry, want ...string) {
	tb.Helper()
	got := "\n" + scrape(tb, reg)
	for _, line := range want {
		if !strings.Contains(got, "\n"+line+"\n") {
			tb.Errorf("metrics lack %q:%s", line, got)
		}
	}
}

func newRequestMetrics(tb testing.TB) (*RequestMetrics, *prometheus.Registry) {
	tb.Helper()
	reg := prometheus.NewRegistry()
	m, err := NewRequestMetrics(reg, MetricsOptions{})
	servetest.Must(tb, "metrics", err)
	return m, reg
}

func TestRequestMetrics(t *testing.T) {
	m, reg := newRequestMetrics(t)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/missing":
			w.WriteHeader(404)
		case "/inside":
			wantMetrics(t, reg, `current_inflight_requests{request_kind="readOnly"} 1`)
		}
		w.Write(make([]byte, 1000))
	})
	rules := newPathRules(t, PathRule{Pattern: "/a", Name: "route a"}, PathRule{Pattern: "/stream", LongRunning: true})
	c := NewChain(h, NewRequestInfo(rules.Resolve), m, NewRecovery(nil))
	do := func(method, path string, major int) {
		defer func() { _ = recover() }()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Method, r.ProtoMajor = method, major
		c.ServeHTTP(httptest.NewRecorder(), r)
	}
	do("GET", "/a", 1)
	do("GET", "/a", 1)
	do("POST", "/a", 2)
	do("BREW", "/a", 3)
	do("GET", "/missing", 9)
	do("GET", "/stream", 2)
	do("GET", "/abort", 2)
	do("GET", "/inside", 2)
	wantMetrics(t, reg,
		`request_total{code="2xx",method="GET",protocol="h1",route="route a"} 2`,
		`request_total{code="2xx",method="POST",protocol="h2",route="route a"} 1`,
		`request_total{code="2xx",method="other",protocol="h3",route="route a"} 1`,
		`request_total{code="4xx",method="GET",protocol="other",route="other"} 1`,
		`request_total{code="none",method="GET",protocol="h2",route="other"} 1`,
		`request_duration_seconds_count{class="readOnly",route="route a"} 2`,
		`request_duration_seconds_count{class="mutating",route="route a"} 2`,
		`response_sizes_bucket{route="route a",le="1000"} 4`,
		`response_sizes_bucket{route="route a",le="100"} 0`,
		`response_sizes_sum{route="route a"} 4000`,
		`request_aborts_total{route="other"} 1`,
		`request_aborts_total{route="route a"} 0`,
		`current_inflight_requests{request_kind="readOnly"} 0`,
		`current_inflight_requests{request_kind="mutating"} 0`,
		`current_inflight_requests{request_kind="longRunning"} 0`,
		// What is long-running has no duration.
		`request_total{code="2xx",method="GET",protocol="h2",route="/stream"} 1`,
		`request_duration_seconds_count{class="readOnly",route="/stream"} 0`,
	)
}

// Whatever a client sends, and a resolver names, there are no more series.
func TestRequestMetricsBounded(t *testing.T) {
	m, reg := newRequestMetrics(t)
	c := NewChain(NotFound{}, NewRequestInfo(func(r *http.Request) Info { return Info{Route: r.URL.Path + "\xff"} }), m)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := range 2 * maxRoutes {
		r.Method, r.URL.Path = fmt.Sprint("M", i), fmt.Sprint("/", i)
		c.ServeHTTP(newStubWriter(), r)
	}
	if !raceEnabled {
		servetest.Want(t, "a route that is known costs nothing", testing.AllocsPerRun(100, func() { m.routes.series(m, "/0\xff") }), 0)
	}
	got := scrape(t, reg)
	servetest.Want(t, "routes", strings.Count(got, "request_aborts_total{"), maxRoutes+1)
	servetest.Want(t, "one counter for each", strings.Count(got, "request_total{"), maxRoutes+1)
	wantMetrics(t, reg, fmt.Sprintf(`request_total{code="4xx",method="other",protocol="h1",route="other"} %d`, maxRoutes))
}

// The kind is that of Begin, even if the record says otherwise at the end.
func TestRequestMetricsInFlightBalances(t *testing.T) {
	m, reg := newRequestMetrics(t)
	late := stageFunc(func(x *Exchange) bool { x.Info = Info{Class: ClassMutating, LongRunning: true}; return true })
	get(NewChain(NotFound{}, m, late), "/")
	wantMetrics(t, reg,
		`current_inflight_requests{request_kind="readOnly"} 0`,
		`current_inflight_requests{request_kind="longRunning"} 0`)
}

func TestRequestMetricsConcurrent(t *testing.T) {
	m, reg := newRequestMetrics(t)
	routes := []string{"a", "b", "c", ""}
	c := NewChain(NotFound{}, NewRequestInfo(func(r *http.Request) Info { return Info{Route: routes[len(r.Host)%len(routes)]} }), m)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = strings.Repeat("h", i)
			for range 500 {
				c.ServeHTTP(newStubWriter(), r)
			}
		})
	}
	wg.Wait()
	for _, route := range []string{"a", "b", "c", "other"} {
		wantMetrics(t, reg, `request_total{code="4xx",method="GET",protocol="h1",route="`+route+`"} 1000`)
	}
}

func TestNewRequestMetricsRefuses(t *testing.T) {
	_, reg := newRequestMetrics(t)
	if _, err := NewRequestMetrics(reg, MetricsOptions{}); err == nil {
		t.Error("the same names twice were taken")
	}
	_, err := NewRequestMetrics(reg, MetricsOptions{Namespace: "penstock"})
	servetest.WantErr(t, "another namespace", err, nil)
}

func TestMetricsEndpoint(t *testing.T) {
	reg := prometheus.NewRegistry()
	value := 1.0
	reg.MustRegister(NewReadings(func() []Reading {
		return []Reading{
			{Name: "connections", Help: "Open ones.", Labels: map[string]string{"protocol": "h1"}, Value: value},
			{Name: "connections", Help: "Open ones.", Labels: map[string]string{"protocol": "h2"}, Value: 2},
			{Name: "accepts_total", Help: "Taken.", Counter: true, Value: 3},
		}
	}))
	wantMetrics(t, reg, `connections{protocol="h1"} 1`, `connections{protocol="h2"} 2`, `accepts_total 3`)
	value = 4
	wantMetrics(t, reg, `connections{protocol="h1"} 4`)
	w := get(NewMetrics(reg), "/metrics")
	servetest.Want(t, "a counter", strings.Contains(w.Body.String(), "# TYPE accepts_total counter"), true)
	servetest.Want(t, "not cached", w.Header().Get("Cache-Control"), noCache[0])

	reg.MustRegister(NewReadings(func() []Reading { return []Reading{{Name: "no name"}} }))
	wantMetrics(t, reg, `accepts_total 3`) // the others live

	post := httptest.NewRecorder()
	NewMetrics(reg).ServeHTTP(post, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	servetest.Want(t, "POST", post.Code, http.StatusMethodNotAllowed)
}
