package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
)

// anyPort is an address of which nobody else has the port.
const anyPort = "127.0.0.1:0"

func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func fetch(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	p := start(t, nil, "serve", "--tls-listen", anyPort, "--listen", anyPort, "--admin", anyPort)
	if len(p.urls) != 3 || !strings.HasPrefix(p.urls[0], "https://127.0.0.1:") || !strings.HasPrefix(p.urls[1], "http://127.0.0.1:") {
		t.Fatalf("announced %q", p.urls)
	}
	client := newClient(t)
	secure, plain, admin := p.urls[0], p.urls[1], p.urls[2]
	tests := []struct {
		url    string
		status int
		body   string
	}{
		{secure + "/", 200, "penstock is running"},
		{plain + "/", 200, "penstock is running"},
		{plain + "/version", 200, `"go": "go1.`},
		{plain + "/healthz", 200, "ok"},
		{secure + "/livez", 200, "ok"},
		{plain + "/readyz?verbose", 200, "[+]shutdown ok"},
		{plain + "/none", 404, "no page at this address"},
		{plain + "/debug/pprof/", 404, ""},
		{secure + "/debug/pprof/", 404, ""},
		{plain + "/readyz/ping", 404, ""},
		{admin + "/healthz", 200, "ok"},
		{admin + "/livez", 200, "ok"},
		{admin + "/readyz/shutdown", 200, "ok"},
		{admin + "/debug/pprof/", 200, "goroutine"},
		{admin + "/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{admin + "/version", 200, `"go": "go1.`},
		{admin + "/", 404, ""},
	}
	for _, test := range tests {
		if status, body := fetch(t, client, test.url); status != test.status || !strings.Contains(body, test.body) {
			t.Errorf("%s: %d %.80q, want %d %q", test.url, status, body, test.status, test.body)
		}
	}
	p.signal(syscall.SIGTERM)
	if code, stderr := p.wait(); code != ExitClean || field(t, stderr, "cut") != "0" || field(t, stderr, "finished") == "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestAdminChecksHost(t *testing.T) {
	p := start(t, nil, "serve", "--listen", anyPort, "--admin", anyPort)
	r, err := http.NewRequest(http.MethodGet, p.urls[1]+"/debug/pprof/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rebound.example"
	resp, err := newClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("status %d, want 421", resp.StatusCode)
	}
}

func TestSignalsDrain(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		p := start(t, nil, "respond", "--listen", anyPort)
		p.signal(s)
		if code, stderr := p.wait(); code != ExitClean {
			t.Errorf("%v: exit %d, %s", s, code, stderr)
		}
	}
}

// inFlight sends a request that the server answers after its --delay, and
// returns when the server works on it.
func inFlight(t *testing.T, url string) net.Conn {
	t.Helper()
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// The 100 tells that the handler reads the body: it has the request.
	if _, err := fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 25)
	if _, err := io.ReadFull(conn, buf); err != nil || !bytes.HasPrefix(buf, []byte("HTTP/1.1 100 ")) {
		t.Fatalf("%q, %v", buf, err)
	}
	if _, err := conn.Write([]byte("ok")); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestRequestsInFlightAreFinished(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--body", "late", "--delay", "700ms")
	conn := inFlight(t, p.urls[0])
	p.signal(syscall.SIGTERM)
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer, []byte("late")) {
		t.Errorf("%q, %v", answer, err)
	}
	if code, stderr := p.wait(); code != ExitClean || field(t, stderr, "finished") != "1" || field(t, stderr, "cut") != "0" {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestDeadlineCutsAndExits3(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--delay", "10m", "--shutdown-timeout", "500ms")
	conn := inFlight(t, p.urls[0])
	p.signal(syscall.SIGTERM)
	code, stderr := p.wait()
	if code != ExitCut || field(t, stderr, "finished") != "0" || field(t, stderr, "cut") != "1" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if !strings.Contains(stderr, "penstock: the drain did not end within 500ms, 1 requests were cut; raise --shutdown-timeout") {
		t.Errorf("stderr %s", stderr)
	}
	if answer, _ := io.ReadAll(conn); bytes.Contains(answer, []byte("200")) {
		t.Errorf("answered %q", answer)
	}
}

func TestSecondSignalExits1AtOnce(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--delay", "10m", "--shutdown-timeout", "10m")
	inFlight(t, p.urls[0])
	p.signal(syscall.SIGTERM)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		// The signals are of one kind: a second one sent before the first was
		// taken would be one. So repeat until it has ended.
		if p.cmd.Process.Signal(syscall.SIGTERM) != nil {
			break
		}
	}
	if code, stderr := p.wait(); code != ExitError {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestReadyzFailsDuringTheDelay(t *testing.T) {
	p := start(t, nil, "serve", "--listen", anyPort, "--admin", anyPort, "--shutdown-delay-duration", "10m", "--shutdown-timeout", "20m")
	client := newClient(t)
	fetch(t, client, p.urls[0]) // whose connection stays: with none the delay would end early
	p.signal(syscall.SIGTERM)
	for end := time.Now().Add(patience); ; {
		if status, _ := fetch(t, client, p.urls[0]+"/readyz"); status == http.StatusInternalServerError {
			break
		}
		if time.Now().After(end) {
			t.Fatal("readyz does not fail")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, path := range []string{"/", "/livez", "/healthz"} {
		if status, _ := fetch(t, newClient(t), p.urls[0]+path); status != http.StatusOK {
			t.Errorf("%s during the delay: %d", path, status)
		}
	}
	if status, _ := fetch(t, client, p.urls[1]+"/readyz"); status != http.StatusInternalServerError {
		t.Errorf("admin's readyz: %d", status)
	}
}

func writePair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	pair, err := certs.SelfSigned([]string{"edge.example"})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestCertificateFiles(t *testing.T) {
	certFile, keyFile := writePair(t)
	p := start(t, nil, "respond", "--tls-listen", anyPort, "--tls-cert-file", certFile, "--tls-private-key-file", keyFile)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(p.urls[0], "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.ConnectionState().PeerCertificates[0].VerifyHostname("edge.example"); err != nil {
		t.Error(err)
	}

	otherCert, _ := writePair(t)
	tests := []struct{ name, cert, key, want string }{
		{"missing", "/none/cert.pem", keyFile, "penstock: --tls-cert-file /none/cert.pem: no such file; check the path"},
		{"swapped", keyFile, certFile, "swap the two files"},
		{"mismatch", otherCert, keyFile, "penstock: --tls-private-key-file " + keyFile + ": the key does not belong to the certificate in " + otherCert},
	}
	for _, test := range tests {
		code, _, stderr := runHere("respond", "--tls-listen", anyPort, "--tls-cert-file", test.cert, "--tls-private-key-file", test.key)
		if code != ExitError || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", test.name, code, stderr)
		}
	}
}

func TestFileServer(t *testing.T) {
	dir := t.TempDir()
	big := strings.Repeat("0123456789", 100_000)
	for name, body := range map[string]string{"a.txt": "hello", "big": big, ".secret": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, nil, "file-server", "--root", dir, "--browse", "--listen", anyPort, "--tls-listen", anyPort)
	client := newClient(t)
	for _, base := range p.urls {
		for path, want := range map[string]string{"/a.txt": "hello", "/big": big} {
			if status, body := fetch(t, client, base+path); status != 200 || body != want {
				t.Errorf("%s%s: %d, %d bytes", base, path, status, len(body))
			}
		}
		if status, body := fetch(t, client, base+"/"); status != 200 || !strings.Contains(body, "a.txt") || strings.Contains(body, "secret") {
			t.Errorf("listing: %d %q", status, body)
		}
		if status, _ := fetch(t, client, base+"/.secret"); status != 404 {
			t.Errorf("hidden file: %d", status)
		}
	}
}

func TestRespond(t *testing.T) {
	p := start(t, []string{"PENSTOCK_STATUS=418"}, "respond", "--listen", anyPort, "--body", "tea", "--header", "X-A: 1", "--header", "X-A: 2")
	resp, err := newClient(t).Post(p.urls[0]+"/any?x=y", "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusTeapot || string(body) != "tea" || len(resp.Header["X-A"]) != 2 {
		t.Errorf("%d %q %v %v", resp.StatusCode, body, resp.Header, err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	p := start(t, nil, "respond", "--listen", "unix:"+path, "--body", "hi")
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !bytes.HasSuffix(answer, []byte("hi")) {
		t.Errorf("%q, %v", answer, err)
	}
	p.signal(syscall.SIGTERM)
	if code, stderr := p.wait(); code != ExitClean {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestEventLoopOff(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--tls-listen", anyPort, "--event-loop", "off", "--listeners", "1", "--body", "x")
	for _, url := range p.urls {
		if status, body := fetch(t, newClient(t), url); status != 200 || body != "x" {
			t.Errorf("%s: %d %q", url, status, body)
		}
	}
	p.signal(syscall.SIGTERM)
	if code, stderr := p.wait(); code != ExitClean {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
