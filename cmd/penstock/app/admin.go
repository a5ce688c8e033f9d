package app

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/debug"
)

// newAdminHandler serves health with reasons, the version and profiles.
func newAdminHandler(life *lifecycle) (http.Handler, error) {
	groups, err := life.healthGroups(handler.HealthOptions{Details: true})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, g := range groups {
		mux.Handle(g.Path(), g)
		mux.Handle(g.Path()+"/", g)
	}
	mux.Handle("/version", handler.NewVersion(handler.BuildVersion()))
	mux.Handle("/debug/pprof/", debug.NewPprof())
	mux.Handle("/", handler.NotFound{})
	return debug.Guard(mux), nil
}

// adminServer is net/http's server, not ours: what one looks at a stuck engine
// with should not need the engine.
type adminServer struct {
	http *http.Server
	done chan struct{}
}

// serveAdmin answers on l until close. There is no write timeout, because a
// profile may take as long as its caller asked for.
func serveAdmin(l net.Listener, life *lifecycle) (*adminServer, error) {
	h, err := newAdminHandler(life)
	if err != nil {
		return nil, err
	}
	a := &adminServer{
		http: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(life.log.Handler(), slog.LevelWarn),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(a.done)
		err := a.http.Serve(l)
		// At the end of a run the group may be closed before the server is.
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			life.log.Error("admin listener failed", slog.Any("error", err))
		}
	}()
	return a, nil
}

// close ends it at once, requests that run included. nil has nothing to close.
func (a *adminServer) close() {
	if a == nil {
		return
	}
	_ = a.http.Close() // the listener's error has no reader any more
	<-a.done
}
