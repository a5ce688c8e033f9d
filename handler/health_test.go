package handler

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type groupedCheck struct {
	HealthChecker
	group string
}

func (c groupedCheck) GroupName() string { return c.group }

func failing(name string) HealthChecker {
	return NamedCheck(name, func(*http.Request) error { return errors.New("disk on fire") })
}

func passing(name string) HealthChecker {
	return NamedCheck(name, func(*http.Request) error { return nil })
}

func newGroup(t *testing.T, name string, opts HealthOptions, checks ...HealthChecker) *HealthGroup {
	t.Helper()
	g, err := NewHealthGroup(name, opts, checks...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestHealthGroup(t *testing.T) {
	quiet := HealthOptions{ErrorLog: slog.New(slog.DiscardHandler)}
	good := []HealthChecker{PingCheck(), groupedCheck{passing("db"), "stores"}, groupedCheck{passing("cache"), "stores"}}
	bad := append(slices.Clip(good), failing("disk"))
	tests := []struct {
		name, query string
		checks      []HealthChecker
		status      int
		body        string
	}{
		{"passing", "", good, 200, "ok"},
		{"verbose", "?verbose", good, 200, "[+]ping ok\n[+]db ok\n[+]cache ok\nreadyz check passed\n"},
		{"failing is verbose and withholds the reason", "", bad, 500, "[+]ping ok\n[+]db ok\n[+]cache ok\n[-]disk failed: reason withheld\nreadyz check failed\n"},
		{"failing check excluded", "?exclude=disk", bad, 200, "ok"},
		{"exclude, verbose", "?verbose&exclude=disk", bad, 200, "[+]ping ok\n[+]db ok\n[+]cache ok\n[+]disk excluded: ok\nreadyz check passed\n"},
		{"exclude twice", "?verbose&exclude=disk&exclude=ping", bad, 200, "[+]ping excluded: ok\n[+]db ok\n[+]cache ok\n[+]disk excluded: ok\nreadyz check passed\n"},
		{"exclude group", "?verbose&exclude=stores", good, 200, "[+]ping ok\n[+]db excluded with group: ok\n[+]cache excluded with group: ok\nreadyz check passed\n"},
		{"exclude unknown", "?verbose&exclude=x", good, 200, "[+]ping ok\n[+]db ok\n[+]cache ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n"},
		{"unknown exclusion is quoted", "?verbose&exclude=a%0d%0ab", nil, 200, "warn: some health checks cannot be excluded: no matches for \"a\\r\\nb\"\nreadyz check passed\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := get(newGroup(t, "readyz", quiet, test.checks...), "/readyz"+test.query)
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, test.status, test.body)
			}
			if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") == "" {
				t.Errorf("fields missing: %v", w.Header())
			}
		})
	}
}

func TestHealthReasonGoesToTheLog(t *testing.T) {
	var log bytes.Buffer
	g := newGroup(t, "livez", HealthOptions{ErrorLog: slog.New(slog.NewTextHandler(&log, nil))}, failing("disk"))
	get(g, "/livez")
	if !strings.Contains(log.String(), "disk on fire") || !strings.Contains(log.String(), "livez") {
		t.Errorf("log: %q", log.String())
	}
}

func TestHealthPerCheck(t *testing.T) {
	quiet := HealthOptions{Details: true, ErrorLog: slog.New(slog.DiscardHandler)}
	g := newGroup(t, "readyz", quiet, PingCheck(), failing("disk"))
	tests := []struct {
		path   string
		status int
		body   string
	}{
		{"/readyz/ping", 200, "ok"},
		{"/readyz/disk", 500, "internal server error: disk on fire\n"},
		{"/readyz/none", 404, "404 page not found\n"},
	}
	for _, test := range tests {
		if w := get(g, test.path); w.Code != test.status || w.Body.String() != test.body {
			t.Errorf("%s: got %d %q, want %d %q", test.path, w.Code, w.Body, test.status, test.body)
		}
	}
	public := newGroup(t, "readyz", HealthOptions{}, PingCheck())
	if w := get(public, "/readyz/ping"); w.Code != http.StatusNotFound {
		t.Errorf("a public group answers single checks: %d", w.Code)
	}
}

func TestHealthMethods(t *testing.T) {
	g := newGroup(t, "livez", HealthOptions{}, PingCheck())
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/livez", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/livez", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "2" {
		t.Errorf("HEAD: %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

func TestReadyzFailsFromShutdownOn(t *testing.T) {
	var stopping atomic.Bool
	quiet := HealthOptions{ErrorLog: slog.New(slog.DiscardHandler)}
	readyz := newGroup(t, "readyz", quiet, PingCheck(), ShutdownCheck(stopping.Load))
	livez := newGroup(t, "livez", quiet, PingCheck())
	if w := get(readyz, "/readyz"); w.Code != http.StatusOK {
		t.Errorf("before: %d", w.Code)
	}
	stopping.Store(true)
	if w := get(readyz, "/readyz"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "[-]shutdown failed") {
		t.Errorf("after: %d %q", w.Code, w.Body)
	}
	if w := get(livez, "/livez"); w.Code != http.StatusOK {
		t.Errorf("livez during the drain: %d", w.Code)
	}
}

func TestFirstPassIsToldOnce(t *testing.T) {
	var passes int
	var ready atomic.Bool
	check := ShutdownCheck(func() bool { return !ready.Load() })
	g := newGroup(t, "readyz", HealthOptions{
		FirstPass: func() { passes++ }, ErrorLog: slog.New(slog.DiscardHandler),
	}, check)
	get(g, "/readyz")
	if passes != 0 {
		t.Error("told by a probe that failed")
	}
	ready.Store(true)
	get(g, "/readyz")
	get(g, "/readyz")
	if passes != 1 {
		t.Errorf("told %d times, want once", passes)
	}
}

func TestHealthCheckTimeLimit(t *testing.T) {
	synctest.Test(t, testHealthCheckTimeLimit)
}

func testHealthCheckTimeLimit(t *testing.T) {
	stuck := NamedCheck("stuck", func(r *http.Request) error {
		<-r.Context().Done()
		return r.Context().Err()
	})
	g := newGroup(t, "livez", HealthOptions{ErrorLog: slog.New(slog.DiscardHandler)}, stuck)
	start := time.Now()
	if w := get(g, "/livez"); w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
	if got := time.Since(start); got != defaultCheckTimeout {
		t.Errorf("took %v, want %v", got, defaultCheckTimeout)
	}
}

func TestNewHealthGroupRefuses(t *testing.T) {
	if _, err := NewHealthGroup("livez", HealthOptions{}, passing("a"), passing("a")); err == nil {
		t.Error("the same name twice was taken")
	}
	if _, err := NewHealthGroup("livez", HealthOptions{}, passing("")); err == nil {
		t.Error("an empty name was taken")
	}
}
