package app

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestFrontExample: the example of the specification, with other addresses and
// folders, serves what it says.
func TestFrontExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "config", "testdata", "front.yaml"))
	servetest.Must(t, "the example", err)
	dir := t.TempDir()
	ca, partners := newTestAuthority(t, dir, "ca"), newTestAuthority(t, dir, "partners")
	ca.issue(dir, "www", "www.example.org", "example.org")
	ca.issue(dir, "api", "api.example.org")
	partner := partners.issue(dir, "partner")
	for name, content := range map[string]string{"index.html": "index", "404.html": "lost", "app.css": "plain", "app.css.gz": "zipped"} {
		servetest.Must(t, name, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	servetest.Must(t, "assets", os.MkdirAll(filepath.Join(dir, "assets"), 0o700))
	servetest.Must(t, "asset", os.WriteFile(filepath.Join(dir, "assets", "app.css"), []byte("plain"), 0o600))
	o, p := newOrigin(t, "a"), newOrigin(t, "b")
	name := filepath.Join(dir, "penstock.yaml")
	write(t, name, strings.NewReplacer(
		`":80"`, `"`+freeAddress(t)+`"`, `":443"`, `"`+freeAddress(t)+`"`, "127.0.0.1:9901", "127.0.0.1:0",
		"/run/penstock", dir, "/var/log/penstock", dir, "/etc/penstock", dir, "/srv/www", dir,
		"10.0.1.11:8080", o.addr, "10.0.1.12:8080", p.addr, "delay: 5s", "delay: 50ms",
	).Replace(string(text)))
	e := start(t, nil, "serve", "-c", name)
	_, secure, _ := strings.Cut(e.urls[0], "://")
	_, web, _ := strings.Cut(e.urls[1], "://")
	ask := func(scheme, addr, host, path string, certs ...tls.Certificate) string {
		t.Helper()
		tr := &http.Transport{DialContext: dialOnly(addr), ForceAttemptHTTP2: true, TLSClientConfig: insecure(host)}
		tr.TLSClientConfig.Certificates = certs
		defer tr.CloseIdleConnections()
		r, err := http.NewRequest(http.MethodGet, scheme+"://"+host+path, http.NoBody)
		servetest.Must(t, "request", err)
		res, err := tr.RoundTrip(r)
		if err != nil {
			return "refused"
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		servetest.Must(t, "read", err)
		if to := res.Header.Get("Location"); to != "" {
			return fmt.Sprint(res.StatusCode, " ", to)
		}
		return fmt.Sprint(res.StatusCode, " ", string(b), " ", res.Header.Get("Strict-Transport-Security"), res.Header.Get("Cache-Control"))
	}
	for _, c := range []struct{ got, want string }{
		{ask("http", web, "www.example.org", "/a?b"), "308 https://www.example.org/a?b"},
		{ask("http", web, "other.example.org", "/"), "421 "},
		{ask("https", secure, "other.example.org", "/"), "refused"},
		{ask("https", secure, "www.example.org", "/"), "200 index max-age=31536000"},
		{ask("https", secure, "www.example.org", "/none"), "404 lost"},
		{ask("https", secure, "www.example.org", "/blog/x"), "301 https://blog.example.org/blog/x"},
		{ask("https", secure, "www.example.org", "/assets/app.css"), "200 plain max-age=31536000public, max-age=31536000"},
		{ask("https", secure, "example.org", "/x"), "308 https://www.example.org/x"},
		{ask("https", secure, "api.example.org", "/v1"), "refused"},
	} {
		if !strings.HasPrefix(c.got, c.want) {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	// The two origins answer 404 to no check: their every path is good.
	if got := ask("https", secure, "api.example.org", "/v1", partner); !strings.Contains(got, " api.example.org /v1") {
		t.Errorf("a partner's request: %q", got)
	}
	tr := &http.Transport{DialContext: dialOnly(secure), ForceAttemptHTTP2: true, TLSClientConfig: insecure("api.example.org")}
	tr.TLSClientConfig.Certificates = []tls.Certificate{partner}
	defer tr.CloseIdleConnections()
	seen := make(map[int]int)
	for range 150 {
		r, err := http.NewRequest(http.MethodGet, "https://api.example.org/v1", http.NoBody)
		servetest.Must(t, "request", err)
		res, err := tr.RoundTrip(r)
		servetest.Must(t, "ask", err)
		res.Body.Close()
		seen[res.StatusCode]++
	}
	if seen[http.StatusTooManyRequests] == 0 && seen[http.StatusOK] < 150 || seen[http.StatusOK] < 99 {
		t.Errorf("answers by status %v, want the rate of 50 a second behind 100 at once", seen)
	}
	servetest.WantSoon(t, "the access log", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "access.json"))
		return strings.Contains(string(b), `"route":"assets"`)
	})
	info, err := os.Stat(filepath.Join(dir, "admin.sock"))
	servetest.Must(t, "the admin socket", err)
	servetest.Want(t, "its mode", info.Mode().Perm(), 0o600)
	status, _ := fetch(t, newClient(t), e.urls[2]+"/debug/pprof/")
	servetest.Want(t, "profiles", status, http.StatusOK)
	servetest.Want(t, "over HTTP/3", askHTTP3As(t, secure, "www.example.org", insecure("www.example.org")), "index")
}
