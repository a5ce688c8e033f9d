package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// ask sends a request with fields, given as name and value, and reads the answer.
func ask(t *testing.T, c *http.Client, method, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	servetest.Must(t, url, err)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.Do(r)
	servetest.Must(t, url, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	servetest.Must(t, url+": its body", err)
	return resp, string(body)
}

func wantExit(t *testing.T, p *process, want int) (stderr string) {
	t.Helper()
	p.signal(syscall.SIGTERM)
	code, stderr := p.wait()
	if code != want {
		t.Errorf("exit %d, want %d: %s", code, want, stderr)
	}
	return stderr
}

func TestMaxRequestsInFlight(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--delay", "10m", "--max-mutating-requests-inflight", "1", "--shutdown-timeout", "500ms")
	inFlight(t, p.urls[0]) // a POST
	resp, _ := ask(t, newClient(t), http.MethodPost, p.urls[0])
	servetest.Want(t, "the second POST", resp.StatusCode, http.StatusTooManyRequests)
	servetest.Want(t, "Retry-After", resp.Header.Get("Retry-After"), "1")
	wantExit(t, p, ExitCut)
}

func TestHSTSAndCORS(t *testing.T) {
	for _, command := range []string{"serve", "respond"} {
		p := start(
			t, nil, command, "--tls-listen", anyPort, "--listen", anyPort, "--admin", "off",
			"--strict-transport-security-directives", "max-age=300,includeSubDomains", "--cors-allowed-origins", `^https://app\.example$`,
		)
		client, secure, plain := newClient(t), p.urls[0], p.urls[1]
		resp, _ := ask(t, client, http.MethodGet, secure+"/version", "Origin", "https://app.example")
		servetest.Want(t, command+": HSTS", resp.Header.Get("Strict-Transport-Security"), "max-age=300; includeSubDomains")
		servetest.Want(t, command+": the origin may read", resp.Header.Get("Access-Control-Allow-Origin"), "https://app.example")
		resp, _ = ask(t, client, http.MethodGet, plain+"/version", "Origin", "https://app.example.evil.example")
		servetest.Want(t, command+": no HSTS in the clear", resp.Header.Get("Strict-Transport-Security"), "")
		servetest.Want(t, command+": another origin", resp.Header.Get("Access-Control-Allow-Origin"), "")
		resp, _ = ask(t, client, http.MethodOptions, plain+"/", "Origin", "https://app.example", "Access-Control-Request-Method", "PUT")
		servetest.Want(t, command+": preflight", resp.StatusCode, http.StatusNoContent)
	}
}

// respond without such flags answers as it always has.
func TestRespondHasNoStages(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--body", "x")
	resp, _ := ask(t, newClient(t), http.MethodGet, p.urls[0]+"/readyz?timeout=nonsense", "Origin", "https://app.example")
	servetest.Want(t, "status", resp.StatusCode, http.StatusOK)
	for _, name := range []string{"X-Request-Id", "Vary", "Cache-Control", "Access-Control-Allow-Origin"} {
		servetest.Want(t, name, resp.Header.Get(name), "")
	}
}

func TestDefaultChain(t *testing.T) {
	p := start(t, nil, "serve", "--listen", anyPort, "--admin", "off")
	resp, _ := ask(t, newClient(t), http.MethodGet, p.urls[0]+"/version", "X-Request-Id", "mine-1")
	servetest.Want(t, "request id", resp.Header.Get("X-Request-Id"), "mine-1")
	servetest.Want(t, "built-in answers are not kept", resp.Header.Get("Cache-Control"), "no-cache, private")
	resp, _ = ask(t, newClient(t), http.MethodGet, p.urls[0]+"/version?timeout=nonsense")
	servetest.Want(t, "a bad ?timeout=", resp.StatusCode, http.StatusBadRequest)
}

func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	servetest.Must(t, "write tokens", os.WriteFile(file, []byte("s3cret,ann,1\n"), 0o600))
	p := start(t, nil, "serve", "--listen", anyPort, "--admin", "off", "--token-auth-file", file)
	status := func(path string, fields ...string) int {
		resp, _ := ask(t, newClient(t), http.MethodGet, p.urls[0]+path, fields...)
		return resp.StatusCode
	}
	servetest.Want(t, "no token", status("/version"), http.StatusUnauthorized)
	servetest.Want(t, "a wrong token", status("/version", "Authorization", "Bearer other"), http.StatusUnauthorized)
	servetest.Want(t, "a token", status("/version", "Authorization", "Bearer s3cret"), http.StatusOK)
	servetest.Want(t, "probes need none", status("/livez"), http.StatusOK)
	servetest.Want(t, "what is below a probe's name does", status("/livezfoo"), http.StatusUnauthorized)
	servetest.Must(t, "write tokens", os.WriteFile(file, []byte("other,bob,2\n"), 0o600))
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "the new token counts", func() bool { return status("/version", "Authorization", "Bearer other") == http.StatusOK })
	servetest.Want(t, "the old one does not", status("/version", "Authorization", "Bearer s3cret"), http.StatusUnauthorized)
}

// lines are those of a file so far.
func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	servetest.Must(t, "read "+file, err)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func TestAccessLogAndHangup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	p := start(t, nil, "respond", "--listen", anyPort, "--access-log", file, "--body", "hello")
	client := newClient(t)
	resp, _ := ask(t, client, http.MethodGet, p.urls[0]+"/one")
	id := resp.Header.Get("X-Request-Id")
	has := func(file, path string) func() bool {
		return func() bool {
			for _, line := range lines(t, file) {
				var entry struct {
					ID, Path string
					Status   int
					Bytes    int
				}
				if json.Unmarshal([]byte(line), &entry) == nil && entry.Path == path && entry.Status == 200 && entry.Bytes == 5 && (path != "/one" || entry.ID == id) {
					return true
				}
			}
			return false
		}
	}
	servetest.WantSoon(t, "the line of /one, with the id of the answer", has(file, "/one"))
	old := file + ".1"
	servetest.Must(t, "rotate", os.Rename(file, old))
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "the file is made anew", func() bool {
		ask(t, client, http.MethodGet, p.urls[0]+"/between")
		_, err := os.Stat(file)
		return err == nil
	})
	ask(t, client, http.MethodGet, p.urls[0]+"/last")
	wantExit(t, p, ExitClean)
	servetest.Want(t, "the last line is written before the end", has(file, "/last")(), true)
	servetest.Want(t, "the old file ends with the rotation", has(old, "/last")(), false)
}

func TestAuditLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	p := start(t, nil, "serve", "--listen", anyPort, "--admin", "off", "--audit-log-path", file)
	ask(t, newClient(t), http.MethodGet, p.urls[0]+"/version")
	wantExit(t, p, ExitClean)
	servetest.Want(t, "events are written before the end", strings.Contains(strings.Join(lines(t, file), ""), `"ResponseComplete"`), true)
	info, err := os.Stat(file)
	servetest.Must(t, "the file", err)
	servetest.Want(t, "nobody else may read it", info.Mode().Perm(), os.FileMode(0o600))
}

func TestMaxRequestBody(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--max-request-body", "10B")
	for size, want := range map[int]int{10: http.StatusOK, 11: http.StatusRequestEntityTooLarge} {
		resp, err := newClient(t).Post(p.urls[0], "text/plain", strings.NewReader(strings.Repeat("x", size)))
		servetest.Must(t, "POST", err)
		_ = resp.Body.Close()
		servetest.Want(t, "status of a body of that size", resp.StatusCode, want)
	}
}

// Each request may be the last of its connection, and none fails for that.
func TestGoawayChance(t *testing.T) {
	p := start(t, nil, "respond", "--tls-listen", anyPort, "--goaway-chance", "0.02")
	client := newClient(t)
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	connections := 0
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			connections++
		}
	}}
	for n := 0; n < 5000 && connections < 3; n++ { // 0.98^5000: never
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, p.urls[0], nil)
		servetest.Must(t, "request", err)
		resp, err := client.Do(r)
		servetest.Must(t, "GET", err)
		_ = resp.Body.Close()
		servetest.Want(t, "version", resp.ProtoMajor, 2)
	}
	servetest.Want(t, "connections", connections, 3)
}
