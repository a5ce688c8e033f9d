package app

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/bench"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// runBench runs bench in this process. runHere would have stopped it already.
func runBench(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	root := NewServerCommand(nil)
	root.SetArgs(append([]string{"bench"}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	code = Execute(root)
	return code, out.String(), errs.String()
}

// readBench reads a file of --json.
func readBench(t *testing.T, name string) *bench.Result {
	t.Helper()
	f, err := os.Open(name)
	servetest.Must(t, "open the result", err)
	defer f.Close()
	r, err := bench.ReadResult(f)
	servetest.Must(t, "read the result", err)
	return r
}

// A run against a penstock: summary, both files, and the server's view from its
// admin listener.
func TestBenchRun(t *testing.T) {
	admin := "unix:" + filepath.Join(t.TempDir(), "admin")
	p := start(t, nil, "respond", "--listen", anyPort, "--body", "hello", "--admin", admin)
	dir := t.TempDir()
	asJSON, page := filepath.Join(dir, "result.json"), filepath.Join(dir, "page.html")
	code, stdout, stderr := runBench(p.urls[0], "-n", "500", "-c", "5", "--json", asJSON, "--html", page, "--server-admin", admin)
	if code != ExitClean {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	for _, want := range []string{"GET " + p.urls[0], "500 completed, 0 failed", "200: 500", "use --rate", "penstock "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in the summary\n%s", want, stdout)
		}
	}
	r := readBench(t, asJSON)
	servetest.Want(t, "completed", r.Completed, 500)
	servetest.Want(t, "latencies", r.Latency.Count(), 500)
	if r.Server == nil {
		t.Fatal("the server's view is missing")
	}
	servetest.Want(t, "the server's own count", r.Server.Requests, 500)
	text, err := os.ReadFile(page)
	servetest.Must(t, "read the page", err)
	if !bytes.Contains(text, []byte("<svg")) || !bytes.Contains(text, []byte("</html>")) {
		t.Errorf("the page is not complete: %d bytes", len(text))
	}
}

// --json - leaves standard output to the result.
func TestBenchToStandardOutput(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort)
	code, stdout, stderr := runBench(p.urls[0], "-n", "10", "-c", "1", "--json", "-", "--server-admin", "off")
	r, err := bench.ReadResult(strings.NewReader(stdout))
	if code != ExitClean || err != nil || r.Completed != 10 || !strings.Contains(stderr, "10 completed") {
		t.Errorf("exit %d, %v, %q", code, err, stderr)
	}
}

// What the requests carry arrives.
func TestBenchRequest(t *testing.T) {
	var wrong atomic.Value // string: a request that is not as wanted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got := fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Test"), body); got != "PUT /a?b c payload" {
			wrong.Store(got)
		}
	}))
	defer server.Close()
	code, _, stderr := runBench(server.URL+"/a?b", "-n", "20", "-c", "2", "--method", "PUT", "-H", "X-Test: c", "--data", "payload", "-q", "--server-admin", "off")
	if got := wrong.Load(); code != ExitClean || got != nil {
		t.Errorf("exit %d, %q, got %v", code, stderr, got)
	}
}

func TestBenchFailures(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%100 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	args := []string{server.URL, "-n", "1000", "-c", "4", "-q", "--server-admin", "off"}
	code, stdout, stderr := runBench(args...)
	servetest.Want(t, "exit code with 1 % of 503", code, ExitFailed)
	servetest.Want(t, "the line of it", stderr, "penstock: 10 of 1000 requests failed\n")
	if !strings.Contains(stdout, "200: 990, 503: 10") {
		t.Errorf("the summary does not show it:\n%s", stdout)
	}
	code, _, stderr = runBench(append(args, "--expect-status", "200,503")...)
	servetest.Want(t, "exit code when that is expected: "+stderr, code, ExitClean)
	code, _, _ = runBench(append(args, "--expect-status", "204")...)
	servetest.Want(t, "exit code when another is", code, ExitFailed)
}

// A connection that ends within an answer is a failed request.
func TestBenchCutAnswers(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%100 == 0 {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	code, stdout, stderr := runBench(server.URL, "-n", "1000", "-c", "4", "-q", "--server-admin", "off")
	servetest.Want(t, "exit code", code, ExitFailed)
	servetest.Want(t, "the line of it", stderr, "penstock: 10 of 1000 requests failed\n")
	if !strings.Contains(stdout, "  Errors       ") || !strings.Contains(stdout, "the first: ") {
		t.Errorf("the summary does not show it:\n%s", stdout)
	}
}

// Each protocol is spoken, and told.
func TestBenchProtocols(t *testing.T) {
	p := start(t, nil, "respond", "--tls-listen", anyPort, "--listen", anyPort, "--http3", "--body", "hello")
	secure, clear := p.urls[0], p.urls[1]
	for _, test := range []struct {
		name, url, protocol string
		want                bench.Protocol
		tls                 string
	}{
		{"HTTP/1.1", clear, "h1", bench.H1, ""},
		{"HTTP/2 by prior knowledge", clear, "h2", bench.H2, ""},
		{"HTTP/1.1 over TLS", secure, "h1", bench.H1, "TLS 1.3"},
		{"HTTP/2", secure, "h2", bench.H2, "TLS 1.3"},
		{"HTTP/2 by ALPN", secure, "auto", bench.H2, "TLS 1.3"},
		{"HTTP/3", secure, "h3", bench.H3, "TLS 1.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []string{test.url, "--protocol", test.protocol, "-n", "50", "-c", "2", "-q", "--json", "-", "--server-admin", "off"}
			if test.tls != "" {
				args = append(args, "--insecure")
			}
			code, stdout, stderr := runBench(args...)
			r, err := bench.ReadResult(strings.NewReader(stdout))
			if code != ExitClean || err != nil {
				t.Fatalf("exit %d, %v, %q", code, err, stderr)
			}
			servetest.Want(t, "completed", r.Completed, 50)
			servetest.Want(t, "content", r.BodyBytes, 250)
			servetest.Want(t, "protocol", r.Target.Protocol, test.want)
			servetest.Want(t, "TLS", r.Target.TLSVersion, test.tls)
		})
	}
}

// Who asks a port of HTTPS without TLS is told so.
func TestBenchClearToTLS(t *testing.T) {
	p := start(t, nil, "respond", "--tls-listen", anyPort)
	code, _, stderr := runBench("http://"+strings.TrimPrefix(p.urls[0], "https://"), "-n", "10", "-c", "1", "-q", "--server-admin", "off")
	servetest.Want(t, "exit code", code, ExitFailed)
	servetest.Want(t, "the line of it", stderr, "penstock: 10 of 10 requests failed; if the port speaks TLS, write https://\n")
}

// tlsTarget is a server of TLS with this certificate and configuration.
func tlsTarget(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestBenchUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	nobody := closed.Addr().String()
	_ = closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := tlsTarget(t, nil)
	old := tlsTarget(t, &tls.Config{MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS12})
	wanting := tlsTarget(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
	ca := writeText(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"nobody listens", []string{"http://" + nobody}, "bench " + nobody + ": connection refused; start the server"},
		{"nobody listens, with TLS", []string{"https://" + nobody}, "connection refused"},
		{"no such name", []string{"http://name.invalid/"}, `bench name.invalid: there is no address of "name.invalid"; check the name`},
		{"TLS to a plain port", []string{"https://" + strings.TrimPrefix(plain.URL, "http://")}, "it does not speak TLS; write http://"},
		{"unknown authority", []string{secure.URL}, "give that with --cacert FILE, or take any with --insecure"},
		{"other name", []string{secure.URL, "--cacert", ca, "--servername", "other.test"}, `its certificate is not for "other.test"; give one of its names with --servername`},
		{"other version", []string{old.URL, "--insecure", "--tls-min", "1.3"}, "--tls-min"},
		{"no client certificate", []string{wanting.URL, "--insecure", "--tls-max", "1.2", "--protocol", "h1"}, "--cert and --key"},
		{"no penstock", []string{plain.URL, "--server-admin", plain.URL}, "--server-admin " + plain.URL + " does not answer as a penstock's admin listener"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := runBench(append([]string{"-n", "10", "-c", "2", "-q", "--timeout", "10s"}, test.args...)...)
			if code != ExitError || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, test.want) {
				t.Errorf("exit %d, %q, %q, want %q in one line", code, stdout, stderr, test.want)
			}
		})
	}
	code, _, stderr := runBench(secure.URL, "-n", "10", "-c", "2", "-q", "--cacert", ca, "--server-admin", "off")
	servetest.Want(t, "exit code with the authority: "+stderr, code, ExitClean)
}

// What --tls-curves offers is what is negotiated, and told.
func TestBenchCurves(t *testing.T) {
	secure := tlsTarget(t, &tls.Config{})
	for given, want := range map[string]string{"X25519": "X25519", "p256,P384": "CurveP256", "29": "X25519", "x25519mlkem768": "X25519MLKEM768"} {
		code, stdout, stderr := runBench(secure.URL, "-n", "10", "-c", "2", "-q", "--insecure", "--server-admin", "off", "--tls-curves", given, "--json", "-")
		var r bench.Result
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != ExitClean || r.Target.KeyExchange != want {
			t.Errorf("%s: exit %d, %q, %v, %s", given, code, r.Target.KeyExchange, err, stderr)
		}
	}
}

// Ctrl-C ends a run and prints what was found so far.
func TestBenchInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		var seen atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			seen.Add(1)
			time.Sleep(time.Millisecond)
		}))
		asJSON := filepath.Join(t.TempDir(), "result.json")
		p := launch(t, nil, "bench", server.URL, "-d", "10m", "-c", "2", "--json", asJSON, "--server-admin", "off")
		var out bytes.Buffer
		p.cmd.Stdout = &out
		p.run()
		servetest.WantSoon(t, "requests arrive", func() bool { return seen.Load() > 50 })
		p.signal(signal)
		code, stderr := p.wait()
		server.Close()
		if code != ExitClean || !strings.Contains(out.String(), "the run was ended early, these are the figures so far") || !strings.Contains(out.String(), " requests/s") {
			t.Errorf("%v: exit %d, %q\n%s", signal, code, stderr, out.String())
		}
		r := readBench(t, asJSON)
		if !r.Interrupted || r.Completed < 10 {
			t.Errorf("%v: interrupted %v, %d completed", signal, r.Interrupted, r.Completed)
		}
	}
}

// A second signal does not wait for anything, such as an admin listener that does
// not answer.
func TestBenchSecondSignal(t *testing.T) {
	var seen, readings atomic.Int64
	stuck := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {
		seen.Add(1)
		time.Sleep(time.Millisecond)
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"version":"v1","go":"go1"}`) })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		if readings.Add(1) > 1 {
			select {
			case <-stuck:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, "penstock_requests_total 0\n")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(stuck)
	p := launch(t, nil, "bench", server.URL, "-d", "10m", "-c", "2", "--server-admin", server.URL)
	var out bytes.Buffer
	p.cmd.Stdout = &out
	p.run()
	servetest.WantSoon(t, "requests arrive", func() bool { return seen.Load() > 50 })
	p.signal(syscall.SIGINT)
	servetest.WantSoon(t, "it reads the counters", func() bool { return readings.Load() > 1 })
	p.signal(syscall.SIGINT)
	code, stderr := p.wait()
	servetest.Want(t, "exit code: "+stderr, code, ExitError)
	servetest.Want(t, "standard output", out.String(), "")
}

// The search goes on until a rate does not hold, and writes all steps. Each request
// takes 20 ms, so four connections do 200 a second.
func TestBenchFindMax(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) }))
	defer server.Close()
	dir := t.TempDir()
	asJSON, page := filepath.Join(dir, "ramp.json"), filepath.Join(dir, "page.html")
	code, stdout, stderr := runBench(server.URL, "-c", "4", "--find-max", "--objective", "p99=2s,errors=0", "--rate", "100",
		"-d", "300ms", "--warmup", "50ms", "--json", asJSON, "--html", page, "-q", "--server-admin", "off")
	if code != ExitClean && code != ExitFailed { // a machine under load may hold no rate at all
		t.Fatalf("exit %d, %q", code, stderr)
	}
	f, err := os.Open(asJSON)
	servetest.Must(t, "open the search", err)
	defer f.Close()
	ramp, err := bench.ReadRamp(f)
	servetest.Must(t, "read the search", err)
	if len(ramp.Steps) < 3 || ramp.LimitedBy == "" || ramp.Rate > 1000 || strings.Join(ramp.Objectives, ",") != "p99=2s,errors=0%" {
		t.Errorf("%d steps, limited by %q at %v", len(ramp.Steps), ramp.LimitedBy, ramp.Rate)
	}
	if n := strings.Count(stdout, "\n  grow "); n < 1 || !strings.Contains(stdout, "p99=2s, errors=0%") {
		t.Errorf("the table has %d steps of growth:\n%s", n, stdout)
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("Latency by rate")) {
		t.Errorf("the page: %d bytes, %v", len(text), err)
	}
	code, _, stderr = runHere("bench", "compare", asJSON, asJSON)
	if code != ExitError || !strings.Contains(stderr, "--find-max") {
		t.Errorf("a search was compared: exit %d, %q", code, stderr)
	}
}
