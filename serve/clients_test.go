package serve_test

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Clients that others wrote, over every form. Each is skipped, loudly, where it
// is not installed.

// tool finds a program, or skips the test.
func tool(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: %s is not installed (Debian: apt-get install %s)\n", t.Name(), name, debianPackage)
		t.Skipf("%s is not installed (Debian: apt-get install %s)", name, debianPackage)
	}
	return path
}

// run runs a program to its end and returns what it wrote, to both outputs.
func run(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(path), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// forClients runs f for each form with a server that tells what it was asked.
func forClients(t *testing.T, f func(t *testing.T, r *running)) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, forClient, form.secure, serve.ServerOptions{EventLoop: form.loop})
			f(t, r)
			servetest.Want(t, "violations that the server saw", r.Stats().ProtocolErrors, 0)
			servetest.Want(t, "messages that it found malformed", r.Stats().Malformed, 0)
			r.stop(t)
		})
	}
}

// forClient answers with the protocol, the sum of the body and its trailers; on
// /bytes/n with n bytes.
func forClient(w http.ResponseWriter, r *http.Request) {
	if n, ok := strings.CutPrefix(r.URL.Path, "/bytes/"); ok {
		size, _ := strconv.ParseInt(n, 10, 64)
		io.CopyN(w, pattern(int(size)), size)
		return
	}
	n, digest, err := sum(r.Body)
	fmt.Fprintf(w, "%s %s %d %s %v trailer %s\n", r.Proto, r.Method, n, digest, err, fields(r.Trailer))
}

// answerTo is what forClient answers to a request with that body.
func answerTo(proto, method string, body []byte, trailer http.Header) string {
	return fmt.Sprintf("%s %s %d %x <nil> trailer %s\n", proto, method, len(body), sha256.Sum256(body), fields(trailer))
}

// upload writes a file of n bytes.
func upload(t *testing.T, n int) (name string, content []byte) {
	t.Helper()
	content, _ = io.ReadAll(pattern(n))
	name = filepath.Join(t.TempDir(), "upload")
	servetest.Must(t, "the file", os.WriteFile(name, content, 0o600))
	return name, content
}

func TestClientCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	if !strings.Contains(run(t, curl, "--version"), "HTTP2") {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: this curl has no HTTP/2\n", t.Name())
		t.Skip("this curl has no HTTP/2")
	}
	const fiveMB = 5 << 20
	file, content := upload(t, fiveMB)
	cert, _ := testCert()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	servetest.Must(t, "the certificate", os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600))
	forClients(t, func(t *testing.T, r *running) {
		url := strings.Replace(r.url(), "127.0.0.1", "localhost", 1)
		base := []string{"--silent", "--show-error", "--ipv4", "--noproxy", "*", "--cacert", ca, "--write-out", "%{http_version} %{http_code}"}
		versions := []struct{ flag, proto, version string }{
			{"--http2", "HTTP/2.0", "2"},
			{"--http1.1", "HTTP/1.1", "1.1"},
		}
		if !r.secure {
			versions[0].flag = "--http2-prior-knowledge"
		}
		for _, v := range versions {
			ask := func(why, want string, args ...string) string {
				t.Helper()
				out := run(t, curl, append(append(base, v.flag, url+"/"), args...)...)
				if !strings.HasSuffix(out, want+v.version+" 200") {
					t.Errorf("%s %s: %q, want it to end in %q", v.flag, why, out, want+v.version+" 200")
				}
				return out
			}
			ask("GET", answerTo(v.proto, "GET", nil, nil))
			if v.flag != "--http2-prior-knowledge" { // its second request fails with net/http's server too (curl 7.88)
				ask("two on a connection", answerTo(v.proto, "GET", nil, nil), url+"/2")
			}
			ask("upload", answerTo(v.proto, "PUT", content, nil), "--upload-file", file)
			out := ask("expectation", answerTo(v.proto, "PUT", content, nil), "--upload-file", file, "--header", "Expect: 100-continue", "--verbose")
			if !regexp.MustCompile(`< HTTP/[\d.]+ 100`).MatchString(out) {
				t.Errorf("%s: no 100 was sent:\n%s", v.flag, out)
			}
		}
	})
}

// errorCodes are those of GOAWAY and RST_STREAM in nghttp's log, of both sides.
var errorCodes = regexp.MustCompile(`error_code=(\w+)`)

func TestClientNghttp(t *testing.T) {
	nghttp := tool(t, "nghttp", "nghttp2-client")
	file, content := upload(t, 300_000)
	for _, test := range []struct {
		name, path string
		args       []string
		want       []string // in its log
	}{
		{name: "get", path: "/", want: []string{answerTo("HTTP/2.0", "GET", nil, nil)}},
		{name: "many", path: "/", args: []string{"-m", "50"}},
		{name: "large answer", path: "/bytes/1000000"},
		{name: "tiny windows", path: "/bytes/500", args: []string{"-w", "1", "-W", "1"}},
		{name: "small windows", path: "/bytes/100000", args: []string{"-w", "10", "-W", "10"}},
		{name: "padding", path: "/", args: []string{"-b", "200", "-d", file}, want: []string{answerTo("HTTP/2.0", "POST", content, nil)}},
		{
			name: "trailer", path: "/", args: []string{"-d", file, "--trailer", "x-sum: 42"},
			want: []string{answerTo("HTTP/2.0", "POST", content, http.Header{"X-Sum": {"42"}})},
		},
		{
			name: "expectation", path: "/", args: []string{"-d", file, "--expect-continue"},
			want: []string{":status: 100", answerTo("HTTP/2.0", "POST", content, nil)},
		},
		{name: "many header blocks", path: "/", args: []string{"--continuation", "-H", "x-long: " + strings.Repeat("long", 1000)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			forClients(t, func(t *testing.T, r *running) {
				args := append([]string{"-v", "--no-verify-peer"}, test.args...)
				if strings.HasPrefix(test.path, "/bytes/") {
					args = append(args, "-n")
				}
				out := run(t, nghttp, append(args, r.url()+test.path)...)
				for _, want := range append(test.want, ":status: 200") {
					if !strings.Contains(out, want) {
						t.Errorf("nghttp's log lacks %q:\n%.4000s", want, out)
					}
				}
				for _, m := range errorCodes.FindAllStringSubmatch(out, -1) {
					if m[1] != "NO_ERROR" {
						t.Errorf("%s, want NO_ERROR alone:\n%.4000s", m[0], out)
					}
				}
			})
		})
	}
}

func TestClientH2load(t *testing.T) {
	h2load := tool(t, "h2load", "nghttp2-client")
	const requests = 20_000
	summary := fmt.Sprintf("requests: %d total, %[1]d started, %[1]d done, %[1]d succeeded, 0 failed, 0 errored, 0 timeout", requests)
	forClients(t, func(t *testing.T, r *running) {
		out := run(t, h2load, "-n", strconv.Itoa(requests), "-c", "10", "-m", "32", r.url()+"/")
		if !strings.Contains(out, summary) {
			t.Errorf("h2load says\n%s, want %q", out, summary)
		}
		servetest.Want(t, "requests that the server answered", r.Stats().Requests, requests)
	})
}
