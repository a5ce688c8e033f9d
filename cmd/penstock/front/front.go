package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/route"
)

// Options are what a Front is made with beside the configuration.
type Options struct {
	// ErrorLog is told of failures. If nil, slog.Default().
	ErrorLog *slog.Logger
}

// Front serves what a configuration says. Its handler is Router.
type Front struct {
	// Router is asked for a request's route by the chain, and serves it. All its
	// handlers promise to keep nothing of a request.
	Router route.Router

	log *slog.Logger // immutable

	mu       sync.Mutex // guards the following
	services map[string]*service
	routes   map[string]*built // by host and id, see config.Hashes
	compress *handler.Compress // nil: no route has asked for it yet
	started  context.Context   // nil: not yet
	closed   bool
	leaving  map[*time.Timer]func() // what a reload has taken away, and its end
	going    map[*service]struct{}  // of these, services
}

// service is an upstream of the configuration.
type service struct {
	*proxy.Service
	hash string
}

// built is the handler of a route.
type built struct {
	hash    string
	handler http.Handler
	close   func() // nil: nothing is held
}

const (
	// defaultGrace is how long what a reload has taken away still serves those who
	// use it: tunnels of an upstream that is gone, files of a root (front.md section 5).
	defaultGrace = 10 * time.Minute
	// lastWords is how long tunnels that were told to go away have for it.
	lastWords = 3 * time.Second
)

// Grace is how long what a reload to cfg takes away lives on (shutdown.reload_grace);
// off: no time at all.
func Grace(cfg *config.Config) time.Duration {
	switch d := cfg.Shutdown.Removed.Value(); {
	case d == 0:
		return defaultGrace
	case d < 0:
		return 0
	default:
		return d
	}
}

// New makes a front of cfg, which has been checked.
func New(cfg *config.Config, opts Options) (*Front, error) {
	f := &Front{log: opts.ErrorLog, services: make(map[string]*service), routes: make(map[string]*built), leaving: make(map[*time.Timer]func()), going: make(map[*service]struct{})}
	if f.log == nil {
		f.log = slog.Default()
	}
	f.Router.Recycle = true
	next, err := f.Prepare(cfg)
	if err != nil {
		f.Close()
		return nil, err
	}
	next.Commit()
	return f, nil
}

// Start begins checks of health and look-ups of names. ctx ends them.
func (f *Front) Start(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = ctx
	for _, s := range f.services {
		s.Start(ctx)
	}
}

// Prepare makes what is needed to serve by cfg, which has been checked, and changes
// nothing. All that can fail is behind it; Commit or Abandon has to follow before
// the next Prepare.
func (f *Front) Prepare(cfg *config.Config) (*Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.New("front: closed")
	}
	next := &Change{front: f, cfg: cfg, hashes: config.HashesOf(cfg), services: make(map[string]*service), routes: make(map[string]*built)}
	var err error
	if next.table, err = next.build(); err != nil {
		next.Abandon()
		return nil, err
	}
	return next, nil
}

// later lets end come when the grace is over, or with the server's end.
func (f *Front) later(grace time.Duration, end func()) {
	var t *time.Timer
	t = time.AfterFunc(grace, func() {
		f.mu.Lock()
		_, waits := f.leaving[t]
		delete(f.leaving, t)
		f.mu.Unlock()
		if waits {
			end()
		}
	})
	f.leaving[t] = end
}

// Services are the present ones, sorted by name.
func (f *Front) Services() []*proxy.Service {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]*proxy.Service, 0, len(f.services))
	for _, name := range slices.Sorted(maps.Keys(f.services)) {
		list = append(list, f.services[name].Service)
	}
	return list
}

// Status is a snapshot of all services.
func (f *Front) Status(now time.Time) []proxy.ServiceStatus {
	var list []proxy.ServiceStatus
	for _, s := range f.Services() {
		list = append(list, s.Status(now))
	}
	return list
}

// EndTunnels tells all tunnels that the server goes away, those of removed upstreams
// too.
func (f *Front) EndTunnels() {
	for _, s := range f.Services() {
		s.EndTunnels()
	}
	for _, s := range f.removed() {
		s.EndTunnels()
	}
}

// WaitTunnels waits until no tunnel is open, or ctx ends.
func (f *Front) WaitTunnels(ctx context.Context) error {
	for _, s := range f.Services() {
		if err := s.WaitTunnels(ctx); err != nil {
			return err
		}
	}
	for _, s := range f.removed() {
		if err := s.WaitTunnels(ctx); err != nil {
			return err
		}
	}
	return nil
}

// removed are the services that a reload has taken away, and whose grace runs.
func (f *Front) removed() []*service {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.going))
}

// Shutdown ends tunnels, waits for them until ctx ends, and closes the front.
func (f *Front) Shutdown(ctx context.Context) error {
	var errs []error
	for _, s := range f.Services() {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("tunnels of %s: %w", s.Name(), err))
		}
	}
	f.Close()
	return errors.Join(errs...)
}

// Close lets go of everything. Twice is no matter.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	ends := slices.Collect(maps.Values(f.leaving))
	for t := range f.leaving {
		t.Stop()
	}
	clear(f.leaving)
	for _, s := range f.services {
		ends = append(ends, s.Close)
	}
	for _, b := range f.routes {
		if b.close != nil {
			ends = append(ends, b.close)
		}
	}
	clear(f.services)
	clear(f.routes)
	f.mu.Unlock()
	for _, end := range ends {
		end()
	}
}
