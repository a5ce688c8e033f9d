package app_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/cmd/penstock/app"
	"github.com/penstock-edge/penstock/serve/servetest"
)

func newHTTP3Client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport, Timeout: app.Patience}
}

func newHTTP2Client(t *testing.T) *http.Client {
	c := app.NewClient(t)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	return c
}

// get is a request with its answer's body read.
func get(t *testing.T, c *http.Client, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	servetest.Must(t, url, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	servetest.Must(t, url, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	servetest.Must(t, url+": its body", err)
	return resp, body
}

func wantCleanExit(t *testing.T, p *app.Process) {
	t.Helper()
	app.Signal(p, syscall.SIGTERM)
	if code, stderr := app.Wait(p); code != app.ExitClean || app.Field(t, stderr, "cut") != "0" || strings.Contains(stderr, "level=ERROR") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// waitReady waits for /readyz: the addresses are announced by a hook, which is one
// of its checks.
func waitReady(t *testing.T, base string) {
	t.Helper()
	client := app.NewClient(t)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		resp, body := get(t, client, base+"/readyz")
		if resp.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not ready: %s", body)
		}
	}
}

// One site on each port, in three versions.
func TestServeHTTP3(t *testing.T) {
	p := app.Start(t, nil, "serve", "--http3", "--tls-listen", app.AnyPort, "--tls-listen", app.AnyPort, "--admin", "off")
	urls := p.URLs()
	servetest.Want(t, "addresses", len(urls), 2)
	waitReady(t, urls[0])
	for _, base := range urls {
		for version, client := range map[int]*http.Client{1: app.NewClient(t), 2: newHTTP2Client(t), 3: newHTTP3Client(t)} {
			for path, want := range map[string]string{"/": "penstock is running", "/version": `"go": "go1.`, "/readyz": "ok"} {
				resp, body := get(t, client, base+path)
				if resp.ProtoMajor != version || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
					t.Errorf("%s%s with HTTP/%d: %s %s %.80q", base, path, version, resp.Proto, resp.Status, body)
				}
			}
			resp, _ := get(t, client, base+"/none")
			servetest.Want(t, "status of no page", resp.StatusCode, http.StatusNotFound)
			if version < 3 {
				wantAltSvc(t, client, base)
			}
		}
	}
	wantCleanExit(t, p)
}

// wantAltSvc waits for the field, with the port of base: the addresses are
// announced when the first of them may be served already.
func wantAltSvc(t *testing.T, client *http.Client, base string) {
	t.Helper()
	u, err := url.Parse(base)
	servetest.Must(t, "announced address", err)
	want := fmt.Sprintf(`h3=":%s"; ma=86400`, u.Port())
	var got []string
	servetest.WantSoon(t, base+" tells of HTTP/3", func() bool {
		resp, _ := get(t, client, base)
		got = resp.Header.Values("Alt-Svc")
		return len(got) == 1 && got[0] == want
	})
	if t.Failed() {
		t.Fatalf("Alt-Svc %q, want %q", got, want)
	}
}

// Who did not ask for HTTP/3 is not told of it.
func TestNoAltSvcWithoutHTTP3(t *testing.T) {
	p := app.Start(t, nil, "respond", "--tls-listen", app.AnyPort)
	resp, _ := get(t, newHTTP2Client(t), p.URLs()[0])
	servetest.Want(t, "Alt-Svc", resp.Header.Get("Alt-Svc"), "")
}

func TestHTTP3BesideOtherFlags(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
	}{
		{"portable", []string{"--event-loop", "off", "--listeners", "1"}},
		{"four sockets", []string{"--listeners", "4"}},
		{"HTTP/1.1 off", []string{"--disable-http1-serving"}},
		{"HTTP/2 off", []string{"--disable-http2-serving"}},
		{"unix socket", []string{"--tls-listen", "unix:" + filepath.Join(t.TempDir(), "s")}},
		{"plain HTTP", []string{"--listen", app.AnyPort}},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []string{"respond", "--http3", "--tls-listen", app.AnyPort, "--body", "hi", "--header", "X-A: 1", "--status", "418"}
			p := app.Start(t, nil, append(args, test.args...)...)
			client := newHTTP3Client(t)
			for _, base := range p.URLs() {
				if !strings.HasPrefix(base, "https://") {
					continue
				}
				resp, err := client.Post(base+"/any?x=y", "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
				servetest.Must(t, "POST of 100 KB", err)
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.ProtoMajor != 3 || resp.StatusCode != 418 || string(body) != "hi" || resp.Header.Get("X-A") != "1" {
					t.Errorf("%s: %s %s %q %v %v", base, resp.Proto, resp.Status, body, resp.Header, err)
				}
			}
			wantCleanExit(t, p) // with idle connections
		})
	}
}

func TestFileServerHTTP3(t *testing.T) {
	content := make([]byte, 1_000_000)
	random := rand.NewChaCha8([32]byte{3})
	_, _ = random.Read(content) // never fails
	dir := t.TempDir()
	servetest.Must(t, "write the file", os.WriteFile(filepath.Join(dir, "1m.bin"), content, 0o600))
	p := app.Start(t, nil, "file-server", "--http3", "--root", dir, "--tls-listen", app.AnyPort)
	client, base := newHTTP3Client(t), p.URLs()[0]

	for _, test := range []struct {
		name, value  string
		status       int
		want         []byte
		contentRange string
	}{
		{"whole", "", 200, content, ""},
		{"middle", "bytes=123456-654321", 206, content[123456:654322], "bytes 123456-654321/1000000"},
		{"end", "bytes=-5", 206, content[999995:], "bytes 999995-999999/1000000"},
		{"beyond", "bytes=1000000-", 416, nil, "bytes */1000000"},
	} {
		var header []string
		if test.value != "" {
			header = []string{"Range", test.value}
		}
		resp, body := get(t, client, base+"/1m.bin", header...)
		servetest.Want(t, test.name+": version", resp.ProtoMajor, 3)
		servetest.Want(t, test.name+": status", resp.StatusCode, test.status)
		servetest.Want(t, test.name+": Content-Range", resp.Header.Get("Content-Range"), test.contentRange)
		if test.want != nil && !bytes.Equal(body, test.want) {
			t.Errorf("%s: %d bytes that are not the file's, want %d", test.name, len(body), len(test.want))
		}
	}
	resp, _ := get(t, client, base+"/none")
	servetest.Want(t, "status of no file", resp.StatusCode, http.StatusNotFound)
	wantCleanExit(t, p)
}

// inFlightHTTP3 is inFlight over HTTP/3; the answer, or the error, comes later.
func inFlightHTTP3(t *testing.T, url string) <-chan string {
	t.Helper()
	body, rest := io.Pipe()
	t.Cleanup(func() { _ = rest.Close() })
	working := make(chan struct{}) // the 100 tells that the handler reads the body
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(working) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	servetest.Must(t, url, err)
	r.Header.Set("Expect", "100-continue")
	client, answer := newHTTP3Client(t), make(chan string, 1)
	go func() {
		resp, err := client.Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer <- fmt.Sprintf("%s %d %s %v", resp.Proto, resp.StatusCode, body, err)
	}()
	select {
	case <-working:
	case got := <-answer:
		t.Fatalf("answered before the body: %s", got)
	case <-time.After(app.Patience):
		t.Fatal("the handler does not ask for the body")
	}
	_, err = rest.Write([]byte("ok"))
	servetest.Must(t, "send the body", err)
	servetest.Must(t, "end the body", rest.Close())
	return answer
}

func TestHTTP3RequestsInFlightAreFinished(t *testing.T) {
	p := app.Start(t, nil, "respond", "--http3", "--tls-listen", app.AnyPort, "--body", "late", "--delay", "2s")
	answer := inFlightHTTP3(t, p.URLs()[0])
	app.Signal(p, syscall.SIGTERM)
	servetest.Want(t, "the answer", <-answer, "HTTP/3.0 200 late <nil>")
	if code, stderr := app.Wait(p); code != app.ExitClean || app.Field(t, stderr, "finished") != "1" || app.Field(t, stderr, "cut") != "0" {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestDeadlineCutsHTTP3AndExits3(t *testing.T) {
	p := app.Start(t, nil, "respond", "--http3", "--tls-listen", app.AnyPort, "--delay", "10m", "--shutdown-timeout", "500ms")
	answer := inFlightHTTP3(t, p.URLs()[0])
	app.Signal(p, syscall.SIGTERM)
	code, stderr := app.Wait(p)
	if code != app.ExitCut || app.Field(t, stderr, "finished") != "0" || app.Field(t, stderr, "cut") != "1" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if got := <-answer; strings.Contains(got, "200") {
		t.Errorf("answered %s", got)
	}
}

// curl is another implementation, where it is built with HTTP/3.
func TestCurlHTTP3(t *testing.T) {
	about, err := exec.Command("curl", "--version").Output()
	if err != nil {
		t.Skipf("SKIPPED: curl is not installed (Debian: apt-get install -y curl): %v", err)
	}
	if !strings.Contains(string(about), "HTTP3") {
		version, _, _ := strings.Cut(string(about), "(")
		t.Skipf("SKIPPED: %sis built without HTTP/3 (curl of Debian 13 has it)", version)
	}
	p := app.Start(t, nil, "serve", "--http3", "--tls-listen", app.AnyPort, "--admin", "off")
	out, err := exec.Command("curl", "--http3-only", "-k", "-s", "-S", "--max-time", "30", "-w", "\n%{http_version} %{http_code}", p.URLs()[0]).CombinedOutput()
	servetest.Must(t, "curl: "+string(out), err)
	servetest.Want(t, "curl got the site", strings.Contains(string(out), "penstock is running"), true)
	servetest.Want(t, "curl's version and status", string(out[bytes.LastIndexByte(out, '\n')+1:]), "3 200")
	wantCleanExit(t, p)
}
