//go:build unix

package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// browserPatience bounds one run of the browser, on a slow machine under load.
const browserPatience = 90 * time.Second

// browserScripts is how many resources a page of the test has beside itself:
// more than a browser asks for before the first is answered.
const browserScripts = 120

// manyPage shows how many of its scripts ran, and how much of a POST arrived.
// Browsers dump the document after the last of them.
func manyPage(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "<!doctype html><html><body><script>ran = 0</script>\n")
	for i := range browserScripts {
		_, _ = fmt.Fprintf(w, "<script async src=\"/script?%d\"></script>\n", i)
	}
	_, _ = io.WriteString(w, `<script>
const post = new XMLHttpRequest();
post.open("POST", "/length", false);
post.send("x".repeat(300000));
onload = () => { document.body.append("ran=" + ran + " posted=" + post.responseText + " over=" + performance.getEntriesByType("navigation")[0].nextHopProtocol); };
</script></body></html>`)
}

// browserHandler is the embedded site with a page of many requests beside it.
func browserHandler(t *testing.T, life *lifecycle) http.Handler {
	t.Helper()
	site, err := newSite(life)
	servetest.Must(t, "the embedded site", err)
	mux := http.NewServeMux()
	mux.Handle("/", site)
	mux.HandleFunc("/many", manyPage)
	mux.HandleFunc("/script", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "ran++;")
	})
	mux.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%d,%v", n, err)
	})
	return mux
}

// browserSite is a server in this process that notes the requests it gets.
type browserSite struct {
	url, authority string
	spki           string // what a browser calls the certificate's key

	mu   sync.Mutex // guards the following
	seen []string   // "HTTP/3.0 GET /"
}

// startBrowserSite serves until the test ends, and then looks at the end.
func startBrowserSite(t *testing.T) *browserSite {
	t.Helper()
	certFile, keyFile := writePair(t)
	pair, err := certs.LoadPair(certFile, keyFile)
	servetest.Must(t, "load the certificate", err)
	sum := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
	s := &browserSite{spki: base64.StdEncoding.EncodeToString(sum[:])}

	o, err := parse(t, oneLinerDefaults, "--http3", "--tls-listen", anyPort, "--tls-cert-file", certFile, "--tls-private-key-file", keyFile)
	servetest.Must(t, "flags", err)
	var log bytes.Buffer
	life := &lifecycle{log: slog.New(slog.NewTextHandler(&log, nil))}
	h := browserHandler(t, life)
	noting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Proto+" "+r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	})
	p, err := o.Complete().Prepare(t.Context(), noting, life)
	servetest.Must(t, "prepare", err)
	s.url = p.secure[0].url("https")
	s.authority = strings.TrimPrefix(s.url, "https://")

	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.Run(stop, io.Discard) }()
	t.Cleanup(func() {
		close(stop)
		err := <-ended
		if err != nil || field(t, log.String(), "cut") != "0" || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("the server ended with %v and logged\n%s", err, log.String())
		}
	})
	return s
}

// requests are those since the last call.
func (s *browserSite) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

// findBrowser is the path of a Chromium.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED: no chromium, chromium-browser or google-chrome in PATH (Debian: apt-get install -y chromium)")
	return ""
}

// errPageLoad: the browser ran well, but did not get the page.
var errPageLoad = errors.New("the page was not loaded")

// dump is the document that the browser made of a page. A browser that ends
// badly, or does not end, gets a second chance: machines without a display,
// short of memory or busy fail it now and then. The server gets none.
func (s *browserSite) dump(t *testing.T, browser, path string) string {
	t.Helper()
	dom, err := s.runBrowser(t, browser, path)
	if err != nil && !errors.Is(err, errPageLoad) {
		t.Logf("the browser is started again: %v", err)
		s.requests()
		dom, err = s.runBrowser(t, browser, path)
	}
	servetest.Must(t, "run the browser", err)
	return dom
}

func (s *browserSite) runBrowser(t *testing.T, browser, path string) (dom string, err error) {
	t.Helper()
	// Files, not pipes: what the browser leaves behind would keep pipes open.
	dir := t.TempDir()
	stdout, err := os.Create(filepath.Join(dir, "stdout"))
	servetest.Must(t, "create a file", err)
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	servetest.Must(t, "create a file", err)
	defer stderr.Close()

	ctx, cancel := context.WithTimeout(t.Context(), browserPatience)
	defer cancel()
	profile := filepath.Join(dir, "profile")
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--user-data-dir="+profile,
		"--ignore-certificate-errors-spki-list="+s.spki, "--origin-to-force-quic-on="+s.authority,
		"--dump-dom", s.url+path)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with all its children one group
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // children that are still there
	}
	// Those may make files for a moment yet, and the test's own clean-up tries once.
	servetest.WantSoon(t, "the browser's files can be removed", func() bool { return os.RemoveAll(profile) == nil })
	text, readErr := os.ReadFile(stdout.Name())
	servetest.Must(t, "read the document", readErr)
	said := complaints(t, stderr.Name())
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w\n%s", browser, errors.Join(err, context.Cause(ctx)), said)
	case strings.Contains(said, "Page load failed"):
		err = fmt.Errorf("%w: %s", errPageLoad, said)
	case len(bytes.TrimSpace(text)) == 0:
		err = fmt.Errorf("%s wrote no document\n%s", browser, said)
	}
	return string(text), err
}

// complaints is what the browser wrote to stderr, without its search for a
// desktop.
func complaints(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	servetest.Must(t, "read the browser's stderr", err)
	lines := slices.Collect(strings.Lines(string(text)))
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, ":ERROR:dbus/") }), "")
}

// TestBrowserHTTP3: a browser takes the site, and a page with many requests,
// over HTTP/3 alone.
func TestBrowserHTTP3(t *testing.T) {
	browser := findBrowser(t)
	s := startBrowserSite(t)
	for _, test := range []struct {
		name, path string
		want       string         // in the document
		requests   map[string]int // of which there are at least so many
	}{
		{"site", "/", "<h1>penstock is running</h1>", map[string]int{"HTTP/3.0 GET /": 1}},
		{"no page", "/none", "There is no page at this address.", map[string]int{"HTTP/3.0 GET /none": 1}},
		{
			"many requests", "/many", fmt.Sprintf("ran=%d posted=300000,&lt;nil&gt; over=h3", browserScripts),
			map[string]int{"HTTP/3.0 GET /many": 1, "HTTP/3.0 GET /script": browserScripts, "HTTP/3.0 POST /length": 1},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dom := s.dump(t, browser, test.path)
			if !strings.Contains(dom, test.want) {
				t.Errorf("%q is not in the document\n%s", test.want, dom)
			}
			seen := s.requests()
			for request, least := range test.requests {
				n := 0
				for _, r := range seen {
					if r == request {
						n++
					}
				}
				if n < least {
					t.Errorf("%d times %s, want %d or more", n, request, least)
				}
			}
			if i := slices.IndexFunc(seen, func(r string) bool { return !strings.HasPrefix(r, "HTTP/3.0 ") }); i >= 0 {
				t.Errorf("a request that did not come over HTTP/3: %s", seen[i])
			}
		})
	}
}
