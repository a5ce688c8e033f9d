package app

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// startUpstreamNginx is a real upstream: files, ranges and gzip of a directory.
func startUpstreamNginx(t *testing.T, root string) (addr string) {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		if bin = "/usr/sbin/nginx"; !exists(bin) {
			t.Skip("SKIPPED: no nginx here; install Debian's package to run this test")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "a port", err)
	addr = l.Addr().String()
	l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http { access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
gzip on; gzip_types application/octet-stream; gzip_proxied any;
server { listen %[2]s; root %[3]s; location = /sized { return 200 "nginx"; } } }`, dir, addr, root)
	servetest.Must(t, "configuration", os.WriteFile(conf, []byte(text), 0o600))
	cmd := exec.Command(bin, "-c", conf, "-e", filepath.Join(dir, "start.log"))
	servetest.Must(t, "start nginx", cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// TestProxyNginx: what nginx answers comes through as it is, over both versions.
func TestProxyNginx(t *testing.T) {
	root := t.TempDir()
	data := make([]byte, 3<<20)
	_, _ = rand.Read(data)
	servetest.Must(t, "a file", os.WriteFile(filepath.Join(root, "data"), data, 0o600))
	servetest.Must(t, "readable", os.Chmod(root, 0o755))
	servetest.Must(t, "readable", os.Chmod(filepath.Join(root, "data"), 0o644))
	addr := startUpstreamNginx(t, root)
	p := start(t, nil, "reverse-proxy", "--to", "http://"+addr, "--listen", anyPort, "--tls-listen", anyPort)
	ask := func(c *http.Client, url string, fields ...string) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		servetest.Must(t, "request", err)
		req.Header.Set("Accept-Encoding", "identity")
		for i := 0; i+1 < len(fields); i += 2 {
			req.Header.Set(fields[i], fields[i+1])
		}
		res, err := c.Do(req)
		servetest.Must(t, url, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		servetest.Must(t, url, err)
		return res, body
	}
	for _, url := range p.urls {
		c := newClient(t)
		for _, c := range []*http.Client{c, newHTTP2OrOne(t)} {
			for _, fields := range [][]string{nil, {"Range", "bytes=5-1000000"}, {"Range", "bytes=0-1,5-9"}, {"Accept-Encoding", "gzip"}, {"If-Modified-Since", "Mon, 02 Jan 2106 15:04:05 GMT"}} {
				for range 3 {
					want, wantBody := ask(newClient(t), "http://"+addr+"/data", fields...)
					got, body := ask(c, url+"/data", fields...)
					same := bytes.Equal(body, wantBody) || len(fields) > 0 && fields[1] == "bytes=0-1,5-9" && len(body) == len(wantBody)
					if got.StatusCode != want.StatusCode || !same || got.Header.Get("Etag") != want.Header.Get("Etag") || got.Header.Get("Content-Encoding") != want.Header.Get("Content-Encoding") {
						t.Errorf("%s %v: got %d, %d bytes, want %d, %d", url, fields, got.StatusCode, len(body), want.StatusCode, len(wantBody))
					}
				}
			}
			_, body := ask(c, url+"/sized")
			servetest.Want(t, "text", string(body), "nginx")
			res, _ := ask(c, url+"/none")
			servetest.Want(t, "none", res.StatusCode, 404)
		}
	}
}

// newHTTP2OrOne is a client that takes what TLS agrees on.
func newHTTP2OrOne(t *testing.T) *http.Client {
	c := newClient(t)
	tr := c.Transport.(*http.Transport).Clone()
	tr.ForceAttemptHTTP2 = true
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}
