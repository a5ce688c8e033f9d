package serve_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// groupCheck is a check of a group of checks.
type groupCheck struct{ handler.HealthChecker }

func (groupCheck) GroupName() string { return "etcd" }

// TestHealthErrors: what cannot be added.
func TestHealthErrors(t *testing.T) {
	s := newGeneric(t, serve.Config{})
	for name, add := range map[string]func(...handler.HealthChecker) error{
		"all": s.AddHealthChecks, "boot": s.AddBootSequenceHealthChecks, "readyz": s.AddReadyzChecks,
		"livez": func(c ...handler.HealthChecker) error { return s.AddLivezChecks(time.Hour, c...) },
	} {
		servetest.Must(t, "none", add())
		wantErrText(t, name+": nil", add(nil), "nil")
		wantErrText(t, name+": no name", add(well("")), "no name")
		wantErrText(t, name+": a name that is taken", add(well("ping")), `"ping" was added before`)
	}
	prepare(t, s)
	wantErrText(t, "late", s.AddHealthChecks(well("late")), "too late: the endpoint is installed")
}

// TestHealthMerge: each group of a delegate goes to the same group, own names win.
func TestHealthMerge(t *testing.T) {
	log := serve.ServerOptions{ErrorLog: quiet()}
	none := []handler.HealthChecker{}
	for _, test := range []struct {
		name                string
		inner, outer        serve.Config
		healthz, livez, rdy string
	}{
		{"defaults", serve.Config{}, serve.Config{}, "log ping", "log ping", "log ping"},
		{"no checks wanted", serve.Config{}, serve.Config{HealthzChecks: none, LivezChecks: none, ReadyzChecks: none}, "log ping", "log ping", "log ping"},
		{
			"none at all",
			serve.Config{HealthzChecks: none, LivezChecks: none, ReadyzChecks: none},
			serve.Config{HealthzChecks: none, LivezChecks: none, ReadyzChecks: none},
			"", "", "",
		},
		{"readyz alone", serve.Config{ReadyzChecks: []handler.HealthChecker{well("r")}}, serve.Config{}, "log ping", "log ping", "log ping r"},
		{"livez alone", serve.Config{LivezChecks: []handler.HealthChecker{well("l")}}, serve.Config{}, "log ping", "l log ping", "log ping"},
	} {
		test.inner.Options, test.outer.Options = log, log
		inner, err := test.inner.Complete().New("inner", serve.NewEmptyDelegate())
		servetest.Must(t, test.name, err)
		outer, err := test.outer.Complete().New("outer", inner)
		servetest.Must(t, test.name, err)
		c := outer.HealthChecks()
		servetest.Want(t, test.name+": groups", fmt.Sprint([]string{names(c.Healthz), names(c.Livez), names(c.Readyz)}), fmt.Sprint([]string{test.healthz, test.livez, test.rdy}))
	}

	// Of one name the outer server's check is asked.
	inner, err := serve.Config{Options: log, ReadyzChecks: []handler.HealthChecker{sick("same")}}.Complete().New("inner", serve.NewEmptyDelegate())
	servetest.Must(t, "inner", err)
	outer, err := serve.Config{Options: log, ReadyzChecks: []handler.HealthChecker{well("same")}, PublicHealth: true}.Complete().New("outer", inner)
	servetest.Must(t, "outer", err)
	prepare(t, outer)
	servetest.Want(t, "readyz", local(outer, "/readyz").Code, http.StatusOK)
}

// TestHealthAnswers: public groups withhold reasons and single checks, those for
// the admin address do not; groups of checks can be excluded through the merge.
func TestHealthAnswers(t *testing.T) {
	servetest.CheckLeaks(t)
	s := newGeneric(t, serve.Config{PublicHealth: true})
	servetest.Must(t, "add", s.AddHealthChecks(groupCheck{sick("etcd-0")}, groupCheck{sick("etcd-1")}))
	prepare(t, s)
	groups, err := s.HealthGroups(handler.HealthOptions{Details: true})
	servetest.Must(t, "HealthGroups", err)
	admin := http.NewServeMux()
	for _, g := range groups {
		admin.Handle(g.Path(), g)
		admin.Handle(g.Path()+"/", g)
	}
	for _, test := range []struct {
		name, path string
		h          http.Handler
		status     int
		want       string
	}{
		{"public", "/readyz", s, 500, "[+]ping ok\n[+]log ok\n[-]etcd-0 failed: reason withheld\n[-]etcd-1 failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"},
		{"public, group excluded", "/readyz?exclude=etcd", s, 200, "ok"},
		{"healthz has no shutdown check", "/healthz?verbose&exclude=etcd", s, 200, "[+]ping ok\n[+]log ok\n[+]etcd-0 excluded with group: ok\n[+]etcd-1 excluded with group: ok\nhealthz check passed\n"},
		{"admin", "/livez/etcd-0", admin, 500, "internal server error: etcd-0 is sick\n"},
		{"admin, well", "/readyz/ping", admin, 200, "ok"},
	} {
		w := local(test.h, test.path)
		servetest.Want(t, test.name+": status", w.Code, test.status)
		servetest.Want(t, test.name, w.Body.String(), test.want)
	}
}

// TestFirstPass: a probe of the admin's readyz fires HasBeenReady too.
func TestFirstPass(t *testing.T) {
	servetest.CheckLeaks(t)
	s := newGeneric(t, serve.Config{})
	prepare(t, s)
	told := 0
	groups, err := s.HealthGroups(handler.HealthOptions{FirstPass: func() { told++ }})
	servetest.Must(t, "HealthGroups", err)
	local(groups[1], "/livez")
	servetest.Want(t, "by livez", isSignaled(s.Signals().HasBeenReady), false)
	local(groups[2], "/readyz")
	local(groups[2], "/readyz")
	servetest.Want(t, "by readyz", isSignaled(s.Signals().HasBeenReady), true)
	servetest.Want(t, "told, by each group of its own first pass", told, 2)
}

// TestLivezGrace: boot checks are well in livez until the grace is over, counted
// from their registration; a delegate's keep theirs.
func TestLivezGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := serve.ServerOptions{ErrorLog: quiet()}
		inner, err := serve.Config{Options: log, LivezGracePeriod: 10 * time.Second}.Complete().New("inner", serve.NewEmptyDelegate())
		servetest.Must(t, "inner", err)
		servetest.Must(t, "boot", inner.AddBootSequenceHealthChecks(sick("boot")))
		time.Sleep(4 * time.Second)
		outer, err := serve.Config{Options: log, PublicHealth: true}.Complete().New("outer", inner)
		servetest.Must(t, "outer", err)
		prepare(t, outer)
		servetest.Want(t, "readyz has no grace", local(outer, "/readyz").Code, http.StatusInternalServerError)
		servetest.Want(t, "healthz has no grace", local(outer, "/healthz").Code, http.StatusInternalServerError)
		servetest.Want(t, "livez in the grace", local(outer, "/livez").Code, http.StatusOK)
		time.Sleep(6*time.Second - time.Nanosecond)
		servetest.Want(t, "livez at its end", local(outer, "/livez").Code, http.StatusOK)
		time.Sleep(time.Nanosecond)
		servetest.Want(t, "livez behind it", local(outer, "/livez").Code, http.StatusInternalServerError)
	})
}

// TestBadChecks: a check that hangs or panics is named, and costs nobody more
// than its time; one that hangs is not started again.
func TestBadChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var runs atomic.Int32
		s := newGeneric(t, serve.Config{PublicHealth: true})
		servetest.Must(t, "add", s.AddReadyzChecks(
			handler.NamedCheck("hangs", func(*http.Request) error {
				runs.Add(1)
				<-release
				return nil
			}),
			handler.NamedCheck("panics", func(*http.Request) error { panic("in a check") }),
			handler.NamedCheck("heeds", func(r *http.Request) error {
				if _, ok := r.Context().Deadline(); !ok {
					return errors.New("no deadline")
				}
				return nil
			}),
		))
		prepare(t, s)
		for range 3 {
			begin := time.Now()
			body := local(s, "/readyz").Body.String()
			servetest.Want(t, "a probe took", time.Since(begin), 5*time.Second)
			for _, line := range []string{"[-]hangs failed", "[-]panics failed", "[+]ping ok"} {
				if !strings.Contains(body, line) {
					t.Errorf("readyz lacks %q:\n%s", line, body)
				}
			}
		}
		servetest.Want(t, "runs of the one that hangs", runs.Load(), 1)
		close(release)
		synctest.Wait()
		if body := local(s, "/readyz").Body.String(); !strings.Contains(body, "[+]hangs ok") {
			t.Errorf("it hangs no more:\n%s", body)
		}
		if body := local(s, "/readyz").Body.String(); !strings.Contains(body, "[+]heeds ok") {
			t.Errorf("a check without a deadline:\n%s", body)
		}
	})
}

// TestLogCheck: a log that takes nothing for two minutes fails all groups.
func TestLogCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		s := newGeneric(t, serve.Config{PublicHealth: true, FlushLog: func() error {
			if broken.Load() {
				return errors.New("disk full")
			}
			return nil
		}})
		p := prepare(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.RunWithContext(ctx) }()
		time.Sleep(10*time.Minute + 10*time.Second) // not at the time of a flush
		servetest.Want(t, "a good log", local(s, "/livez").Code, http.StatusOK)
		broken.Store(true)
		time.Sleep(100 * time.Second)
		servetest.Want(t, "in the patience", local(s, "/livez").Code, http.StatusOK)
		time.Sleep(time.Minute)
		for _, path := range []string{"/livez", "/healthz", "/readyz"} {
			servetest.Want(t, path, local(s, path).Code, http.StatusInternalServerError)
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		servetest.Want(t, "well again", local(s, "/livez").Code, http.StatusOK)
		cancel()
		servetest.Must(t, "Run", <-ended)
	})
}
