package app

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/debug"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve"
)

// newAdminHandler serves health with reasons, numbers, the drain and profiles.
func (p *Prepared) newAdminHandler() (http.Handler, error) {
	groups, err := p.server.HealthGroups(handler.HealthOptions{Details: true})
	if err != nil {
		return nil, err
	}
	metrics, err := p.metrics()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, g := range groups {
		mux.Handle(g.Path(), g)
		mux.Handle(g.Path()+"/", g)
	}
	mux.Handle("/version", handler.NewVersion(handler.BuildVersion()))
	mux.Handle("/drainz", handler.NewDrainz(p.server.DrainStatus))
	mux.Handle("/metrics", metrics)
	mux.HandleFunc("GET /status", p.status)
	mux.HandleFunc("/-/reload", p.reloadNow)
	if p.opts.file != nil {
		mux.HandleFunc("GET /config", p.opts.file.show)
	}
	mux.Handle("/debug/", p.newProfiles())
	mux.Handle("/", handler.NotFound{})
	return debug.Guard(mux, p.own.admin.hosts()...), nil
}

// status answers with all counters of the engines and the logs.
func (p *Prepared) status(w http.ResponseWriter, _ *http.Request) {
	body := struct {
		Drain     json.RawMessage         `json:"drain"`
		Server    serve.Snapshot          `json:"server"`
		AccessLog *handler.AccessLogStats `json:"accessLog,omitempty"`
		Audit     *handler.AuditStats     `json:"audit,omitempty"`
		Upstreams []proxy.ServiceStatus   `json:"upstreams,omitempty"`
	}{Drain: p.server.DrainStatus().JSON(), Server: p.server.Stats()}
	if p.own.access != nil {
		stats := p.own.access.Stats()
		body.AccessLog = &stats
	}
	if p.own.audit != nil {
		stats := p.own.audit.Stats()
		body.Audit = &stats
	}
	if p.stages.upstreams != nil {
		body.Upstreams = p.stages.upstreams(time.Now())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	_ = json.NewEncoder(w).Encode(body) // a client that left
}

// adminServer is net/http's server, not ours: what one looks at a stuck engine
// with should not need the engine.
type adminServer struct {
	http *http.Server
	done chan struct{}
}

// serveAdmin answers at --admin until close; nil: there is none.
func (p *Prepared) serveAdmin() (all adminServers, err error) {
	if len(p.admin)+len(p.socket) == 0 {
		return nil, nil
	}
	h, err := p.newAdminHandler()
	if err != nil {
		return nil, err
	}
	for _, b := range p.admin {
		all = append(all, newAdminServer(p.own.admin.listener(b.group), h, p.life.log))
	}
	for _, b := range p.socket {
		all = append(all, newAdminServer(b.group, h, p.life.log))
	}
	return all, nil
}

// adminServers are those of the address and of the socket.
type adminServers []*adminServer

func (all adminServers) close() {
	for _, a := range all {
		a.close()
	}
}

// newAdminServer has no write timeout, because a profile may take as long as its
// caller asked for.
func newAdminServer(l net.Listener, h http.Handler, log *slog.Logger) *adminServer {
	a := &adminServer{
		http: &http.Server{
			Handler:           h,
			ConnContext:       withPeer,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(a.done)
		err := a.http.Serve(l)
		// At the end of a run the group may be closed before the server is.
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			log.Error("admin listener failed", slog.Any("error", err))
		}
	}()
	return a
}

// close ends it at once, requests that run included. nil has nothing to close.
func (a *adminServer) close() {
	if a == nil {
		return
	}
	_ = a.http.Close() // the listener's error has no reader any more
	<-a.done
}
