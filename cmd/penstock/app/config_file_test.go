package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// origin is an upstream that can be taken away and come back at its address.
type origin struct {
	t    *testing.T
	addr string
	name string

	mu  sync.Mutex // guards the following
	srv *http.Server
}

func newOrigin(t *testing.T, name string) *origin {
	o := &origin{t: t, addr: "127.0.0.1:0", name: name}
	o.start()
	t.Cleanup(o.stop)
	return o
}

func (o *origin) start() {
	o.t.Helper()
	var l net.Listener
	var err error
	for range 100 { // the port may be taken for a moment
		if l, err = net.Listen("tcp", o.addr); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	servetest.Must(o.t, "listen", err)
	o.addr = l.Addr().String()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", o.name, r.Host, r.URL.RequestURI())
	})}
	srv := o.srv
	go func() { _ = srv.Serve(l) }() // ends with stop
}

// stop cuts all connections, as a process that dies does.
func (o *origin) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.srv.Close()
}

// exampleConfig is the example of two hosts, static files, and an API with two
// upstreams.
func exampleConfig(t *testing.T, upstreams ...*origin) (name string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := writePair(t)
	www := filepath.Join(dir, "www", "assets")
	servetest.Must(t, "a site", os.MkdirAll(www, 0o700))
	for file, text := range map[string]string{"index.html": "<h1>index</h1>", "404.html": "lost", "assets/a.css": "a{}"} {
		servetest.Must(t, file, os.WriteFile(filepath.Join(dir, "www", file), []byte(text), 0o600))
	}
	var targets []string
	for _, o := range upstreams {
		targets = append(targets, fmt.Sprintf("{url: \"http://%s\"}", o.addr))
	}
	name = filepath.Join(dir, "penstock.yaml")
	text := strings.NewReplacer("DIR", dir, "CERT", certFile, "KEY", keyFile, "TARGETS", strings.Join(targets, ", ")).Replace(`version: 1
admin: {listen: "127.0.0.1:0"}
log: {access: DIR/access.json}
listeners:
  web: {address: "127.0.0.1:0"}
  secure: {address: "127.0.0.1:0", tls: {certificates: [edge]}}
certificates:
  edge: {cert_file: CERT, key_file: KEY}
hosts:
  - names: [www.example.org]
    headers: {set: {Strict-Transport-Security: "max-age=31536000"}}
    routes:
      - {id: blog, match: {prefix: /blog/}, redirect: {to: "https://blog.example.org{uri}", status: 301}}
      - {id: assets, match: {prefix: /assets/}, files: {root: DIR/www, cache_control: "public, max-age=31536000"}}
      - {id: site, match: {prefix: /}, files: {root: DIR/www, not_found: /404.html}}
  - names: [api.example.org]
    limits: {max_body: 1KiB}
    routes:
      - {id: version, match: {path: /version}, respond: {body: one}}
      - {id: api, match: {prefix: /}, proxy: {to: api}}
upstreams:
  api:
    targets: [TARGETS]
    health: {path: /readyz, interval: 100ms, fall: 1, rise: 1}
    timeouts: {connect: 1s}
`)
	servetest.Must(t, "the configuration", os.WriteFile(name, []byte(text), 0o600))
	return name
}

// hostClient asks addr for any host.
func hostClient(t *testing.T, addr string) *http.Client {
	tr := &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 100,
		ForceAttemptHTTP2:   true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestConfiguredServer: what the example says is what is served, over clear
// connections and TLS.
func TestConfiguredServer(t *testing.T) {
	o := newOrigin(t, "a")
	p := start(t, nil, "serve", "-c", exampleConfig(t, o))
	for _, url := range p.urls[:2] {
		scheme, addr, _ := strings.Cut(url, "://")
		c := hostClient(t, addr)
		for _, ask := range []struct {
			url, body string
			status    int
			field     string
			value     string
		}{
			{"www.example.org/", "<h1>index</h1>", 200, "Strict-Transport-Security", "max-age=31536000"},
			{"www.example.org/assets/a.css", "a{}", 200, "Cache-Control", "public, max-age=31536000"},
			{"www.example.org/none", "lost", 404, "", ""},
			{"www.example.org/blog/x?y", "", 301, "Location", "https://blog.example.org/blog/x?y"},
			{"api.example.org/version", "one", 200, "", ""},
			{"api.example.org/v1/x?y=%20", "a api.example.org /v1/x?y=%20", 200, "", ""},
			{"other.example.org/", "", 421, "", ""},
			{"www.example.org/a/../b", "", 400, "", ""},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+ask.url, nil)
			servetest.Must(t, ask.url, err)
			res, err := c.Do(req)
			servetest.Must(t, ask.url, err)
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			servetest.Must(t, ask.url, err)
			if res.StatusCode != ask.status || ask.body != "" && string(body) != ask.body || ask.field != "" && res.Header.Get(ask.field) != ask.value {
				t.Errorf("%s: got %d %q and %s %q, want %+v", url, res.StatusCode, body, ask.field, res.Header.Get(ask.field), ask)
			}
		}
	}
}

// TestConfiguredUpstreamDies: of two upstreams one dies and returns while requests
// come, again and again; none that may be repeated fails.
func TestConfiguredUpstreamDies(t *testing.T) {
	a, b := newOrigin(t, "a"), newOrigin(t, "b")
	p := start(t, nil, "serve", "-c", exampleConfig(t, a, b))
	var asked [8]atomic.Int64 // by each client
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for j, url := range p.urls[:2] {
		scheme, addr, _ := strings.Cut(url, "://")
		c := hostClient(t, addr)
		for i := range 4 {
			own := &asked[4*j+i]
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					path := fmt.Sprintf("/%d/%d", i, n)
					status, body := fetch(t, c, scheme+"://api.example.org"+path)
					if status != 200 || !strings.HasSuffix(body, " api.example.org "+path) {
						t.Errorf("%s: got %d %q", path, status, body)
						return
					}
					own.Add(1)
				}
			})
		}
	}
	// No request lives from one death to the next: who is at the first upstream as it
	// dies, and waits before it goes to the other one, may find that dying too.
	progress := func() {
		for i := range asked {
			for want := asked[i].Load() + 20; asked[i].Load() < want && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	admin := newClient(t)
	healthy := func(o *origin) bool {
		var status struct {
			Upstreams []struct {
				Endpoints []struct{ Address, Why string }
			}
		}
		_, body := fetch(t, admin, p.urls[2]+"/status")
		servetest.Must(t, "status", json.Unmarshal([]byte(body), &status))
		for _, e := range status.Upstreams[0].Endpoints {
			if e.Address == o.addr {
				return !strings.Contains(e.Why, "health check") // ejected it may be: it is the last resort
			}
		}
		return false
	}
	seenUp := func(o *origin) {
		for end := time.Now().Add(patience); !healthy(o) && !t.Failed(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s has not come back", o.addr)
			}
		}
	}
	for range 5 {
		for _, o := range []*origin{a, b} {
			progress()
			o.stop()
			progress()
			o.start()
			seenUp(o) // else there would be nobody when the other one dies
		}
	}
	close(stop)
	wg.Wait()
	p.signal(syscall.SIGTERM)
	if code, stderr := p.wait(); code != ExitClean || t.Failed() {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestConfiguredReload: while requests come the file changes 50 times, for better
// and for worse. No request fails, what is good is served, what is wrong changes
// nothing, and an upstream that stays keeps its connections.
func TestConfiguredReload(t *testing.T) {
	o := newOrigin(t, "a")
	name := exampleConfig(t, o)
	p := start(t, nil, "serve", "-c", name)
	scheme, addr, _ := strings.Cut(p.urls[0], "://")
	c := hostClient(t, addr)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, body := fetch(t, c, scheme+"://api.example.org/x"); status != 200 || body != "a api.example.org /x" {
					t.Errorf("got %d %q", status, body)
					return
				}
			}
		})
	}
	text, err := os.ReadFile(name)
	servetest.Must(t, "the file", err)
	version := func() string {
		_, body := fetch(t, c, scheme+"://api.example.org/version")
		return body
	}
	wait := func(want string) {
		t.Helper()
		for end := time.Now().Add(patience); version() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("version %q, want %q", version(), want)
			}
		}
	}
	for i := range 25 {
		next := fmt.Sprint("v", i)
		write(t, name, strings.Replace(string(text), "{body: one}", "{body: "+next+"}", 1))
		p.signal(syscall.SIGHUP)
		wait(next)
		write(t, name, strings.Replace(string(text), "{body: one}", "{bdoy: two}", 1))
		p.signal(syscall.SIGHUP)
		servetest.Want(t, "after a wrong file", version(), next)
	}
	// What needs a restart is named, and nothing of that file counts.
	write(t, name, strings.NewReplacer("{body: one}", "{body: last}", "listeners:\n", "shutdown: {timeout: 7s}\nlisteners:\n").Replace(string(text)))
	p.signal(syscall.SIGHUP)
	write(t, name, strings.Replace(string(text), "{body: one}", "{body: end}", 1))
	p.signal(syscall.SIGHUP)
	wait("end")
	_, metrics := fetch(t, newClient(t), p.urls[2]+"/metrics")
	if !strings.Contains(metrics, `penstock_upstream_up{address="`+o.addr+`",service="api",target="http://`+o.addr+`"} 1`) {
		t.Error("the upstream is not shown as up")
	}
	close(stop)
	wg.Wait()
	p.signal(syscall.SIGTERM)
	_, stderr := p.wait()
	for _, want := range []string{`unknown key \"bdoy\"; did you mean \"body\"?`, "-> end"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%s is not in the log:\n%s", want, stderr)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	servetest.Must(t, "write", os.WriteFile(name+".new", []byte(text), 0o600))
	servetest.Must(t, "rename", os.Rename(name+".new", name))
}

// TestConfigFileAgainstFlags: addresses are never merged, other flags beat the file.
func TestConfigFileAgainstFlags(t *testing.T) {
	name := exampleConfig(t, newOrigin(t, "a"))
	code, _, stderr := runHere("serve", "-c", name, "--listen", anyPort, "--public-endpoints", "none")
	if code != ExitError || !strings.Contains(stderr, "--listen together with listeners of") || !strings.Contains(stderr, "--public-endpoints is for") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	p := start(t, nil, "serve", "-c", name, "--shutdown-timeout", "20s", "--admin", "off")
	servetest.Want(t, "addresses", len(p.urls), 2)
}

func TestValidateAndShow(t *testing.T) {
	name := exampleConfig(t, newOrigin(t, "a"))
	code, stdout, stderr := runHere("validate", "-c", name)
	if code != ExitClean || !strings.Contains(stdout, "is good") || stderr != "" {
		t.Errorf("validate: exit %d, %q, %q", code, stdout, stderr)
	}
	text, err := os.ReadFile(name)
	servetest.Must(t, "read", err)
	for _, effective := range []string{"", "--effective"} {
		args := strings.Fields("config show -c " + name + " " + effective)
		code, stdout, _ = runHere(args...)
		if code != ExitClean || !strings.Contains(stdout, "# file:2") || strings.Contains(stdout, "# default") != (effective != "") {
			t.Errorf("%v: exit %d, %q", args, code, stdout)
		}
		write(t, name, stdout)
		if code, _, stderr = runHere("validate", "-c", name); code != ExitClean {
			t.Errorf("what %v shows is not valid: %s", args, stderr)
		}
	}
	write(t, name, strings.Replace(string(text), "prefix: /assets/", "path: /", 1)+"\nfoo: 1\n")
	code, stdout, _ = runHere("validate", "-c", name, "--json")
	if code != ExitError || !strings.Contains(stdout, `"what": "unknown key \"foo\""`) || !strings.Contains(stdout, `"line"`) {
		t.Errorf("validate --json: exit %d, %s", code, stdout)
	}
	if code, stdout, _ = runHere("config", "schema"); code != ExitClean || !strings.Contains(stdout, "2020-12/schema") {
		t.Errorf("config schema: exit %d, %q", code, stdout)
	}
}

// TestValidateDescriptors: more connections than the user has descriptors for are
// told of, and no error.
func TestValidateDescriptors(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.yaml")
	for n, told := range map[string]bool{"1": false, "999999999": true, "off": false} {
		write(t, name, "version: 1\nlimits: {connections: "+n+"}\n")
		code, _, stderr := runHere("validate", "-c", name)
		if code != ExitClean || strings.Contains(stderr, "ulimit -n") != told {
			t.Errorf("%s: exit %d, %q", n, code, stderr)
		}
	}
}

// TestRouteConflict: two routes that a request could be meant for are an error of
// validate.
func TestRouteConflict(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.yaml")
	write(t, name, "version: 1\nhosts: [{names: [a], routes: [{id: x, match: {path: /}, respond: {}}, {id: y, match: {path: /}, respond: {}}]}]\n")
	if code, _, stderr := runHere("validate", "-c", name); code != ExitError || !strings.Contains(stderr, `for "x"`) {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// dialOnly connects to addr, whoever is asked for.
func dialOnly(addr string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
}
