package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/penstock-edge/penstock/handler"
)

// A DelegationTarget is the next server of a chain: what a server does not know
// goes to its delegate. The chain is made from its inner end outwards, each
// server taking over what its delegate has; only the outermost listens.
type DelegationTarget interface {
	// UnprotectedHandler routes without the filter chain, which would run twice.
	UnprotectedHandler() http.Handler
	// ListedPaths are the paths for an index.
	ListedPaths() []string
	// PostStartHooks, PreShutdownHooks, HealthChecks and Sources are those of
	// the server and of its own delegates.
	PostStartHooks() []*PostStartHook
	PreShutdownHooks() []*PreShutdownHook
	HealthChecks() HealthChecks
	Sources() []Source
	// MuxAndDiscoveryCompleteSignals close when all paths are installed.
	MuxAndDiscoveryCompleteSignals() map[string]<-chan struct{}
	// NextDelegate is the next of the chain; nil at its end.
	NextDelegate() DelegationTarget
	// PrepareRun does what is left to do after all was added, delegates first.
	// It may be called twice.
	PrepareRun() (preparedGenericServer, error)
	// Destroy releases what the server holds, then what its delegates hold. It
	// may be called twice, by any goroutine.
	Destroy()
}

// emptyDelegate is the end of a chain.
type emptyDelegate struct{ handler http.Handler }

// NewEmptyDelegate is an end that answers 404 with the index of all paths of the
// chain.
func NewEmptyDelegate() DelegationTarget { return emptyDelegate{} }

// NewEmptyDelegateWithCustomHandler is an end with another answer. Let it be a
// handler.EndOfChain, or paths that are not installed yet will be answered 404.
func NewEmptyDelegateWithCustomHandler(h http.Handler) DelegationTarget { return emptyDelegate{h} }

func (d emptyDelegate) UnprotectedHandler() http.Handler { return d.handler }

func (emptyDelegate) ListedPaths() []string                { return nil }
func (emptyDelegate) PostStartHooks() []*PostStartHook     { return nil }
func (emptyDelegate) PreShutdownHooks() []*PreShutdownHook { return nil }
func (emptyDelegate) HealthChecks() HealthChecks           { return HealthChecks{} }
func (emptyDelegate) Sources() []Source                    { return nil }
func (emptyDelegate) NextDelegate() DelegationTarget       { return nil }
func (emptyDelegate) Destroy()                             {}

func (emptyDelegate) MuxAndDiscoveryCompleteSignals() map[string]<-chan struct{} { return nil }

func (emptyDelegate) PrepareRun() (preparedGenericServer, error) {
	return preparedGenericServer{}, nil
}

// inherit takes over what the delegate has. What clashes with it later is an
// error of that addition.
func (s *GenericServer) inherit() error {
	d := s.delegate
	if inner := genericOf(d); inner != nil {
		if inner.config.listens() {
			return fmt.Errorf("server %s: its delegate %s has listeners of its own; only the outermost server of a chain listens", s.name, inner.name)
		}
		inner.freeze("server " + s.name + " delegates to it already")
	}
	s.postStart.inherit(d.PostStartHooks())
	s.preShutdown.inherit(d.PreShutdownHooks())
	s.health.inherit(d.HealthChecks())
	var errs []error
	for name, signal := range d.MuxAndDiscoveryCompleteSignals() {
		errs = append(errs, s.RegisterMuxAndDiscoveryCompleteSignal(name, signal))
	}
	errs = append(errs, s.inheritSources(d))
	return errors.Join(errs...)
}

// inheritSources takes over the sources; their checks came with the others.
func (s *GenericServer) inheritSources(d DelegationTarget) error {
	var errs []error
	if inner := genericOf(d); inner != nil { // with what their checks look at
		for _, src := range inner.sources.all() {
			_, err := s.sources.add(src)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	for _, src := range d.Sources() {
		errs = append(errs, s.AddSource(src))
	}
	return errors.Join(errs...)
}

// genericOf is the GenericServer that d is; nil: it is something else.
func genericOf(d DelegationTarget) *GenericServer {
	switch d := d.(type) {
	case *GenericServer:
		return d
	case preparedGenericServer:
		return d.GenericServer
	}
	return nil
}

// freeze ends what a server on top would not get to know of.
func (s *GenericServer) freeze(why string) {
	s.postStart.freeze(why)
	s.preShutdown.freeze(why)
	s.health.freeze(why)
	s.freezeSignals(why)
}

// UnprotectedHandler is the mux of the server, with its delegates behind it.
func (s *GenericServer) UnprotectedHandler() http.Handler { return s.Mux }

// PostStartHooks are those of the server and its delegates.
func (s *GenericServer) PostStartHooks() []*PostStartHook { return s.postStart.all() }

// PreShutdownHooks are those of the server and its delegates.
func (s *GenericServer) PreShutdownHooks() []*PreShutdownHook { return s.preShutdown.all() }

// ListedPaths are those of the server and its delegates, sorted.
func (s *GenericServer) ListedPaths() []string {
	paths := append(s.Mux.ListedPaths(), s.delegate.ListedPaths()...)
	slices.Sort(paths)
	return slices.Compact(paths)
}

// NextDelegate is the next server of the chain.
func (s *GenericServer) NextDelegate() DelegationTarget { return s.delegate }

// RegisterMuxAndDiscoveryCompleteSignal adds a signal without which not all
// paths are installed. A name that is taken, and a server that runs already, are
// errors.
func (s *GenericServer) RegisterMuxAndDiscoveryCompleteSignal(name string, signal <-chan struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case signal == nil:
		return fmt.Errorf("server %s: the signal %q of its paths is nil", s.name, name)
	case s.muxFrozen != "":
		return fmt.Errorf("server %s: the signal %q of its paths comes too late: %s", s.name, name, s.muxFrozen)
	case s.muxSignals[name] != nil:
		return fmt.Errorf("server %s: the signal %q of its paths was registered before", s.name, name)
	}
	s.muxSignals[name] = signal
	return nil
}

// MuxAndDiscoveryCompleteSignals are those of the server and its delegates.
func (s *GenericServer) MuxAndDiscoveryCompleteSignals() map[string]<-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.muxSignals)
}

func (s *GenericServer) freezeSignals(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.muxFrozen == "" {
		s.muxFrozen = why
	}
}

// Destroy ends what OnDestroy was given, the last first, then the delegates. It
// may be called twice, by any goroutine.
func (s *GenericServer) Destroy() {
	s.destroyed.Do(func() {
		s.mu.Lock()
		release := s.release
		s.release = nil
		s.mu.Unlock()
		for _, f := range slices.Backward(release) {
			if err := isolated(func() error { f(); return nil }); err != nil {
				s.log.Error("release", slog.Any("error", err))
			}
		}
		s.delegate.Destroy()
	})
}

// OnDestroy registers what Destroy is to release.
func (s *GenericServer) OnDestroy(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = append(s.release, f)
}

// endOfChain is what a mux falls back to where the chain ends without a handler:
// the index of all paths.
func (s *GenericServer) endOfChain() http.Handler {
	return handler.EndOfChain{NotFound: handler.NewIndex(func() []string { return s.root.Load().ListedPaths() })}
}
