package app

import (
	"log/slog"
	"net/http"

	"github.com/penstock-edge/penstock/handler/debug"
)

// newProfiles serves /debug/pprof/.
func (p *Prepared) newProfiles() http.Handler {
	o := debug.Options{DisablePprof: !p.opts.Profiling, Contention: p.opts.ContentionProfiling}
	if p.stages.labels != nil {
		o.Labels = p.stages.labels.Use
	}
	return debug.NewHandler(o)
}

// serveProfiles answers at --debug-socket-path until close, profiles and nothing
// else; nil: there is none. The file's mode lets this user alone in.
func (p *Prepared) serveProfiles() *adminServer {
	if len(p.profiles) == 0 {
		return nil
	}
	return newAdminServer(p.profiles[0].group, debug.Guard(p.newProfiles()), p.life.log)
}

// startFlightRecorder records from now on, until stop, if that is wanted. A
// recorder that cannot start is no reason not to serve.
func (p *Prepared) startFlightRecorder() (stop func()) {
	r := p.own.recorder
	if r == nil {
		return func() {}
	}
	if err := r.Start(); err != nil {
		p.life.log.Error("start the flight recorder; it stays off", slog.Any("error", err))
		return func() {}
	}
	return r.Stop
}
