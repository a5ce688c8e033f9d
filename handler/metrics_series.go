package handler

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// maxRoutes bounds the series even if a resolver makes names of what clients
// send: some KiB stand behind each route.
const maxRoutes = 512

// otherRoute counts what has no route of its own.
const otherRoute = "other"

var (
	methodNames   = [...]string{"other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
	codeNames     = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}
	protocolNames = [...]string{"other", "h1", "h2", "h3"}
)

// seriesTable finds the series of a route without the locks and hashes of the
// vectors (BenchmarkStages/request_metrics). It is read often and copied when a
// route is new.
type seriesTable struct {
	known atomic.Pointer[map[string]*routeSeries]
	mu    sync.Mutex // serialises the copying
}

// routeSeries are the metrics of one route.
type routeSeries struct {
	route     string
	requests  [len(methodNames)][len(codeNames)][len(protocolNames)]atomic.Pointer[prometheus.Counter]
	durations [2]prometheus.Observer // by class
	sizes     prometheus.Observer
	aborts    prometheus.Counter
}

// init makes the series of what has no route.
func (t *seriesTable) init(m *RequestMetrics) {
	other := newRouteSeries(m, otherRoute)
	t.known.Store(&map[string]*routeSeries{otherRoute: other, "": other})
}

func (t *seriesTable) series(m *RequestMetrics, route string) *routeSeries {
	known := *t.known.Load()
	switch s := known[route]; {
	case s != nil:
		return s
	case len(known) < maxRoutes+2:
		return t.add(m, route)
	}
	return known[otherRoute]
}

// add makes the series of a route that is new.
func (t *seriesTable) add(m *RequestMetrics, route string) *routeSeries {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.known.Load()
	switch s := known[route]; {
	case s != nil: // another was faster
		return s
	case len(known) >= maxRoutes+2:
		return known[otherRoute]
	}
	s := newRouteSeries(m, route)
	known = maps.Clone(known)
	known[strings.Clone(route)] = s // it may be a piece of a request
	t.known.Store(&known)
	return s
}

// newRouteSeries makes what has few labels at once; the counters of requests
// wait for their first.
func newRouteSeries(m *RequestMetrics, route string) *routeSeries {
	route = strings.Clone(strings.ToValidUTF8(route, "?")) // the vectors refuse others by a panic
	return &routeSeries{
		route: route,
		durations: [2]prometheus.Observer{
			ClassRead:     m.durations.WithLabelValues(kindNames[kindRead], route),
			ClassMutating: m.durations.WithLabelValues(kindNames[kindMutating], route),
		},
		sizes:  m.sizes.WithLabelValues(route),
		aborts: m.aborts.WithLabelValues(route),
	}
}

// request is the counter of these labels, given by their places.
func (s *routeSeries) request(m *RequestMetrics, method, code, protocol int) prometheus.Counter {
	place := &s.requests[method][code][protocol]
	if c := place.Load(); c != nil {
		return *c
	}
	c := m.requests.WithLabelValues(methodNames[method], s.route, codeNames[code], protocolNames[protocol])
	place.Store(&c) // two that are first at once store the same counter
	return c
}
