package app

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// grpcCases is how many cases bench/targets/grpc has; none may be left out.
const grpcCases = 24

// TestGRPCInterop puts the proxy between gRPC's own client and server, with its
// interoperability cases: over TLS and in the clear, to upstreams of both kinds,
// whose connections are told to go away every other second.
func TestGRPCInterop(t *testing.T) {
	bin := buildInterop(t)
	ca := newAuthority(t)
	cert, key := ca.put("server", ca.issue("server", "localhost", "interop.test"))
	clear, secure := startInterop(t, bin, cert, key)
	for _, up := range []struct{ name, target, tls string }{
		{"h2c upstream", "h2c://" + clear, ""},
		{"TLS upstream", "https://" + secure, fmt.Sprintf(", tls: {ca_file: %q, server_name: localhost}", ca.file)},
	} {
		file := filepath.Join(t.TempDir(), "front.yaml")
		write(t, file, fmt.Sprintf(`version: 1
admin: {listen: off}
listeners:
  clear: {address: "127.0.0.1:0"}
  secure: {address: "127.0.0.1:0", tls: {certificates: [own]}}
certificates: {own: {cert_file: %q, key_file: %q}}
hosts: [{names: [interop.test], routes: [{id: all, match: {prefix: /}, proxy: {to: grpc}}]}]
upstreams: {grpc: {targets: [{url: %q}]%s}}
`, cert, key, up.target, up.tls))
		p := start(t, nil, "serve", "-c", file)
		for _, front := range p.urls {
			u, err := url.Parse(front)
			servetest.Must(t, "address", err)
			t.Run(up.name+"/"+u.Scheme, func(t *testing.T) {
				t.Parallel()
				runInterop(t, p, bin, u)
			})
		}
	}
}

// buildInterop builds client and server, in their own module.
func buildInterop(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "interop")
	build := exec.Command("go", "build", "-o", bin, "./interop")
	build.Dir = filepath.Join("..", "..", "..", "bench", "targets", "grpc")
	out, err := build.CombinedOutput()
	if err == nil {
		return bin
	}
	download := exec.Command("go", "mod", "download")
	download.Dir = build.Dir
	if text, derr := download.CombinedOutput(); derr != nil {
		t.Skipf("SKIPPED: google.golang.org/grpc cannot be had here (it needs the Go module proxy or a filled module cache): %v\n%s", derr, text)
	}
	t.Fatalf("bench/targets/grpc does not build: %v\n%s", err, out)
	return ""
}

// startInterop starts the server, and gives its two addresses.
func startInterop(t *testing.T, bin, cert, key string) (clear, secure string) {
	t.Helper()
	cmd := exec.Command(bin, "server", "-cert", cert, "-key", key)
	var log lockedBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	servetest.Must(t, "pipe", err)
	servetest.Must(t, "start", cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r := bufio.NewScanner(out)
	var addrs []string
	for len(addrs) < 2 && r.Scan() {
		addrs = append(addrs, r.Text())
	}
	if len(addrs) < 2 {
		t.Fatalf("the server gave %q: %s", addrs, log.String())
	}
	return addrs[0], addrs[1]
}

func runInterop(t *testing.T, p *process, bin string, u *url.URL) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := []string{"client", "-addr", u.Host, "-authority", "interop.test"}
	if u.Scheme == "https" {
		args = append(args, "-tls")
	}
	out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
	if passed := strings.Count("\n"+string(out), "\npassed "); err != nil || passed != grpcCases {
		t.Errorf("%d cases passed, want %d (%v):\n%s\npenstock says: %s", passed, grpcCases, err, out, p.stderr.String())
	}
}
