package app

import (
	"bufio"
	"crypto/tls"
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

	"github.com/penstock-edge/penstock/serve/servetest"
)

// askBehind asks for / as the client of a balancer, over TLS if the URL says so:
// header is what the balancer writes. It tells status and body.
func askBehind(t *testing.T, url, header string, fields ...string) string {
	t.Helper()
	scheme, addr, _ := strings.Cut(url, "://")
	network := "tcp"
	if path, ok := strings.CutPrefix(url, unixPrefix); ok {
		network, addr = "unix", path
	}
	c, err := net.Dial(network, addr)
	servetest.Must(t, "dial", err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(c, header)
	servetest.Must(t, "header", err)
	if scheme == "https" {
		c = tls.Client(c, insecure("localhost"))
	}
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+strings.Join(append(fields, ""), "\r\n")+"\r\n")
	if err != nil {
		return "closed"
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "closed"
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	servetest.Must(t, "body", err)
	return fmt.Sprint(res.StatusCode, " ", string(b))
}

const (
	firstClient  = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
	secondClient = "PROXY TCP6 2001:db8::1 2001:db8::7 56324 443\r\n"
)

// TestProxyProtocolFlag: log, forwarded fields and the rate of a client go by who is
// behind the balancer.
func TestProxyProtocolFlag(t *testing.T) {
	o := newEchoOrigin(t)
	for _, loop := range []string{"on", "off"} {
		t.Run(loop, func(t *testing.T) {
			dir := t.TempDir()
			log, socket := filepath.Join(dir, "access.json"), filepath.Join(dir, "s")
			p := start(t, []string{"PENSTOCK_PROXY_PROTOCOL_FROM=127.0.0.0/8,unix"}, "reverse-proxy", "--to", o, "--event-loop", loop, "--access-log", log,
				"--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--listen", unixPrefix+socket, "--rate-limit", "0.01", "--rate-limit-burst", "4")
			for _, url := range p.urls {
				servetest.Want(t, url, askBehind(t, url, firstClient, "X-Forwarded-For: 203.0.113.9"), "200 192.0.2.1")
				servetest.Want(t, url, askBehind(t, url, secondClient), "200 2001:db8::1")
			}
			servetest.Want(t, "within the rate", askBehind(t, p.urls[0], firstClient), "200 192.0.2.1")
			servetest.Want(t, "above it", askBehind(t, p.urls[0], firstClient)[:4], "429 ")
			servetest.Want(t, "another client", askBehind(t, p.urls[0], secondClient), "200 2001:db8::1")
			servetest.Want(t, "without a header", askBehind(t, p.urls[1], ""), "closed")
			p.signal(syscall.SIGTERM)
			code, stderr := p.wait()
			servetest.Want(t, stderr, code, ExitClean)
			b, err := os.ReadFile(log)
			servetest.Must(t, "log", err)
			for _, client := range []string{`"client":"192.0.2.1`, `"client":"[2001:db8::1]`} {
				if n := strings.Count(string(b), client); n < 4 {
					t.Errorf("%s stands %d times in\n%s", client, n, b)
				}
			}
			if strings.Contains(string(b), `"client":"127.`) || strings.Contains(string(b), `"client":"@`) {
				t.Errorf("the balancer stands in\n%s", b)
			}
		})
	}
}

// newEchoOrigin answers with the client that X-Forwarded-For tells of.
func newEchoOrigin(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Join(r.Header.Values("X-Forwarded-For"), "; "))
	})}
	go func() { _ = srv.Serve(l) }() // ends with Close
	t.Cleanup(func() { srv.Close() })
	return "http://" + l.Addr().String()
}

// TestProxyProtocolReload: who is believed, on which listener, is the file's to say,
// and changes while it is served.
func TestProxyProtocolReload(t *testing.T) {
	certFile, keyFile := writePair(t)
	file := func(protocol string) string {
		return strings.NewReplacer("CERT", certFile, "KEY", keyFile, "PROTOCOL", protocol, "ORIGIN", newEchoOrigin(t)).Replace(`
listeners:
  clear: {address: "127.0.0.1:0"PROTOCOL}
  other: {address: "unix:DIR/other"}
  secure: {address: "127.0.0.1:0", tls: {certificates: [edge]}PROTOCOL}
  socket: {address: "unix:DIR/socket", proxy_protocol: {from: [unix]}}
certificates: {edge: {cert_file: CERT, key_file: KEY}}
hosts: [{names: [localhost], routes: [{id: all, match: {prefix: /}, proxy: {to: origin}}]}]
upstreams: {origin: {targets: [{url: "ORIGIN"}]}}
`)
	}
	e := startEdge(t, file(", proxy_protocol: {from: [127.0.0.1]}"))
	secure, plain, other, socket := e.urls[0], e.urls[1], unixPrefix+filepath.Join(e.dir, "other"), unixPrefix+filepath.Join(e.dir, "socket")
	check := func(why string, believed bool) {
		t.Helper()
		behind, bare := "200 192.0.2.1", "closed"
		if !believed {
			behind, bare = "400 ", "200 127.0.0.1"
		}
		if got := askBehind(t, plain, firstClient); !strings.HasPrefix(got, behind) {
			t.Errorf("%s, clear, behind: %q, want %q", why, got, behind)
		}
		servetest.Want(t, why+", clear, bare", askBehind(t, plain, ""), bare)
		servetest.Want(t, why+", TLS, bare", askBehind(t, secure, ""), bare)
		if believed {
			servetest.Want(t, why+", TLS, behind", askBehind(t, secure, firstClient), behind)
		} else {
			servetest.Want(t, why+", TLS, behind", askBehind(t, secure, firstClient), "closed")
		}
		servetest.Want(t, why+", socket", askBehind(t, socket, secondClient), "200 2001:db8::1")
		servetest.Want(t, why+", another socket", askBehind(t, other, secondClient)[:4], "400 ")
	}
	check("at first", true)
	e.reload(file(", proxy_protocol: {from: [192.0.2.0/24]}"))
	check("from elsewhere", false)
	e.reload(file(", proxy_protocol: {from: [192.0.2.0/24, 127.0.0.0/8], timeout: 10s}"))
	check("again", true)
	e.reload(file(""))
	check("no more", false)
	e.refused(file(", proxy_protocol: {from: [unix]}"), "nobody comes to 127.0.0.1:0 over a Unix socket")
	check("refused", false)
	e.end()
	e.write(file(""))
	wantRefused(t, []string{"serve", "-c", e.file, "--proxy-protocol-from", "10.0.0.0/8"}, []string{"--proxy-protocol-from together with listeners of " + e.file})
}
