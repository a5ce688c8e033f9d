package serve_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestProxiedCurl: curl writes a header of version 1 with its own addresses.
func TestProxiedCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: byLoopback()})
			http2 := "--http2"
			if !form.secure {
				http2 = "--http2-prior-knowledge"
			}
			for flag, proto := range map[string]string{"--http1.1": "HTTP/1.1", http2: "HTTP/2.0"} {
				out := run(t, curl, "--silent", "--show-error", "--noproxy", "*", "--insecure", "--haproxy-protocol", flag,
					"--write-out", " %{local_ip}:%{local_port}", r.url()+"/")
				var got, from, to, own string
				fmt.Sscan(out, &got, &from, &to, &own)
				servetest.Want(t, "protocol", got, proto)
				servetest.Want(t, "client", from, own)
				servetest.Want(t, "server", to, r.addr)
			}
			r.stop(t)
			servetest.Want(t, "headers missed", r.Stats().ProxyHeaderErrors, 0)
		})
	}
}

// TestProxiedHAProxy: behind HAProxy, which passes bytes on, handlers see its clients.
func TestProxiedHAProxy(t *testing.T) {
	haproxy := tool(t, "haproxy", "haproxy")
	for _, form := range stopForms {
		for _, send := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"} {
			t.Run(form.name+"/"+send, func(t *testing.T) {
				servetest.CheckLeaks(t)
				r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: byLoopback()})
				front := startHAProxy(t, haproxy, r.addr, send)
				dial := func(proto string) net.Conn {
					c, err := dialForm(front, form.secure, proto)
					servetest.Must(t, "dial", err)
					c.SetDeadline(time.Now().Add(patience))
					t.Cleanup(func() { c.Close() })
					return c
				}
				c := dial("http/1.1")
				io.WriteString(c, getSlash)
				_, body := answer(t, "HTTP/1.1", bufio.NewReader(c))
				servetest.Want(t, "HTTP/1.1", body, "HTTP/1.1 "+c.LocalAddr().String()+" "+front)
				c.Close()
				c = dial("h2")
				if s, ok := c.(*tls.Conn); ok {
					servetest.Want(t, "ALPN", s.ConnectionState().NegotiatedProtocol, "h2")
				}
				p := newH2Peer(t, c)
				p.want("HTTP/2", p.get("/"), "200", "HTTP/2.0 "+c.LocalAddr().String()+" "+front)
				p.close()
				servetest.Want(t, "headers missed", r.Stats().ProxyHeaderErrors, 0)
			})
		}
	}
}

// startHAProxy passes connections on to addr, and is reached at the address that is
// returned.
func startHAProxy(t *testing.T, haproxy, addr, send string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	servetest.Must(t, "its descriptor", err)
	defer socket.Close()
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	// check-send-proxy without addresses of its own: LOCAL.
	servetest.Must(t, "configuration", os.WriteFile(config, []byte(strings.Join([]string{
		"defaults", " mode tcp", " timeout connect 20s", " timeout client 20s", " timeout server 20s",
		"frontend in", " bind fd@3", " unique-id-format %[uuid]", " default_backend out",
		"backend out", " server penstock " + addr + " " + send + " check check-send-proxy inter 50ms", "",
	}, "\n")), 0o600))
	cmd := exec.CommandContext(t.Context(), haproxy, "-db", "-q", "-f", config)
	cmd.ExtraFiles = []*os.File{socket}
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	servetest.Must(t, "start haproxy", cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // killed
		if t.Failed() {
			t.Logf("haproxy: %s", log.String())
		}
	})
	return l.Addr().String()
}
