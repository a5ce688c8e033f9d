package app

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
)

const metricsPrefix = "penstock_"

// metrics is the endpoint: requests by route, the counters of engines and logs,
// the runtime and the process.
func (p *Prepared) metrics() (http.Handler, error) {
	reg := p.stages.metrics
	err := errors.Join(
		reg.Register(handler.NewReadings(p.readings)),
		reg.Register(collectors.NewGoCollector()),
		reg.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
	return handler.NewMetrics(reg), err
}

// readings are all numbers that the parts of a run count.
func (p *Prepared) readings() []handler.Reading {
	all := serverReadings(p.server.Stats())
	if p.own.access != nil {
		all = append(all, p.own.access.Stats().Readings()...)
	}
	if p.own.audit != nil {
		n := p.own.audit.Stats()
		for outcome, count := range map[string]uint64{"written": n.Written, "dropped": n.Dropped, "failed": n.Failed} {
			all = append(all, handler.Reading{
				Name: metricsPrefix + "audit_events_total", Help: "Audit events by what became of them.",
				Labels: map[string]string{"outcome": outcome}, Counter: true, Value: float64(count),
			})
		}
	}
	if p.stages.upstreams != nil {
		all = append(all, upstreamReadings(p.stages.upstreams(time.Now()))...)
	}
	return all
}

// serverReadings are the fields of a snapshot by their names: what is unsigned
// only grows, but for the reasons of HTTP/2's ENHANCE_YOUR_CALM, which are labels.
func serverReadings(s serve.Snapshot) (all []handler.Reading) {
	v := reflect.ValueOf(s)
	for i, f := range reflect.VisibleFields(v.Type()) {
		r := handler.Reading{Name: metricsPrefix + snake(f.Name), Help: "The engines' counter " + f.Name + ", see serve.Snapshot."}
		switch field := v.Field(i); field.Kind() {
		case reflect.Int64:
			r.Value = float64(field.Int())
		case reflect.Uint64:
			r.Name, r.Counter, r.Value = r.Name+"_total", true, float64(field.Uint())
		default:
			continue
		}
		all = append(all, r)
	}
	for reason, n := range s.Calmed {
		all = append(all, handler.Reading{
			Name: metricsPrefix + "calmed_total", Help: "HTTP/2 connections ended with ENHANCE_YOUR_CALM.",
			Labels: map[string]string{"reason": reason}, Counter: true, Value: float64(n),
		})
	}
	return all
}

// snake is a Go name in the words of metrics: HandOffs is hand_offs, and
// HTTP3Connections http3_connections.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
