package handler

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// MetricsOptions shapes RequestMetrics. The zero value is ready.
type MetricsOptions struct {
	// Namespace goes before each name, with an underscore. If empty, none: names
	// are those of upstream, request_total and so on.
	Namespace string
	// DurationBuckets are in seconds. If nil, 100 us to 60 s.
	DurationBuckets []float64
	// SizeBuckets are in bytes. If nil, 100 B to 100 MB.
	SizeBuckets []float64
}

// RequestMetrics counts requests, by labels that no client can make more of:
//
//   - request_total{method,route,code,protocol}: answered requests; method is one
//     of RFC 9110's and PATCH, or "other"; code is "2xx" and so on, or "none";
//     protocol is "h1", "h2", "h3" or "other"
//   - request_duration_seconds{class,route}: from the chain's begin to its end;
//     class is "readOnly" or "mutating". Long-running requests are left out:
//     they would tell how long clients stay
//   - response_sizes{route}: bytes of content written
//   - request_aborts_total{route}: answers that ended incomplete
//   - current_inflight_requests{request_kind}: now in the chain, as "readOnly",
//     "mutating" or "longRunning"
//
// Route is Exchange.Info's, so RequestInfo goes before it; what has none, and
// what comes after 512 others, counts as "other". It allocates nothing for a
// series that exists.
type RequestMetrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	sizes     *prometheus.HistogramVec
	aborts    *prometheus.CounterVec
	routes    seriesTable
	inflight  [kinds]inflight
}

// inflight is a count on a cache line of its own.
type inflight struct {
	atomic.Int64
	_ [56]byte
}

// metricsSlots is what RequestMetrics keeps for a request.
type metricsSlots struct{ kind kind }

// kind is how a request in flight is counted.
type kind uint8

const (
	kindRead kind = iota
	kindMutating
	kindLong
	kinds
)

var kindNames = [kinds]string{"readOnly", "mutating", "longRunning"}

// NewRequestMetrics makes the stage, whose numbers are registered with reg: one
// name twice is an error.
func NewRequestMetrics(reg prometheus.Registerer, opts MetricsOptions) (*RequestMetrics, error) {
	if opts.DurationBuckets == nil {
		opts.DurationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	}
	if opts.SizeBuckets == nil {
		opts.SizeBuckets = prometheus.ExponentialBuckets(100, 10, 7)
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: opts.Namespace, Name: name, Help: help, Buckets: buckets}
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: opts.Namespace, Name: name, Help: help}
	}
	m := &RequestMetrics{
		requests: prometheus.NewCounterVec(counter("request_total", "Requests by method, route, class of the status code and protocol."),
			[]string{"method", "route", "code", "protocol"}),
		durations: prometheus.NewHistogramVec(histogram("request_duration_seconds",
			"Time from a request's head to the end of its handler, without long-running requests.", opts.DurationBuckets), []string{"class", "route"}),
		sizes:  prometheus.NewHistogramVec(histogram("response_sizes", "Bytes of content written.", opts.SizeBuckets), []string{"route"}),
		aborts: prometheus.NewCounterVec(counter("request_aborts_total", "Requests whose answer ended incomplete."), []string{"route"}),
	}
	m.routes.init(m)
	errs := []error{reg.Register(m.requests), reg.Register(m.durations), reg.Register(m.sizes), reg.Register(m.aborts)}
	for k, name := range kindNames {
		errs = append(errs, reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: opts.Namespace, Name: "current_inflight_requests", Help: "Requests that handlers work on now, by kind.",
			ConstLabels: prometheus.Labels{"request_kind": name},
		}, func() float64 { return float64(m.inflight[k].Load()) })))
	}
	return m, errors.Join(errs...)
}

// Begin counts x as in flight.
func (m *RequestMetrics) Begin(x *Exchange) bool {
	switch {
	case x.Info.LongRunning:
		x.kind = kindLong
	case x.Info.Class == ClassMutating:
		x.kind = kindMutating
	default:
		x.kind = kindRead
	}
	m.inflight[x.kind].Add(1)
	return true
}

// End counts the answer.
func (m *RequestMetrics) End(x *Exchange) {
	m.inflight[x.kind].Add(-1)
	s := m.routes.series(m, x.Info.Route)
	s.request(m, methodOf(x.Request.Method), codeOf(x.Status()), protocolOf(x.Request)).Inc()
	if x.kind != kindLong {
		s.durations[x.Info.Class&1].Observe(x.Took().Seconds())
	}
	s.sizes.Observe(float64(x.Written()))
	if x.Aborted() {
		s.aborts.Inc()
	}
}

// protocolOf is the place in protocolNames.
func protocolOf(r *http.Request) int {
	if r.ProtoMajor >= 1 && r.ProtoMajor <= 3 {
		return r.ProtoMajor
	}
	return 0
}

// codeOf is the place in codeNames.
func codeOf(status int) int {
	if class := status / 100; class >= 1 && class <= 5 {
		return class
	}
	return 0
}

// methodOf is the place in methodNames. A switch: a map's hash costs more.
func methodOf(method string) int {
	switch method {
	case http.MethodGet:
		return 1
	case http.MethodHead:
		return 2
	case http.MethodPost:
		return 3
	case http.MethodPut:
		return 4
	case http.MethodPatch:
		return 5
	case http.MethodDelete:
		return 6
	case http.MethodOptions:
		return 7
	case http.MethodConnect:
		return 8
	case http.MethodTrace:
		return 9
	}
	return 0
}
