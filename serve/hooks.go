package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
)

// HookContext is what a hook works with. That of a post-start hook ends when
// the server stops serving; that of a pre-shutdown hook when the stop has no
// time left for it.
type HookContext struct {
	context.Context
	// Client asks the server itself, whatever the host of the URL: requests go
	// to its handler without a connection. InProcess tells them from others.
	Client *http.Client
}

// PostStartHookFunc runs once the server listens, on a goroutine of its own. An
// error or a panic before its context ends is fatal: the server gets unready,
// drains, and Run returns it.
type PostStartHookFunc func(HookContext) error

// PreShutdownHookFunc runs when the stop begins, while all is still served. Its
// error does not keep the server from draining; Run returns it.
type PreShutdownHookFunc func(HookContext) error

// PostStartHook and PreShutdownHook are registered hooks, as servers of a chain
// give them to the next.
type (
	PostStartHook   = hook[PostStartHookFunc]
	PreShutdownHook = hook[PreShutdownHookFunc]
)

// hook is one registration. The servers of a chain share it, so that the check
// of the one knows of the run by the other.
type hook[F any] struct {
	name  string
	run   F
	stack []byte // of the registration

	mu   sync.Mutex
	over bool
	err  error
}

// Name is the hook's name.
func (h *hook[F]) Name() string { return h.name }

// finish notes the hook's end.
func (h *hook[F]) finish(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over, h.err = true, err
}

var errHookRuns = errors.New("not finished")

// check is the health of a post-start hook.
func (h *hook[F]) check(*http.Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		return errHookRuns
	}
	return h.err
}

// hooks are those of one kind, in the order of their registration.
type hooks[F any] struct {
	kind string

	// mu guards the following.
	mu     sync.Mutex
	list   []*hook[F]
	frozen string // why nothing can be added; empty: it can
}

// add registers a hook; missing tells that it has no function.
func (h *hooks[F]) add(name string, f F, missing bool) (*hook[F], error) {
	switch {
	case name == "":
		return nil, fmt.Errorf("a %s hook has no name", h.kind)
	case missing:
		return nil, fmt.Errorf("%s hook %q has no function", h.kind, name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.frozen != "" {
		return nil, fmt.Errorf("%s hook %q comes too late: %s", h.kind, name, h.frozen)
	}
	added := &hook[F]{name: name, run: f, stack: debug.Stack()}
	if err := h.clash(added); err != nil {
		return nil, err
	}
	h.list = append(h.list, added)
	return added, nil
}

func (h *hooks[F]) clash(added *hook[F]) error {
	i := slices.IndexFunc(h.list, func(o *hook[F]) bool { return o.name == added.name })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%s hook %q was registered before, from:\n%s", h.kind, added.name, h.list[i].stack)
}

// inherit takes over those of a delegate.
func (h *hooks[F]) inherit(from []*hook[F]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, from...)
}

// all are the hooks so far.
func (h *hooks[F]) all() []*hook[F] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

// freeze ends registration; the first reason stays.
func (h *hooks[F]) freeze(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.frozen == "" {
		h.frozen = why
	}
}

// AddPostStartHook registers a hook and its health check poststarthook/<name>.
// No name, no function, a name that is taken, here or in a delegate, and a
// server behind PrepareRun are errors. One that Config disables is left out.
func (s *GenericServer) AddPostStartHook(name string, f PostStartHookFunc) error {
	if slices.Contains(s.config.DisabledPostStartHooks, name) {
		s.log.Info("post-start hook is disabled", slog.String("hook", name))
		return nil
	}
	h, err := s.postStart.add(name, f, f == nil)
	if err != nil {
		return err
	}
	return s.AddBootSequenceHealthChecks(namedHookCheck(h))
}

// AddPreShutdownHook registers a hook; the same as of AddPostStartHook is an error.
func (s *GenericServer) AddPreShutdownHook(name string, f PreShutdownHookFunc) error {
	_, err := s.preShutdown.add(name, f, f == nil)
	return err
}

// startPostStartHooks runs each on a goroutine of its own.
func (r *genericRun) startPostStartHooks(ctx context.Context) {
	for _, h := range r.s.postStart.all() {
		r.tasks.Go(func() { r.runPostStartHook(ctx, h) })
	}
}

func (r *genericRun) runPostStartHook(ctx context.Context, h *PostStartHook) {
	err := isolated(func() error { return h.run(HookContext{ctx, r.s.client}) })
	if err != nil && ctx.Err() != nil {
		r.s.log.Info("post-start hook ended with the server", slog.String("hook", h.name), slog.Any("error", err))
		err = nil
	}
	h.finish(err)
	if err != nil {
		r.s.fail(fmt.Errorf("post-start hook %q: %w", h.name, err))
	}
}

// runPreShutdownHooks runs them one by one and joins their errors.
func (r *genericRun) runPreShutdownHooks(ctx context.Context) error {
	r.s.preShutdown.freeze("the server stops")
	var errs []error
	for _, h := range r.s.preShutdown.all() {
		if err := r.runPreShutdownHook(ctx, h); err != nil {
			err = fmt.Errorf("pre-shutdown hook %q: %w", h.name, err)
			r.s.log.Error("draining goes on", slog.Any("error", err))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// runPreShutdownHook leaves a hook alone that does not return in time.
func (r *genericRun) runPreShutdownHook(ctx context.Context, h *PreShutdownHook) error {
	if ctx.Err() != nil {
		return fmt.Errorf("it was not run, those before it took too long: %w", ctx.Err())
	}
	result := make(chan error, 1)
	r.tasks.Go(func() {
		err := isolated(func() error { return h.run(HookContext{ctx, r.s.client}) })
		h.finish(err)
		result <- err
	})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("it has not returned: %w", ctx.Err())
	}
}

// isolated turns a panic of f into an error.
func isolated(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}
