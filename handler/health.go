package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

const (
	// defaultCheckTimeout bounds all checks of one probe together, below the
	// usual patience of a prober.
	defaultCheckTimeout = 5 * time.Second
	// maxExcluded bounds the ?exclude= values that are looked at and told back.
	maxExcluded = 32
)

// A HealthChecker is one named check of a server's health. Check is called by
// many probes at once; it must respect r's context, which ends with the probe.
type HealthChecker interface {
	Name() string
	Check(r *http.Request) error
}

// A GroupedHealthChecker can be excluded by the name of its group too.
type GroupedHealthChecker interface {
	HealthChecker
	GroupName() string
}

// NamedCheck makes a HealthChecker of a function.
func NamedCheck(name string, check func(r *http.Request) error) HealthChecker {
	return namedCheck{name, check}
}

// PingCheck is always healthy: it proves that requests are answered at all.
func PingCheck() HealthChecker {
	return NamedCheck("ping", func(*http.Request) error { return nil })
}

// ShutdownCheck fails from the moment stopping answers true. In the readyz
// group it takes the server out of its balancer while it still serves.
func ShutdownCheck(stopping func() bool) HealthChecker {
	return NamedCheck("shutdown", func(*http.Request) error {
		if stopping() {
			return errStopping
		}
		return nil
	})
}

var errStopping = errors.New("process is shutting down")

type namedCheck struct {
	name  string
	check func(r *http.Request) error
}

func (c namedCheck) Name() string                { return c.name }
func (c namedCheck) Check(r *http.Request) error { return c.check(r) }

// HealthOptions shapes a health group. The zero value fits the public side.
type HealthOptions struct {
	// CheckTimeout bounds the checks of one probe. If zero, 5 s. If negative, none.
	CheckTimeout time.Duration
	// Details also serves each check under /<group>/<check>, with its reason
	// when it fails. The reason may name what is nobody's business: only for
	// the admin address.
	Details bool
	// FirstPass, if set, is called once, by the first probe that passes.
	FirstPass func()
	// ErrorLog gets the reason of each failed probe. If nil, slog.Default().
	ErrorLog *slog.Logger
}

// A HealthGroup answers /<name> for a group of checks: 200 "ok", or 500 with
// one line per check and without reasons. ?verbose lists the checks of a
// passing group too, ?exclude=name leaves out a check or a group of checks.
type HealthGroup struct {
	name    string
	opts    HealthOptions
	checks  []HealthChecker
	healthy *page
	passed  sync.Once
}

// NewHealthGroup makes a group; name is "healthz", "livez" or "readyz". A check
// without a name or with the name of another is an error.
func NewHealthGroup(name string, opts HealthOptions, checks ...HealthChecker) (*HealthGroup, error) {
	seen := make(map[string]bool, len(checks))
	for _, c := range checks {
		if c.Name() == "" {
			return nil, fmt.Errorf("health group %s: a check has no name", name)
		}
		if seen[c.Name()] {
			return nil, fmt.Errorf("health group %s: check %q was added twice", name, c.Name())
		}
		seen[c.Name()] = true
	}
	if opts.CheckTimeout == 0 {
		opts.CheckTimeout = defaultCheckTimeout
	}
	if opts.ErrorLog == nil {
		opts.ErrorLog = slog.Default()
	}
	return &HealthGroup{
		name: name, opts: opts,
		checks:  append([]HealthChecker(nil), checks...),
		healthy: newPage(http.StatusOK, textPlain, []byte("ok")),
	}, nil
}

// Path is where the group is to be served: "/" and its name.
func (g *HealthGroup) Path() string { return "/" + g.name }

// ServeHTTP answers a probe. The path decides between the whole group and,
// with Details, one check.
func (g *HealthGroup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Cache-Control"] = noCache
	if !onlyGetAndHead(w, r) {
		return
	}
	if g.opts.CheckTimeout > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), g.opts.CheckTimeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, g.Path()), "/")
	if rest == "" {
		g.serveGroup(w, r)
		return
	}
	g.serveCheck(w, r, strings.TrimPrefix(rest, "/"))
}

func (g *HealthGroup) serveGroup(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	out := bufpool.GetRender()
	defer bufpool.PutRender(out)
	failed := g.runAll(r, newExclusions(query["exclude"]), out)
	if failed {
		fmt.Fprintf(out, "%s check failed\n", g.name)
		newPage(http.StatusInternalServerError, textPlain, out.B).serve(w, r)
		return
	}
	if g.opts.FirstPass != nil {
		g.passed.Do(g.opts.FirstPass)
	}
	if _, verbose := query["verbose"]; !verbose {
		g.healthy.serve(w, r)
		return
	}
	fmt.Fprintf(out, "%s check passed\n", g.name)
	newPage(http.StatusOK, textPlain, out.B).serve(w, r)
}

// runAll writes one line a check to out. Reasons go to the log alone: this
// endpoint is public.
func (g *HealthGroup) runAll(r *http.Request, ex *exclusions, out *bufpool.Render) (failed bool) {
	var reasons []any
	for _, c := range g.checks {
		if how := ex.match(c); how != "" {
			fmt.Fprintf(out, "[+]%s %s: ok\n", c.Name(), how)
			continue
		}
		if err := c.Check(r); err != nil {
			fmt.Fprintf(out, "[-]%s failed: reason withheld\n", c.Name())
			reasons = append(reasons, slog.String(c.Name(), err.Error()))
			continue
		}
		fmt.Fprintf(out, "[+]%s ok\n", c.Name())
	}
	if unmatched := ex.unmatched(); len(unmatched) > 0 {
		fmt.Fprintf(out, "warn: some health checks cannot be excluded: no matches for %s\n", strings.Join(unmatched, ", "))
	}
	if len(reasons) > 0 {
		g.opts.ErrorLog.Warn("health check failed", append([]any{slog.String("group", g.name)}, reasons...)...)
	}
	return len(reasons) > 0
}

func (g *HealthGroup) serveCheck(w http.ResponseWriter, r *http.Request, name string) {
	if g.opts.Details {
		for _, c := range g.checks {
			if c.Name() != name {
				continue
			}
			if err := c.Check(r); err != nil {
				body := fmt.Sprintf("internal server error: %v\n", err)
				newPage(http.StatusInternalServerError, textPlain, []byte(body)).serve(w, r)
				return
			}
			g.healthy.serve(w, r)
			return
		}
	}
	notFoundText.serve(w, r)
}

// exclusions are the ?exclude= values of one probe and which of them matched.
type exclusions struct {
	names []string
	used  []bool
}

func newExclusions(names []string) *exclusions {
	names = names[:min(len(names), maxExcluded)]
	return &exclusions{names, make([]bool, len(names))}
}

// match tells how c is excluded, or "".
func (e *exclusions) match(c HealthChecker) (how string) {
	group := ""
	if gc, ok := c.(GroupedHealthChecker); ok {
		group = gc.GroupName()
	}
	for i, name := range e.names {
		switch {
		case name == c.Name():
			e.used[i], how = true, "excluded"
		case name == group && name != "":
			e.used[i] = true
			if how == "" {
				how = "excluded with group"
			}
		}
	}
	return how
}

// unmatched gives the names nothing matched, quoted: they are a peer's bytes.
func (e *exclusions) unmatched() []string {
	var out []string
	for i, name := range e.names {
		if !e.used[i] {
			out = append(out, fmt.Sprintf("%.64q", name))
		}
	}
	return out
}
