package app

import (
	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/proxy"
)

// upstreamReadings are the numbers of services and their upstreams. Labels are names
// of the configuration, and reasons of ours: no client can make more of them.
func upstreamReadings(services []proxy.ServiceStatus) (all []handler.Reading) {
	add := func(name, help string, counter bool, value float64, labels map[string]string) {
		all = append(all, handler.Reading{Name: metricsPrefix + name, Help: help, Labels: labels, Counter: counter, Value: value})
	}
	for i := range services {
		s := &services[i]
		of := func(more ...string) map[string]string {
			labels := map[string]string{"service": s.Name}
			for j := 0; j+1 < len(more); j += 2 {
				labels[more[j]] = more[j+1]
			}
			return labels
		}
		for class, n := range s.Answers {
			add("upstream_answers_total", "Answers that were passed on, by class of status.", true, float64(n), of("class", class))
		}
		for reason, n := range s.Failures {
			add("upstream_failures_total", "Requests that failed at an upstream, by reason.", true, float64(n), of("reason", reason))
		}
		add("upstream_unserved_total", "Requests that no upstream had a place for.", true, float64(s.Unserved), of())
		add("upstream_retries_total", "Further attempts.", true, float64(s.Retried), of())
		add("upstream_hedges_total", "Second attempts beside one that was late.", true, float64(s.Hedged), of())
		add("upstream_hedges_won_total", "Second attempts that were answered first.", true, float64(s.HedgesWon), of())
		add("upstream_hedges_refused_total", "Second attempts that were not made: the budget was empty.", true, float64(s.HedgesRefused), of())
		add("upstream_connections", "Open connections.", false, float64(s.Connections), of())
		add("upstream_connections_idle", "Open connections without a request.", false, float64(s.Idle), of())
		add("upstream_tunnels", "Open tunnels.", false, float64(s.Tunnels), of())
		add("upstream_queue", "Requests that wait for a place.", false, float64(s.Queue.Waiting), of())
		for _, e := range s.Endpoints {
			up := 0.0
			if e.State == "up" {
				up = 1
			}
			at := of("target", e.Target, "address", e.Address)
			add("upstream_up", "1: the upstream takes requests.", false, up, at)
			add("upstream_in_flight", "Requests at the upstream.", false, float64(e.InFlight), at)
			add("upstream_latency_seconds", "What balancing goes by: recent time to the head of an answer.", false, e.LatencySeconds, at)
			add("upstream_ejections_total", "How often the upstream was ejected.", true, float64(e.Ejections), at)
		}
	}
	return all
}
