package handler

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// maxScrapes bounds the scrapes that run at once; more get 503. Each gathers
	// and renders every series.
	maxScrapes = 3
	// scrapeTimeout bounds one, by 503: below Prometheus' own 10 s, so that the
	// reason is told.
	scrapeTimeout = 9 * time.Second
)

// NewMetrics makes the endpoint /metrics: what reg holds, in the text format of
// Prometheus or OpenMetrics by Accept, compressed if that accepts it. A collector
// that fails does not hide the others. It is for the admin address: routes and
// load are nobody else's business.
func NewMetrics(reg *prometheus.Registry) http.Handler {
	gather := promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
		EnableOpenMetrics:   true,
		Registry:            reg,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Cache-Control"] = noCache
		if onlyGetAndHead(w, r) {
			gather.ServeHTTP(w, r)
		}
	})
}

// A Reading is one number that its owner counts, as a metric shows it.
type Reading struct {
	// Name is that of the metric; a counter's ends in _total.
	Name, Help string
	// Labels are fixed for each Reading. All of one name have the same ones.
	Labels map[string]string
	// Counter: the value only grows while the process lives. Else it is a gauge.
	Counter bool
	Value   float64
}

// Readings shows numbers of an owner that knows nothing of metrics: connections
// of a server, lines of an access log. read is called at each scrape, by several
// at once.
type Readings struct{ read func() []Reading }

// NewReadings makes the collector; the caller registers it.
func NewReadings(read func() []Reading) *Readings { return &Readings{read} }

// Describe tells nothing beforehand: which readings there are may change.
func (*Readings) Describe(chan<- *prometheus.Desc) {}

// Collect asks for the numbers. What is no valid metric fails the scrape with a
// reason, and leaves the others.
func (c *Readings) Collect(out chan<- prometheus.Metric) {
	for _, r := range c.read() {
		kind := prometheus.GaugeValue
		if r.Counter {
			kind = prometheus.CounterValue
		}
		desc := prometheus.NewDesc(r.Name, r.Help, nil, r.Labels)
		m, err := prometheus.NewConstMetric(desc, kind, r.Value)
		if err != nil {
			m = prometheus.NewInvalidMetric(desc, err)
		}
		out <- m
	}
}
