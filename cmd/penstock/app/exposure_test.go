package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// groupPaths are paths of each group of endpoints, and who may serve them.
var groupPaths = []struct {
	group  string
	public string // the --public-endpoints that puts it on public addresses; empty: none
	admin  bool   // it is on the admin address
	paths  []string
}{
	{"health", endpointHealth, true, []string{"/healthz", "/livez", "/readyz"}},
	{"single checks", "", true, []string{"/healthz/ping", "/livez/ping", "/readyz/ping"}},
	{"metrics", "", true, []string{"/metrics"}},
	{"drain", "", true, []string{"/drainz"}},
	{"counters", "", true, []string{"/status"}},
	{"profiles", "", true, []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=1"}},
	{"version", endpointVersion, true, []string{"/version"}},
	{"documents", endpointOpenAPI, false, []string{"/swagger.json", "/openapi/v2", "/openapi/v3"}},
	{"respond", endpointRespond, false, []string{"/respond"}},
	{"site", endpointSite, false, []string{"/", "/index.html"}},
}

// TestExposure: every group of endpoints on every kind of address, whatever else is
// public: the admin address has its own in any case, a public one what it was told.
func TestExposure(t *testing.T) {
	for _, public := range [][]string{nil, allEndpoints(), {endpointSite}, {endpointHealth}, {endpointVersion, endpointRespond}} {
		flag := strings.Join(public, ",")
		if public == nil {
			flag = "none"
		}
		p := start(t, nil, "serve", "--listen", anyPort, "--tls-listen", anyPort, "--admin", anyPort, "--public-endpoints", flag)
		urls := map[string]string{} // by kind of address
		for _, url := range p.urls {
			switch scheme, _, _ := strings.Cut(url, ":"); {
			case scheme == "https":
				urls["tls"] = url
			case urls["plain"] == "":
				urls["plain"] = url
			default:
				urls["admin"] = url
			}
		}
		servetest.Want(t, "addresses", len(urls), 3)
		client := newClient(t)
		servetest.WantSoon(t, "it is ready", func() bool { // the hook that has announced it is a check, too
			status, _ := fetch(t, client, urls["admin"]+"/readyz")
			return status == http.StatusOK
		})
		for _, g := range groupPaths {
			for _, path := range g.paths {
				for kind, url := range urls {
					want := g.admin
					if kind != "admin" {
						want = slices.Contains(public, g.public)
					}
					status, body := fetch(t, client, url+path)
					servetest.Want(t, fmt.Sprintf("--public-endpoints %s, %s, %s: it is there", flag, kind, path), status == http.StatusOK, want)
					if status != http.StatusOK && strings.Contains(body, "goroutine ") {
						t.Errorf("%s of %s shows a profile", path, kind)
					}
				}
			}
		}
	}
}

// TestExposureBehindCatchAll: a route for all paths, of the outermost server or the
// innermost, hides no health group that is public, and gets all else, but with the
// limits of any request: who serves a path decides whether it is exempt, not how it
// looks.
func TestExposureBehindCatchAll(t *testing.T) {
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "service ", r.URL.Path) })
	service := httptest.NewServer(all)
	t.Cleanup(service.Close)
	tokens := filepath.Join(t.TempDir(), "tokens")
	servetest.Must(t, "tokens", os.WriteFile(tokens, []byte("secret,ann,1\n"), 0o600))
	for _, public := range []bool{true, false} {
		for _, outermost := range []bool{true, false} {
			t.Run(fmt.Sprintf("health=%v/outermost=%v", public, outermost), func(t *testing.T) {
				core, front := CoreConfig{Endpoints: []string{}}, FrontConfig{}
				if public {
					core.Endpoints = []string{endpointHealth}
				}
				if outermost {
					front.Resolver = &services{known: map[string]string{"all": service.URL}}
					front.Routes = []ServiceRoute{{Path: "/", Service: "all"}}
				}
				chain, base := newTestChainOf(t, core, front, "--token-auth-file", tokens)
				if !outermost {
					servetest.Must(t, "a route for all", chain.Dynamic.Mux.HandlePrefix("/", all))
				}
				wantCatchAll(t, base, public)
			})
		}
	}
}

func wantCatchAll(t *testing.T, base string, public bool) {
	client := newClient(t)
	for _, g := range groupPaths {
		for _, path := range g.paths {
			resp, body := ask(t, client, http.MethodGet, base+path, "Authorization", "Bearer secret")
			clean, _, _ := strings.Cut(path, "?")
			ours := public && g.public == endpointHealth
			servetest.Want(t, path+": it is the service's", body == "service "+clean, !ours)
			if !ours {
				servetest.Want(t, path+": status", resp.StatusCode, http.StatusOK)
			}
			resp, _ = ask(t, client, http.MethodGet, base+path)
			servetest.Want(t, path+": it needs a token", resp.StatusCode == http.StatusUnauthorized, !ours)
		}
	}
}
