package suite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Target is a server of the comparison.
type Target struct {
	Name string
	// Needs is how to get it when it is not there.
	Needs string
	// binary answers where it is; an error: it cannot be had here.
	binary func(*Suite) (string, error)
	// command is what it is started with; nil: it does not do that work.
	command func(p *place) ([]string, error)
	// version is the argument that has it tell its version; empty: it has none.
	version string
	// http3 tells that it speaks HTTP/3.
	http3 bool
}

// place is where a target is started, and for what.
type place struct {
	site       *site
	binary     string
	work       Work
	clear, tls int // ports
	workers    int
}

// Targets are all that the suite knows; penstock is the first.
func Targets() []Target {
	return []Target{
		{Name: "penstock", binary: func(s *Suite) (string, error) { return s.Penstock, nil }, command: penstockCommand, version: "version", http3: true},
		{Name: "nginx", Needs: "apt-get install nginx", binary: inPath("nginx"), command: nginxCommand, version: "-v"},
		{Name: "h2o", Needs: "apt-get install h2o", binary: inPath("h2o"), command: h2oCommand, version: "--version"},
		{Name: "haproxy", Needs: "apt-get install haproxy", binary: inPath("haproxy"), command: haproxyCommand, version: "-v"},
		{Name: "nethttp", Needs: "the go command", binary: goPeer("nethttp"), command: peerCommand(Hello, Static, Proxy, Idle)},
		{Name: "fasthttp", Needs: "the go command and its module", binary: goPeer("fasthttp"), command: only(withoutHTTP2, peerCommand(Hello, Static, Proxy, Idle))},
		{Name: "apiserver", Needs: "the go command and its module", binary: goPeer("apiserver"), command: only(withTLS, peerCommand(Hello, Idle))},
	}
}

// SelectTargets are penstock and those of the names, parted by commas; none: all.
func SelectTargets(names string) ([]Target, error) {
	all := Targets()
	if names == "" {
		return all, nil
	}
	out := all[:1]
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(t Target) bool { return t.Name == name })
		switch {
		case i < 0:
			return nil, fmt.Errorf("there is no server %q in the suite", name)
		case i > 0:
			out = append(slices.Clip(out), all[i])
		}
	}
	return out, nil
}

func inPath(name string) func(*Suite) (string, error) {
	return func(*Suite) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		return exec.LookPath("/usr/sbin/" + name)
	}
}

// goPeer builds a peer of bench/targets, each a module of its own.
func goPeer(name string) func(*Suite) (string, error) {
	return func(s *Suite) (string, error) {
		out := filepath.Join(s.builds, name)
		if _, err := os.Stat(out); err == nil {
			return out, nil
		}
		build := exec.Command("go", "build", "-trimpath", "-o", out, "./serve")
		build.Dir = filepath.Join(s.Root, "bench", "targets", name)
		if text, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w: %s", build.Dir, err, lastLine(text))
		}
		return out, nil
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

func penstockCommand(p *place) ([]string, error) {
	var args []string
	switch p.work.Kind {
	case Proxy:
		args = []string{"reverse-proxy", "--to", fmt.Sprintf("http://127.0.0.1:%d", p.site.originPort)}
	case Static:
		args = []string{"file-server", "--root", p.site.path("www")}
	default:
		args = []string{"respond", "--body", helloText, "--header", "Content-Type: text/plain"}
	}
	if p.work.Protocol == "h3" {
		args = append(args, "--http3")
	}
	return append(append([]string{p.binary}, args...), "--listen", fmt.Sprint("127.0.0.1:", p.clear), "--tls-listen", fmt.Sprint("127.0.0.1:", p.tls),
		"--tls-cert-file", p.site.path("cert.pem"), "--tls-private-key-file", p.site.path("key.pem")), nil
}

func nginxCommand(p *place) ([]string, error) {
	upstream, location := "", fmt.Sprintf(`location = /hello { default_type text/plain; return 200 "%s"; }`, helloText)
	if p.work.Kind == Proxy {
		upstream = fmt.Sprintf("upstream o { server 127.0.0.1:%d; keepalive 256; keepalive_requests 100000000; }", p.site.originPort)
		location = `location = /hello { proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; }`
	}
	conf, err := p.site.conf("nginx.conf", fmt.Sprintf(`worker_processes %[1]d; daemon off; pid %[2]s/nginx.pid; error_log %[2]s/nginx.err;
events { worker_connections 15000; multi_accept on; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 300; sendfile on; tcp_nopush on; tcp_nodelay on;
 open_file_cache max=1000; http2_max_concurrent_streams 256; ssl_certificate %[2]s/cert.pem; ssl_certificate_key %[2]s/key.pem;
 ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:10m; %[5]s
 server { listen 127.0.0.1:%[3]d reuseport backlog=4096; listen 127.0.0.1:%[4]d ssl http2 reuseport backlog=4096; root %[2]s/www; %[6]s } }
`, p.workers, p.site.dir, p.clear, p.tls, upstream, location))
	return []string{p.binary, "-c", conf}, err
}

func h2oCommand(p *place) ([]string, error) {
	if p.work.Body > 0 {
		return nil, nil // it takes no POST for a file
	}
	handler := "file.dir: " + p.site.path("www") // it has no answer from memory: its hello is a cached file
	if p.work.Kind == Proxy {
		handler = fmt.Sprintf(`proxy.reverse.url: "http://127.0.0.1:%d/"`, p.site.originPort)
	}
	conf, err := p.site.conf("h2o.conf", fmt.Sprintf(`num-threads: %[1]d
max-connections: 15000
http2-max-concurrent-requests-per-connection: 256
listen: {host: 127.0.0.1, port: %[3]d}
listen:
  host: 127.0.0.1
  port: %[4]d
  ssl: {certificate-file: %[2]s/cert.pem, key-file: %[2]s/key.pem, minimum-version: TLSv1.2}
hosts:
  default:
    paths:
      "/": {%[5]s}
`, p.workers, p.site.dir, p.clear, p.tls, handler))
	return []string{p.binary, "-c", conf}, err
}

func haproxyCommand(p *place) ([]string, error) {
	if p.work.Kind == Static {
		return nil, nil // it serves no files
	}
	action := fmt.Sprintf(`http-request return status 200 content-type text/plain string "%s"`, helloText)
	if p.work.Kind == Proxy {
		action = "default_backend b"
	}
	conf, err := p.site.conf("haproxy.cfg", fmt.Sprintf(`global
  nbthread %[1]d
  maxconn 9500
  tune.h2.max-concurrent-streams 256
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout client 300s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:%[3]d
  bind 127.0.0.1:%[4]d ssl crt %[2]s/both.pem alpn h2,http/1.1
  %[5]s
backend b
  server s1 127.0.0.1:%[6]d
`, p.workers, p.site.dir, p.clear, p.tls, action, p.site.originPort))
	return []string{p.binary, "-f", conf}, err
}

func withoutHTTP2(w Work) bool { return w.Protocol != "h2" }
func withTLS(w Work) bool      { return w.TLS }

// only leaves out the works that a peer does not do.
func only(does func(Work) bool, command func(*place) ([]string, error)) func(*place) ([]string, error) {
	return func(p *place) ([]string, error) {
		if !does(p.work) {
			return nil, nil
		}
		return command(p)
	}
}

// peerCommand starts a peer of ours by the flags that all of them have.
func peerCommand(kinds ...Kind) func(*place) ([]string, error) {
	return func(p *place) ([]string, error) {
		if !slices.Contains(kinds, p.work.Kind) {
			return nil, nil
		}
		args := []string{
			p.binary, "-listen", fmt.Sprint("127.0.0.1:", p.clear), "-tls-listen", fmt.Sprint("127.0.0.1:", p.tls),
			"-cert", p.site.path("cert.pem"), "-key", p.site.path("key.pem"), "-body", helloText,
		}
		switch p.work.Kind {
		case Static:
			args = append(args, "-root", p.site.path("www"))
		case Proxy:
			args = append(args, "-to", fmt.Sprintf("http://127.0.0.1:%d", p.site.originPort))
		default: // its own answer
		}
		return args, nil
	}
}
