package serve

import (
	"time"

	"github.com/penstock-edge/penstock/handler"
)

// The phases of a server besides the lifecycle signals of its stop.
const (
	phaseStarting = "Starting"
	phaseServing  = "Serving"
	phaseStopped  = "Stopped"
)

// DrainStatus tells how far the server's stop is, for handler.Drainz. It may be
// asked at any time. Connections are counted as "tcp" (HTTP/1 and HTTP/2) and
// "h3".
func (s *GenericServer) DrainStatus() handler.DrainStatus {
	d := handler.DrainStatus{Phase: phaseStarting, Connections: map[string]int{"tcp": 0, "h3": 0}, Left: -1}
	if f := s.config.InFlight; f != nil {
		d.InFlight, d.Stragglers = f()
	}
	r := s.run.Load()
	if r == nil {
		return d
	}
	d.Phase = phaseServing
	if p := s.phase.Load(); p != nil {
		d.Phase = *p
	}
	n := r.http.Stats()
	d.Connections["h3"] = int(n.HTTP3Connections)
	d.Connections["tcp"] = int(n.Connections - n.HTTP3Connections)
	if end := s.stopEnd.Load(); end != nil && d.Phase != phaseStopped {
		d.Left = max(0, time.Until(*end))
	}
	return d
}

// Stats are the counters of the server's engines.
func (s *GenericServer) Stats() Snapshot {
	if r := s.run.Load(); r != nil {
		return r.http.Stats()
	}
	return Snapshot{}
}

// DrainReport is what the stop of the server's engines has seen so far.
func (s *GenericServer) DrainReport() DrainReport {
	if r := s.run.Load(); r != nil {
		return r.http.DrainReport()
	}
	return DrainReport{}
}

// enter notes a phase; signals of the start are none.
func (s *GenericServer) enter(phase string) {
	if f := s.config.OnSignal; f != nil && phase != phaseStopped {
		f(phase)
	}
	if phase != s.signals.MuxAndDiscoveryComplete.Name() && phase != s.signals.HasBeenReady.Name() {
		s.phase.Store(&phase)
	}
}
