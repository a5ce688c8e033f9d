package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestAdminEndpoints(t *testing.T) {
	p := start(t, nil, "serve", "--listen", anyPort, "--tls-listen", anyPort, "--admin", anyPort, "--contention-profiling")
	secure, plain, admin := p.urls[0], p.urls[1], p.urls[2]
	client := newClient(t)
	for path, want := range map[string]string{
		"/healthz?verbose":           "[+]log ok",
		"/readyz?verbose":            "[+]certificates ok",
		"/readyz/certificates":       "ok",
		"/metrics":                   "penstock_requests_total ",
		"/status":                    `"Accepted":`,
		"/drainz":                    `"phase":"Serving"`,
		"/debug/pprof/mutex?debug=1": "sampling period",
		"/debug/pprof/heap?debug=1":  "heap profile",
		"/debug/pprof/cmdline":       "serve",
	} {
		if status, body := fetch(t, client, admin+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("admin %s: %d %.200q, want %q", path, status, body, want)
		}
		if strings.Contains(path, "z") && !strings.Contains(path, "drainz") {
			continue // health, which is public without reasons
		}
		for _, base := range []string{plain, secure} {
			if status, _ := fetch(t, client, base+path); status != http.StatusNotFound {
				t.Errorf("public %s: %d", base+path, status)
			}
		}
	}
	fetch(t, client, plain+"/version")
	servetest.WantSoon(t, "the request is counted by its route", func() bool {
		_, body := fetch(t, client, admin+"/metrics")
		return strings.Contains(body, `request_total{code="2xx",method="GET",protocol="h1",route="/version"}`)
	})
	if status, _ := fetch(t, client, plain+"/readyz/certificates"); status != http.StatusNotFound {
		t.Errorf("a single check is public: %d", status)
	}
}

func TestAdminWithoutProfiles(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--admin", anyPort, "--profiling=false")
	client := newClient(t)
	for path, want := range map[string]int{"/debug/pprof/": 404, "/debug/pprof/heap": 404, "/metrics": 200, "/healthz": 200, "/drainz": 200} {
		status, _ := fetch(t, client, p.urls[1]+path)
		servetest.Want(t, path, status, want)
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Requests": "requests", "HandOffs": "hand_offs", "HTTP3Connections": "http3_connections", "HandshakesRefused": "handshakes_refused",
	} {
		servetest.Want(t, name, snake(name), want)
	}
}
