package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync"

	"github.com/penstock-edge/penstock/handler"
)

// A Source watches something that servers of a chain and their plugins share: a
// file, certificates, the endpoints of a service. It is started once for the
// chain, by the server that listens. readyz has a check source/<name>, which
// passes when it has synced.
type Source interface {
	Name() string
	// Start runs the source until ctx ends. It may block until then or return
	// as soon as it runs on goroutines of its own, which must end with ctx.
	Start(ctx context.Context)
	// HasSynced tells whether it has seen the whole of what it watches once.
	HasSynced() bool
}

// Sources looks sources up by name.
type Sources struct{ list []Source }

// Get is the source of that name.
func (s Sources) Get(name string) (Source, bool) {
	i := s.index(name)
	if i < 0 {
		return nil, false
	}
	return s.list[i], true
}

func (s Sources) index(name string) int {
	return slices.IndexFunc(s.list, func(o Source) bool { return o.Name() == name })
}

// A PluginInitializer hands a plugin (a filter, a handler, an authenticator)
// what it asks for by having a method for it, such as WantsSources.
type PluginInitializer interface {
	Initialize(plugin any) error
}

// WantsSources is a plugin that wants the sources of the chain.
type WantsSources interface {
	SetSources(Sources) error
}

// InitializationValidator is a plugin that can tell whether it was given all it
// needs.
type InitializationValidator interface {
	ValidateInitialization() error
}

// Initialize hands the plugins what they ask for: the sources, then what the
// initialisers of Config have. All errors are told. BuildHandlerChain calls it
// with what it builds.
func (s *GenericServer) Initialize(plugins ...any) error {
	var errs []error
	for _, p := range plugins {
		if w, ok := p.(WantsSources); ok {
			errs = append(errs, wrapPlugin(p, w.SetSources(Sources{s.Sources()})))
		}
		for _, i := range s.config.PluginInitializers {
			errs = append(errs, wrapPlugin(p, i.Initialize(p)))
		}
		if v, ok := p.(InitializationValidator); ok {
			errs = append(errs, wrapPlugin(p, v.ValidateInitialization()))
		}
	}
	return errors.Join(errs...)
}

func wrapPlugin(p any, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("initialise %T: %w", p, err)
}

// sourceSet are a server's sources and those of its delegates.
type sourceSet struct {
	mu    sync.Mutex
	list  []*sharedSource
	began bool
}

// sharedSource is a source with what became of its start.
type sharedSource struct {
	Source
	mu  sync.Mutex
	err error
}

func (s *sharedSource) check(*http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case !s.HasSynced():
		return errors.New("not synced")
	}
	return nil
}

func (s *sharedSource) run(ctx context.Context) {
	err := isolated(func() error { s.Start(ctx); return nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// add takes a source in. The same one twice, as when two servers of a chain were
// given it, is one; false then.
func (s *sourceSet) add(src *sharedSource) (added bool, err error) {
	if src.Source == nil || src.Name() == "" {
		return false, errors.New("a source is nil or has no name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(o *sharedSource) bool { return o.Name() == src.Name() })
	switch {
	case i >= 0 && same(s.list[i].Source, src.Source):
		return false, nil
	case i >= 0:
		return false, fmt.Errorf("two sources have the name %q", src.Name())
	case s.began:
		return false, fmt.Errorf("source %q comes too late: the server runs", src.Name())
	}
	s.list = append(s.list, src)
	return true, nil
}

// same tells whether two names are of one source.
func same(a, b Source) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

func (s *sourceSet) all() []*sharedSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// AddSource adds a source and its check to readyz.
func (s *GenericServer) AddSource(src Source) error {
	shared := &sharedSource{Source: src}
	added, err := s.sources.add(shared)
	if err != nil || !added {
		return err
	}
	return s.AddReadyzChecks(handler.NamedCheck("source/"+src.Name(), shared.check))
}

// Sources are those of the server and its delegates.
func (s *GenericServer) Sources() []Source {
	var list []Source
	for _, shared := range s.sources.all() {
		list = append(list, shared.Source)
	}
	return list
}

// startSources starts all of the chain.
func (r *genericRun) startSources(ctx context.Context) {
	r.s.sources.mu.Lock()
	r.s.sources.began = true
	r.s.sources.mu.Unlock()
	for _, src := range r.s.sources.all() {
		r.tasks.Go(func() { src.run(ctx) })
	}
}
