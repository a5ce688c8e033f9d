package front

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/serve/servetest"
)

func decode(t testing.TB, text string) *config.Config {
	t.Helper()
	f, err := config.Decode("test.yaml", []byte("version: 1\n"+text), config.Options{})
	servetest.Must(t, "decode", err)
	return f.Config
}

func newFront(t testing.TB, cfg *config.Config) *Front {
	t.Helper()
	f, err := New(cfg, Options{ErrorLog: slog.New(slog.DiscardHandler)})
	servetest.Must(t, "New", err)
	t.Cleanup(f.Close)
	return f
}

// found is what a request is answered by, or the status that refuses it.
func found(f *Front, method, host, target string, header http.Header) string {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host = host
	r.Header = header
	to, status := f.Router.Table().Find(r)
	if to == nil {
		return fmt.Sprint(status)
	}
	return host + "/" + to.ID
}

// TestOrderNeverMatters: hosts and routes in any order answer every request the same
// way (rule F-4).
func TestOrderNeverMatters(t *testing.T) {
	cfg := decode(t, `
hosts:
  - names: [www.test, "*.test"]
    routes:
      - {id: root, match: {prefix: /}, respond: {}}
      - {id: a, match: {prefix: /a}, respond: {}}
      - {id: a-c, match: {prefix: /a/c/}, respond: {}}
      - {id: a-b, match: {path: /a/b}, respond: {}}
      - {id: a-post, match: {prefix: /a, methods: [POST]}, respond: {}}
      - {id: a-field, match: {prefix: /a, methods: [POST], headers: {X-A: "1"}}, respond: {}}
      - {id: a-query, match: {path: /a/b, query: {q: "*"}}, respond: {}}
      - {id: a-both, match: {path: /a/b, headers: {X-A: "1"}, query: {q: "*"}}, respond: {}}
  - names: [api.www.test]
    routes:
      - {id: v1, match: {prefix: /v1}, respond: {}}
      - {id: v1-x, match: {path: /v1/x, methods: [GET]}, respond: {}}
  - routes: [{id: any, match: {prefix: /}, respond: {}}]
`)
	answers := func(f *Front) string {
		var b strings.Builder
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			for _, host := range []string{"www.test", "WWW.test.", "x.test", "api.www.test", "other.example"} {
				for _, target := range []string{"/", "/a", "/a/", "/a/b", "/a/c/", "/a/b?q=1", "/ab", "/A", "/v1", "/v1/x", "/v1/x/"} {
					for _, h := range []http.Header{{}, {"X-A": {"1"}}} {
						fmt.Fprintln(&b, method, host, target, len(h), found(f, method, host, target, h))
					}
				}
			}
		}
		return b.String()
	}
	want := answers(newFront(t, cfg))
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(cfg.Hosts), func(i, j int) { cfg.Hosts[i], cfg.Hosts[j] = cfg.Hosts[j], cfg.Hosts[i] })
		for _, h := range cfg.Hosts {
			r.Shuffle(len(h.Routes), func(i, j int) { h.Routes[i], h.Routes[j] = h.Routes[j], h.Routes[i] })
		}
		if got := answers(newFront(t, cfg)); got != want {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
		}
	}
}

// handlers are those of all routes, by host and id.
func handlers(f *Front) map[string]http.Handler {
	all := make(map[string]http.Handler)
	for key, b := range f.routes {
		all[key] = b.handler
	}
	return all
}

// TestEqualIsKept: what is the same before and after is the very same object; an
// error, and what was abandoned, changes nothing.
func TestEqualIsKept(t *testing.T) {
	root := t.TempDir()
	const text = `
hosts:
  - names: [a.test]
    routes:
      - {id: files, match: {prefix: /f/}, files: {root: ROOT}}
      - {id: proxy, match: {prefix: /}, proxy: {to: one}}
upstreams: {one: {targets: [{url: "http://127.0.0.1:1"}]}}
`
	at := func(text string) *config.Config { return decode(t, strings.ReplaceAll(text, "ROOT", root)) }
	f := newFront(t, at(text))
	first, table, service := handlers(f), f.Router.Table(), f.services["one"].Service

	more := strings.Replace(text, "upstreams: {", "upstreams: {two: {targets: [{url: \"http://127.0.0.1:2\"}]}, ", 1)
	next, err := f.Prepare(at(more))
	servetest.Must(t, "Prepare", err)
	next.Abandon()
	servetest.Want(t, "the table after Abandon", f.Router.Table() == table, true)
	servetest.Want(t, "services after Abandon", len(f.Services()), 1)
	_, err = f.Prepare(at(strings.Replace(more, "ROOT", root+"/none", 1)))
	servetest.WantErr(t, "a folder that is not there", err, os.ErrNotExist)
	servetest.Want(t, "services after an error", len(f.Services()), 1)

	for _, c := range []struct {
		name, text    string
		files, passed bool // kept
	}{
		{"nothing", text, true, true},
		{"another upstream", more, true, true},
		{"a setting of the upstream", strings.Replace(text, "}]}}", "}], pool: {idle: 3}}}", 1), true, true},
		{"the route of the files", strings.Replace(text, "/f/", "/g/", 1), false, true},
		{"a limit of all", text + "limits: {max_body: 1KiB}\n", false, false},
	} {
		next, err := f.Prepare(at(c.text))
		servetest.Must(t, c.name, err)
		next.Commit()
		now := handlers(f)
		servetest.Want(t, c.name+": files are kept", now["a.test/files"] == first["a.test/files"], c.files)
		servetest.Want(t, c.name+": proxy is kept", now["a.test/proxy"] == first["a.test/proxy"], c.passed)
		servetest.Want(t, c.name+": the service", f.services["one"].Service == service, true)
		next, err = f.Prepare(at(text))
		servetest.Must(t, c.name+" and back", err)
		next.Commit()
		first = handlers(f)
	}
}

// TestUpstreamFiles: other authorities in the file of before are noticed.
func TestUpstreamFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ca.pem")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	put := func(comment string) {
		servetest.Must(t, "write", os.WriteFile(file, append([]byte(comment+"\n"), cert...), 0o600))
	}
	put("one")
	cfg := decode(t, `
hosts: [{routes: [{id: r, match: {prefix: /}, proxy: {to: one}}]}]
upstreams: {one: {targets: [{url: "https://127.0.0.1:1"}], tls: {ca_file: "`+file+`"}}}
`)
	f := newFront(t, cfg)
	before := f.services["one"].hash
	put("two")
	next, err := f.Prepare(cfg)
	servetest.Must(t, "Prepare", err)
	servetest.Want(t, "services to change", len(next.updates), 1)
	next.Commit()
	if f.services["one"].hash == before {
		t.Error("the service has the authorities of before")
	}
}

// TestRespondDelay: an answer comes as late as its route says; off is at once.
func TestRespondDelay(t *testing.T) {
	f := newFront(t, decode(t, `
hosts:
  - names: [a.test]
    routes:
      - {id: late, match: {path: /late}, respond: {body: late, delay: 50ms}}
      - {id: off, match: {path: /off}, respond: {body: off, delay: off}}
`))
	all := handlers(f)
	synctest.Test(t, func(t *testing.T) {
		for key, h := range all {
			rec, begin := httptest.NewRecorder(), time.Now()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			want := map[bool]time.Duration{true: 50 * time.Millisecond}[rec.Body.String() == "late"]
			if took := time.Since(begin); took != want || rec.Code != http.StatusOK {
				t.Errorf("%s: %d %q after %v, want %v", key, rec.Code, rec.Body, took, want)
			}
		}
	})
	if len(all) != 2 {
		t.Errorf("routes %v", all)
	}
}
