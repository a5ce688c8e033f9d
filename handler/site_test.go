package handler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func newTestSite(t *testing.T) *Site {
	t.Helper()
	return NewSite(NewVersion(BuildVersion()),
		newGroup(t, "healthz", HealthOptions{}, PingCheck()),
		newGroup(t, "livez", HealthOptions{}, PingCheck()),
		newGroup(t, "readyz", HealthOptions{}, PingCheck()))
}

func TestSite(t *testing.T) {
	site := newTestSite(t)
	tests := []struct {
		path        string
		status      int
		contentType string
		contains    string
	}{
		{"/", 200, "text/html; charset=utf-8", "penstock is running"},
		{"/index.html", 200, "text/html; charset=utf-8", "penstock is running"},
		{"/version", 200, "application/json", `"go": "go1.`},
		{"/healthz?verbose", 200, "text/plain; charset=utf-8", "healthz check passed"},
		{"/livez", 200, "text/plain; charset=utf-8", "ok"},
		{"/readyz", 200, "text/plain; charset=utf-8", "ok"},
		{"/readyzfoo", 404, "text/html; charset=utf-8", "no page at this address"},
		{"/readyz/ping", 404, "text/html; charset=utf-8", "no page at this address"},
		{"/metrics", 404, "text/html; charset=utf-8", "no page at this address"},
		{"/debug/pprof/", 404, "text/html; charset=utf-8", "no page at this address"},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			w := get(site, test.path)
			if w.Code != test.status || w.Header().Get("Content-Type") != test.contentType || !strings.Contains(w.Body.String(), test.contains) {
				t.Errorf("got %d %s %q", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("nosniff is missing")
			}
		})
	}
}

func TestSiteMethods(t *testing.T) {
	for _, path := range []string{"/", "/version", "/livez"} {
		w := httptest.NewRecorder()
		newTestSite(t).ServeHTTP(w, httptest.NewRequest(http.MethodDelete, path, nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
			t.Errorf("DELETE %s: %d", path, w.Code)
		}
	}
}

// The pages work offline and under their own policy: nothing is loaded.
func TestPagesLoadNothing(t *testing.T) {
	loads := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|(src|href)="(https?:)?//`)
	links := regexp.MustCompile(`href="([^"]+)"`)
	site := newTestSite(t)
	for _, p := range [][]byte{siteIndex, siteNotFound} {
		if found := loads.Find(p); found != nil {
			t.Errorf("page loads something: %s", found)
		}
		for _, link := range links.FindAllSubmatch(p, -1) {
			if w := get(site, string(link[1])); w.Code != http.StatusOK {
				t.Errorf("link %s leads to %d", link[1], w.Code)
			}
		}
	}
}

func TestVersionBody(t *testing.T) {
	w := get(NewVersion(VersionInfo{Version: "v1.2.3", Commit: "abc+dirty", Go: "go1.26", Platform: "linux/amd64", Tags: []string{"x", "y"}}), "/version")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["version"] != "v1.2.3" || got["commit"] != "abc+dirty" || got["go"] != "go1.26" || got["quic"] != nil {
		t.Errorf("body %s", w.Body)
	}
}

func TestVersionLine(t *testing.T) {
	v := VersionInfo{Version: "v1.2.3", Commit: "abc", Go: "go1.26", Platform: "linux/amd64", Tags: []string{"x"}}
	if got, want := v.String(), "penstock v1.2.3 (abc) go1.26 linux/amd64 tags x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := BuildVersion(); got.Go == "" || got.Platform == "" || got.Version == "" {
		t.Errorf("BuildVersion() = %+v", got)
	}
}
