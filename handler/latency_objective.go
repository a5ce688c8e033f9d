package handler

import (
	"maps"
	"time"
)

// LatencyObjectiveOptions shapes a LatencyObjective.
type LatencyObjectiveOptions struct {
	// Routes are objectives by the route of Exchange.Info. If zero, Default. If
	// negative, none.
	Routes map[string]time.Duration
	// Default is the objective of the routes that Routes does not name, but for
	// those exempt from limits of load, such as probes. If zero, none.
	Default time.Duration
	// Broken is told of each request that took longer than its objective, from
	// the request's goroutine, and many at once: it must not block, nor keep route.
	Broken func(route string, took time.Duration)
}

// LatencyObjective notices requests that break the objective of their route: from
// the chain's begin to its end. Long-running and hijacked ones have none. It goes
// behind RequestInfo, and allocates nothing.
//
// # Limitations
//
// A request is judged at its end: one that hangs is the Registry's to show. A
// client that sends or reads slowly adds to the time, so clients can break an
// objective at will: what Broken does needs a limit of its own, as
// debug.FlightRecorder has.
type LatencyObjective struct {
	routes    map[string]time.Duration
	byDefault time.Duration
	broken    func(route string, took time.Duration)
}

// NewLatencyObjective makes the stage.
func NewLatencyObjective(opts LatencyObjectiveOptions) *LatencyObjective {
	return &LatencyObjective{maps.Clone(opts.Routes), opts.Default, opts.Broken}
}

// Begin lets x pass: the record has the time.
func (s *LatencyObjective) Begin(*Exchange) bool { return true }

// End judges x.
func (s *LatencyObjective) End(x *Exchange) {
	objective := s.objective(&x.Info)
	if objective <= 0 || x.Hijacked() {
		return
	}
	if took := x.Took(); took > objective {
		s.broken(x.Info.Route, took)
	}
}

// objective is that of a request; 0 or less: it has none.
func (s *LatencyObjective) objective(info *Info) time.Duration {
	if info.LongRunning {
		return 0
	}
	if d, ok := s.routes[info.Route]; ok && d != 0 {
		return d
	}
	if info.Exempt {
		return 0
	}
	return s.byDefault
}
