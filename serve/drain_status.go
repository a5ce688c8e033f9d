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
// asked at any time. Connections are counted as "h1", "h2", "h3", and "handshake"
// while it is not known which.
func (s *GenericServer) DrainStatus() handler.DrainStatus {
	d := handler.DrainStatus{Phase: phaseStarting, Left: -1}
	if f := s.config.InFlight; f != nil {
		now := f()
		d.InFlight, d.InFlightByProtocol, d.Stragglers = now.Running, now.ByProtocol, now.Stragglers
	}
	d.Connections = s.Stats().byProtocol()
	r := s.run.Load()
	if r == nil {
		return d
	}
	d.Phase = phaseServing
	if p := s.phase.Load(); p != nil {
		d.Phase = *p
	}
	d.Cut = s.atCut.Load()
	if end := s.stopEnd.Load(); end != nil && d.Phase != phaseStopped {
		d.Left = max(0, time.Until(*end))
	}
	return d
}

// byProtocol are the open connections as DrainStatus has them.
func (n Snapshot) byProtocol() map[string]int {
	chosen := n.HTTP1Connections + n.HTTP2Connections + n.HTTP3Connections
	return map[string]int{
		"h1": int(n.HTTP1Connections), "h2": int(n.HTTP2Connections), "h3": int(n.HTTP3Connections),
		// The sums are not of one instant.
		"handshake": int(max(0, n.Connections-chosen)),
	}
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
