package app

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// unixClient asks the socket of that path, whatever the URL's host.
func unixClient(t *testing.T, path string) *http.Client {
	c := newClient(t)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return c
}

// Profiles, and nothing else, for this user alone.
func TestDebugSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "debug.sock")
	p := start(t, nil, "respond", "--listen", anyPort, "--debug-socket-path", socket)
	client := unixClient(t, socket)
	for path, want := range map[string]int{
		"/debug/pprof/": http.StatusOK, "/debug/pprof/goroutine?debug=1": http.StatusOK, "/status": http.StatusNotFound, "/metrics": http.StatusNotFound, "/": http.StatusNotFound,
	} {
		resp, _ := ask(t, client, http.MethodGet, "http://localhost"+path)
		servetest.Want(t, path, resp.StatusCode, want)
	}
	info, err := os.Stat(socket)
	servetest.Must(t, "socket", err)
	servetest.Want(t, "mode", info.Mode().Perm(), os.FileMode(0o600))
	wantExit(t, p, ExitClean)
}

// A request that breaks the objective leaves a recording of what ran.
func TestLatencyObjective(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	p := start(t, nil, "respond", "--listen", anyPort, "--delay", "50ms", "--latency-objective", "1ms", "--flight-recorder-dir", dir)
	ask(t, newClient(t), http.MethodGet, p.urls[0])
	servetest.WantSoon(t, "a recording", func() bool {
		files, err := os.ReadDir(dir)
		return err == nil && len(files) == 1
	})
	wantExit(t, p, ExitClean)
}

func TestPIDFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	servetest.Must(t, "a file of one who was killed", os.WriteFile(file, []byte("1\n"), 0o600))
	p := start(t, nil, "respond", "--listen", anyPort, "--pid-file", file)
	number := func() string {
		b, err := os.ReadFile(file)
		servetest.Must(t, "read", err)
		return string(b)
	}
	servetest.Want(t, "number", number(), strconv.Itoa(p.cmd.Process.Pid)+"\n")
	wantExit(t, p, ExitClean)
	_, err := os.Stat(file)
	servetest.Want(t, "it goes at the end", os.IsNotExist(err), true)

	p = start(t, nil, "respond", "--listen", anyPort, "--pid-file", file)
	servetest.Must(t, "a successor's", os.WriteFile(file, []byte("99\n"), 0o600))
	wantExit(t, p, ExitClean)
	servetest.Want(t, "a successor's stays", number(), "99\n")
}

func TestPIDFileFails(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--pid-file", "/none/pid")
	ask(t, newClient(t), http.MethodGet, p.urls[0])
	if stderr := wantExit(t, p, ExitClean); !strings.Contains(stderr, "--pid-file") {
		t.Errorf("not told: %s", stderr)
	}
}

func TestLogLevel(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--log-level", "error")
	stderr := wantExit(t, p, ExitClean)
	servetest.Want(t, "nothing of lower levels", strings.Contains(stderr, "level=INFO"), false)
}

func TestSecurePort(t *testing.T) {
	for _, c := range []struct {
		name        string
		args        []string
		listen, tls []string
	}{
		{"neither", nil, []string{":8080"}, []string{":8443"}},
		{"port", []string{"--secure-port", "6443"}, nil, []string{":6443"}},
		{"no HTTPS", []string{"--secure-port", "0"}, []string{":8080"}, nil},
		{"no HTTPS, but HTTP elsewhere", []string{"--secure-port", "0", "--listen", ":81"}, []string{":81"}, nil},
		{"address", []string{"--bind-address", "192.0.2.1"}, nil, []string{"192.0.2.1:8443"}},
		{"addresses", []string{"--bind-address", "192.0.2.1", "--bind-address", "::1", "--secure-port", "443"}, nil, []string{"192.0.2.1:443", "[::1]:443"}},
		{"all addresses", []string{"--bind-address", "0.0.0.0", "--bind-address", "::", "--secure-port", "443"}, nil, []string{":443"}},
		{"unix", []string{"--bind-address", "unix:/run/x"}, nil, []string{"unix:/run/x"}},
		{"beside HTTP", []string{"--secure-port", "443", "--listen", ":80"}, []string{":80"}, []string{":443"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := parse(t, serveDefaults, c.args...)
			servetest.Must(t, "parse", err)
			done := o.Complete()
			servetest.Must(t, "validate", done.Validate())
			servetest.Want(t, "HTTP", strings.Join(done.Listen, " "), strings.Join(c.listen, " "))
			servetest.Want(t, "HTTPS", strings.Join(done.TLSListen, " "), strings.Join(c.tls, " "))
		})
	}
}
