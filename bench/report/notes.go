package report

import (
	"fmt"
	"net/netip"

	"github.com/penstock-edge/penstock/bench"
)

// Notes are what one has to know before one quotes the figures of r, the gravest
// first.
func Notes(r *bench.Result) (list []string) {
	note := func(holds bool, format string, args ...any) {
		if holds {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	g := r.Generator
	note(r.Interrupted, "the run was ended early, these are the figures so far")
	note(g.Busy >= bench.BusyLimit, "the generator used %.0f %% of its %s: these may be its figures, not the server's; give it other or more cores",
		g.Busy*100, plural(int64(g.Cores), "core"))
	if r.Load.Mode == bench.OpenLoop {
		note(r.Seconds > 0 && float64(r.Completed+r.Failed) < .98*r.Load.Rate*r.Seconds,
			"%s requests a second were asked for, %s ended: the server was too slow, or %s too few",
			rate(r.Load.Rate), rate(float64(r.Completed+r.Failed)/r.Seconds), plural(int64(r.Load.Connections), "connection"))
		note(r.Late > max(10, r.Completed/1000), "%s had no free connection until the end: they are in no latency", plural(r.Late, "request"))
		if r.Lag != nil {
			late := r.Lag.Quantile(.99)
			note(late > bench.LagLimit, "the generator was late: 1 %% of the requests began %s or more behind their time by its own fault, which is in their latency; give it other or more cores, or a lower --rate", span(late))
		}
	} else {
		note(true, "latencies of a closed loop leave out what a stall delays; for latencies to quote use --rate")
	}
	addr, err := netip.ParseAddrPort(r.Target.Address)
	note(err == nil && addr.Addr().IsLoopback(), "generator and server share the cores of one machine: the figures are of both")
	bad, worst := refusals(r)
	note(bad > 0, "%s had a status of 400 or above, most of them %d", plural(bad, "answer"), worst)
	e := r.Environment
	note(e.Cores > 0 && e.LoadAverage >= float64(e.Cores), "the machine was busy before the run: load average %.1f on %s",
		e.LoadAverage, plural(int64(e.Cores), "core"))
	return list
}

// refusals counts answers of 400 and above, and tells the most frequent status.
func refusals(r *bench.Result) (n int64, worst int) {
	var count int64
	for status, c := range r.Status {
		if status < 400 {
			continue
		}
		n += c
		if c > count || c == count && status < worst {
			worst, count = status, c
		}
	}
	return n, worst
}
