package serve

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/handler"
)

// checkTimeout bounds a check whose caller sets no deadline.
const checkTimeout = 5 * time.Second

// HealthChecks are the checks of a server, group by group. A grace that a check
// has in livez is a part of it.
type HealthChecks struct {
	Healthz, Livez, Readyz []handler.HealthChecker
}

// health are the three groups of a server.
type health struct {
	healthz, livez, readyz checkGroup
}

// checkGroup collects the checks of a group until it is installed.
type checkGroup struct {
	name string

	// mu guards the following.
	mu     sync.Mutex
	checks []handler.HealthChecker
	frozen string // why nothing can be added; empty: it can
}

func newHealth() *health {
	return &health{checkGroup{name: "healthz"}, checkGroup{name: "livez"}, checkGroup{name: "readyz"}}
}

// AddHealthChecks adds to healthz, livez and readyz. A check without a name, one
// whose name the group has, and any check after PrepareRun are errors.
func (s *GenericServer) AddHealthChecks(checks ...handler.HealthChecker) error {
	return s.health.addToAll(0, checks)
}

// AddBootSequenceHealthChecks is AddHealthChecks for what may fail until the
// start is over: livez takes it as well for Config.LivezGracePeriod from now on.
func (s *GenericServer) AddBootSequenceHealthChecks(checks ...handler.HealthChecker) error {
	return s.health.addToAll(s.config.LivezGracePeriod, checks)
}

// AddReadyzChecks adds to readyz alone.
func (s *GenericServer) AddReadyzChecks(checks ...handler.HealthChecker) error {
	return s.health.readyz.add(0, checks)
}

// AddLivezChecks adds to livez alone, with a grace from now on.
func (s *GenericServer) AddLivezChecks(grace time.Duration, checks ...handler.HealthChecker) error {
	return s.health.livez.add(grace, checks)
}

// HealthChecks are those of the server and its delegates.
func (s *GenericServer) HealthChecks() HealthChecks {
	return HealthChecks{s.health.healthz.all(), s.health.livez.all(), s.health.readyz.all()}
}

// HealthGroups are the three groups as handlers, in the order healthz, livez,
// readyz: with opts.Details for the admin address, without for the public. It
// is an error before PrepareRun, when checks may still come.
func (s *GenericServer) HealthGroups(opts handler.HealthOptions) ([]*handler.HealthGroup, error) {
	if !s.prepared.Load() {
		return nil, fmt.Errorf("server %s: the health groups are not complete before PrepareRun", s.name)
	}
	if opts.ErrorLog == nil {
		opts.ErrorLog = s.log
	}
	groups := make([]*handler.HealthGroup, 0, 3)
	for _, g := range []*checkGroup{&s.health.healthz, &s.health.livez, &s.health.readyz} {
		o := opts
		if g == &s.health.readyz {
			o.FirstPass = func() {
				s.signals.HasBeenReady.Signal()
				if opts.FirstPass != nil {
					opts.FirstPass()
				}
			}
		}
		group, err := handler.NewHealthGroup(g.name, o, g.all()...)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// installHealth ends the registration and, if configured, adds the groups to
// the mux.
func (s *GenericServer) installHealth() error {
	s.health.readyz.inherit([]handler.HealthChecker{handler.ShutdownCheck(s.signals.ShutdownInitiated.HasSignaled)})
	for _, g := range []*checkGroup{&s.health.healthz, &s.health.livez, &s.health.readyz} {
		g.freeze("the endpoint is installed")
	}
	s.prepared.Store(true)
	if !s.config.PublicHealth {
		return nil
	}
	groups, err := s.HealthGroups(handler.HealthOptions{})
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := s.Mux.Handle(g.Path(), g); err != nil {
			return err
		}
	}
	return nil
}

func (h *health) addToAll(livezGrace time.Duration, checks []handler.HealthChecker) error {
	if err := h.healthz.add(0, checks); err != nil {
		return err
	}
	if err := h.livez.add(livezGrace, checks); err != nil {
		return err
	}
	return h.readyz.add(0, checks)
}

// inherit takes over what a delegate has, group by group; own names win.
func (h *health) inherit(from HealthChecks) {
	h.healthz.inherit(from.Healthz)
	h.livez.inherit(from.Livez)
	h.readyz.inherit(from.Readyz)
}

func (h *health) freeze(why string) {
	h.healthz.freeze(why)
	h.livez.freeze(why)
	h.readyz.freeze(why)
}

func (g *checkGroup) add(grace time.Duration, checks []handler.HealthChecker) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range checks {
		switch {
		case c == nil:
			return fmt.Errorf("%s: a check is nil", g.name)
		case c.Name() == "":
			return fmt.Errorf("%s: a check has no name", g.name)
		case g.frozen != "":
			return fmt.Errorf("%s: check %q comes too late: %s", g.name, c.Name(), g.frozen)
		case g.has(c.Name()):
			return fmt.Errorf("%s: check %q was added before", g.name, c.Name())
		}
		g.checks = append(g.checks, guard(c, grace))
	}
	return nil
}

func (g *checkGroup) inherit(checks []handler.HealthChecker) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range checks {
		if !g.has(c.Name()) {
			g.checks = append(g.checks, c) // with its guard, and so its grace
		}
	}
}

// has tells whether a name is taken. mu is held.
func (g *checkGroup) has(name string) bool {
	return slices.ContainsFunc(g.checks, func(c handler.HealthChecker) bool { return c.Name() == name })
}

func (g *checkGroup) all() []handler.HealthChecker {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.checks)
}

func (g *checkGroup) freeze(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen == "" {
		g.frozen = why
	}
}

// passes tells whether all checks pass now.
func (g *checkGroup) passes(ctx context.Context) bool {
	r := checkRequest(ctx)
	for _, c := range g.all() {
		if c.Check(r) != nil {
			return false
		}
	}
	return true
}

// guardedCheck keeps what a check does wrong away from its prober: it fails
// when the check panics or does not return in time. One that hangs holds one
// goroutine, however often it is asked.
type guardedCheck struct {
	handler.HealthChecker
	graceEnd time.Time // until then it is well; zero: no grace

	mu      sync.Mutex
	running chan struct{} // closed at the end of the run under way; nil: none
	err     error         // of the last run
}

func guard(c handler.HealthChecker, grace time.Duration) *guardedCheck {
	g := &guardedCheck{HealthChecker: c}
	if grace > 0 {
		g.graceEnd = time.Now().Add(grace)
	}
	return g
}

// GroupName is that of the check, if it has one (handler.GroupedHealthChecker).
func (g *guardedCheck) GroupName() string {
	if c, ok := g.HealthChecker.(handler.GroupedHealthChecker); ok {
		return c.GroupName()
	}
	return ""
}

// Check runs the check, or joins the run that is under way.
func (g *guardedCheck) Check(r *http.Request) error {
	if time.Now().Before(g.graceEnd) {
		return nil
	}
	deadline, ok := r.Context().Deadline()
	if !ok {
		deadline = time.Now().Add(checkTimeout)
	}
	running := g.start(deadline)
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	select {
	case <-running:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.err
	case <-timeout.C:
	case <-r.Context().Done():
	}
	return fmt.Errorf("the check has not returned in time")
}

// start begins a run unless one is under way. It is given a request of its own:
// the prober's may be recycled before a check that hangs lets go of it.
func (g *guardedCheck) start(deadline time.Time) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running != nil {
		return g.running
	}
	running := make(chan struct{})
	g.running = running
	go func() { // ends when the check does: nobody else could wait for one that hangs
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		err := isolated(func() error { return g.HealthChecker.Check(checkRequest(ctx)) })
		g.mu.Lock()
		defer g.mu.Unlock()
		g.err, g.running = err, nil
		close(running)
	}()
	return running
}

// checkRequest is what checks are asked with.
func checkRequest(ctx context.Context) *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	return r.WithContext(ctx)
}

// namedHookCheck is the check of a post-start hook.
func namedHookCheck(h *PostStartHook) handler.HealthChecker {
	return handler.NamedCheck("poststarthook/"+h.name, h.check)
}
