package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler"
)

// A GenericServer is a server of the API server's kind: one of a chain of
// servers (DelegationTarget), with hooks, health groups and lifecycle signals.
// CompletedConfig.New makes one, PrepareRun readies it, and what that returns
// can be run. All methods may be called by any goroutine.
type GenericServer struct {
	// Mux holds the server's own routes. What it does not know goes to the
	// delegate.
	Mux *handler.PathRecorderMux

	// Immutable after New.
	name     string
	config   *completedConfig
	delegate DelegationTarget
	log      *slog.Logger
	signals  *LifecycleSignals
	logged   *logCheck
	chain    http.Handler // filters around Mux
	client   *http.Client // asks the server itself

	// Each has its own lock.
	postStart   *hooks[PostStartHookFunc]
	preShutdown *hooks[PreShutdownHookFunc]
	health      *health
	sources     *sourceSet

	root      atomic.Pointer[GenericServer] // the outermost of the chain
	prepared  atomic.Bool                   // the checks are complete
	run       atomic.Pointer[genericRun]
	prepareMu sync.Mutex // of PrepareRun
	isReady   bool       // PrepareRun has succeeded

	request   sync.Once // requested
	hurry     sync.Once // hurried
	requested chan struct{}
	hurried   chan struct{}
	destroyed sync.Once
	reload    sync.Mutex             // held by Reload
	phase     atomic.Pointer[string] // the last signal of the stop; nil: none
	stopEnd   atomic.Pointer[time.Time]
	atCut     atomic.Pointer[handler.DrainStatus] // what was left when connections were cut; nil: none were

	// mu guards the following.
	mu         sync.Mutex
	muxSignals map[string]<-chan struct{}
	muxFrozen  string // why none can be added
	release    []func()
	fatal      []error // what made the server fail
	closed     bool
	failed     chan struct{} // closed at the first of fatal
}

var (
	errRunTwice    = errors.New("the server was run before")
	errNotPrepared = errors.New("serve: this server does not come from PrepareRun of a GenericServer")
)

// Name is the server's name.
func (s *GenericServer) Name() string { return s.name }

// Signals are the phases of the server's life, for filters and tests to wait for.
func (s *GenericServer) Signals() *LifecycleSignals { return s.signals }

// Client asks the server itself, without a connection. See HookContext.
func (s *GenericServer) Client() *http.Client { return s.client }

// ServeHTTP is the whole of the server: filters, routes, delegates.
func (s *GenericServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.signals.MuxAndDiscoveryComplete.HasSignaled() {
		r = handler.MarkEarly(r)
	}
	s.chain.ServeHTTP(w, r)
}

// RecycleRequests is the chain's own promise, or else that of the options.
func (s *GenericServer) RecycleRequests() bool {
	if r, ok := s.chain.(interface{ RecycleRequests() bool }); ok {
		return r.RecycleRequests()
	}
	return s.config.Options.RecycleRequests
}

// RecyclesSomeRequests is the chain's own promise for the requests that it marks.
func (s *GenericServer) RecyclesSomeRequests() bool { return recyclesSome(s.chain) }

// RequestShutdown begins the stop, as the end of Run's context or channel does.
// Called while the server stops, it ends ShutdownDelayDuration.
func (s *GenericServer) RequestShutdown() {
	s.request.Do(func() { close(s.requested) })
	if s.signals.ShutdownInitiated.HasSignaled() {
		s.endDelay()
	}
}

// endDelay makes ShutdownDelayDuration end, or not begin.
func (s *GenericServer) endDelay() { s.hurry.Do(func() { close(s.hurried) }) }

// Close ends everything at once, without a drain: connections are cut, and Run
// returns. It may be called twice, and before Run, which answers
// ErrServerClosed then.
func (s *GenericServer) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.endDelay()
	s.request.Do(func() { close(s.requested) })
	if r := s.run.Load(); r != nil {
		r.cut()
	}
	return nil
}

// PrepareRun does what comes after all was added: of the delegates first, then
// the steps of the config, then the health groups. What it returns can be run.
// A second call returns the same.
func (s *GenericServer) PrepareRun() (preparedGenericServer, error) {
	if _, err := s.delegate.PrepareRun(); err != nil {
		return preparedGenericServer{}, err
	}
	s.prepareMu.Lock()
	defer s.prepareMu.Unlock()
	if s.isReady {
		return preparedGenericServer{s}, nil
	}
	for _, step := range s.config.PrepareSteps {
		if err := step(s); err != nil {
			return preparedGenericServer{}, fmt.Errorf("prepare server %s: %w", s.name, err)
		}
	}
	s.postStart.freeze("PrepareRun has installed the checks")
	if err := s.installHealth(); err != nil {
		return preparedGenericServer{}, fmt.Errorf("prepare server %s: %w", s.name, err)
	}
	s.isReady = true
	return preparedGenericServer{s}, nil
}

// preparedGenericServer is what can be run. Only PrepareRun makes one.
type preparedGenericServer struct{ *GenericServer }

// Run is RunWithContext with a channel that closes.
func (p preparedGenericServer) Run(stopCh <-chan struct{}) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() { // ends with Run
		select {
		case <-stopCh:
			cancel()
		case <-ended:
		}
	}()
	return p.RunWithContext(ctx)
}

// RunWithContext serves until ctx ends, RequestShutdown is called or something
// fails for good; then it stops as generic_drain.go draws it, destroys the
// chain, and returns nil if all went well: else what failed, with a *CutError
// if requests were cut. It may be called once.
func (p preparedGenericServer) RunWithContext(ctx context.Context) error {
	s := p.GenericServer
	if s == nil {
		return errNotPrepared
	}
	r, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer s.Destroy()
	if err := r.start(); err != nil {
		return errors.Join(err, r.stopAudit(context.WithoutCancel(ctx)))
	}
	select {
	case <-ctx.Done():
	case <-s.requested:
	case <-s.failed:
	}
	return r.stop()
}

// NonBlockingRun serves, without the phases of a stop that Run has: when stopCh
// closes, or something fails, connections drain for at most shutdownTimeout and
// are cut then. stoppedCh closes when none is left, listenerStoppedCh when none
// is accepted any more. After an error nothing listens and nothing runs.
func (p preparedGenericServer) NonBlockingRun(stopCh <-chan struct{}, shutdownTimeout time.Duration) (stoppedCh, listenerStoppedCh <-chan struct{}, err error) {
	s := p.GenericServer
	if s == nil {
		return nil, nil, errNotPrepared
	}
	r, err := s.begin(context.Background())
	if err != nil {
		return nil, nil, err
	}
	if err := r.start(); err != nil {
		return nil, nil, err
	}
	stopped, listenerStopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with stoppedCh
		defer close(stopped)
		select {
		case <-stopCh:
		case <-s.requested:
		case <-s.failed:
		}
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		r.stopListening()
		close(listenerStopped)
		r.awaitConnections(ctx)
		r.end(ctx)
	}()
	return stopped, listenerStopped, nil
}

// fail makes the server stop, and Run return err.
func (s *GenericServer) fail(err error) {
	s.log.Error("the server fails and drains", slog.String("server", s.name), slog.Any("error", err))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fatal = append(s.fatal, err)
	if len(s.fatal) == 1 {
		close(s.failed)
	}
}

// failures is what made the server fail, joined.
func (s *GenericServer) failures() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.fatal...)
}
