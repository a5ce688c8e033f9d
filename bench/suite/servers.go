package suite

import (
	"fmt"
	"strings"
)

// maxConnections is what each server is told to take at one time.
const maxConnections = 15_000

func startPenstock(p *place) *launch {
	if p.work.Kind == Mix {
		return penstockMix(p)
	}
	args := []string{p.binary}
	switch p.work.Kind {
	case Proxy:
		args = append(args, "reverse-proxy", "--to", fmt.Sprintf("http://127.0.0.1:%d", p.origin))
	case Static:
		args = append(args, "file-server", "--root", p.path("www"))
	case Hello, Idle, Mix:
		args = append(args, "respond", "--header", "Content-Type: text/plain")
		if p.work.Answer > 0 {
			args = append(args, "--body-size", fmt.Sprint(p.work.Answer))
		} else {
			args = append(args, "--body", helloText)
		}
	}
	if p.work.Protocol == "h3" {
		args = append(args, "--http3")
	}
	return &launch{args: append(
		args, "--listen", fmt.Sprint("127.0.0.1:", p.clear), "--tls-listen", fmt.Sprint("127.0.0.1:", p.tls), "--tls-cert-file", p.path("cert.pem"),
		"--tls-private-key-file", p.path("key.pem"), "--max-connections", fmt.Sprint(maxConnections),
	)}
}

// penstockMix is by a configuration, which has more than one answer.
func penstockMix(p *place) *launch {
	text := fmt.Sprintf(`version: 1
listeners:
  clear: {address: "127.0.0.1:%[2]d"}
  secure: {address: "127.0.0.1:%[3]d", tls: {certificates: [own]}}
certificates: {own: {cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem}}
limits: {connections: %[5]d, requests_in_flight: off}
hosts:
  - routes:
      - {id: slow, match: {path: %[6]s}, respond: {body: "%[4]s", delay: 50ms}}
      - {id: hello, match: {prefix: /}, respond: {body: "%[4]s"}}
`, p.dir, p.clear, p.tls, helloText, maxConnections, slowPath)
	return &launch{args: []string{p.binary, "serve", "-c", p.path("penstock.yaml"), "--admin", "off"}, files: []file{{"penstock.yaml", text}}}
}

// inText is an answer's text where a configuration can hold it.
func inText(w Work, most int) (text string, ok bool) {
	switch {
	case w.Answer == 0:
		return helloText, true
	case w.Answer <= most:
		return strings.Repeat("x", w.Answer), true
	}
	return "", false
}

// startNginx answers from its configuration, or larger bodies from a file.
func startNginx(p *place) *launch {
	if p.work.Protocol == "h3" || p.work.Kind == Mix {
		return nil // Debian's has no HTTP/3, and no handler that sleeps
	}
	upstream, location := "", ""
	text, ok := inText(p.work, 1<<10)
	switch {
	case p.work.Kind == Proxy:
		upstream = fmt.Sprintf("upstream o { server 127.0.0.1:%d; keepalive 256; keepalive_requests 100000000; }", p.origin)
		location = `location = /hello { proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; }`
	case p.work.Kind != Static && ok:
		location = fmt.Sprintf(`location = %s { default_type text/plain; return 200 "%s"; }`, p.work.Path, text)
	}
	conf := fmt.Sprintf(`worker_processes %[1]d; daemon off; pid %[2]s/nginx.pid; error_log %[2]s/nginx.err;
events { worker_connections %[7]d; multi_accept on; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 300; sendfile on; tcp_nopush on; tcp_nodelay on;
 open_file_cache max=1000; http2_max_concurrent_streams 256; ssl_certificate %[2]s/cert.pem; ssl_certificate_key %[2]s/key.pem;
 ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:10m; client_body_buffer_size 128k; client_max_body_size 10m;
 client_body_temp_path %[2]s/nginx-body; proxy_temp_path %[2]s/nginx-proxy; %[5]s
 server { listen 127.0.0.1:%[3]d reuseport backlog=4096; listen 127.0.0.1:%[4]d ssl http2 reuseport backlog=4096; root %[2]s/www; %[6]s } }
`, p.workers, p.dir, p.clear, p.tls, upstream, location, maxConnections)
	return &launch{args: []string{p.binary, "-c", p.path("nginx.conf")}, files: []file{{"nginx.conf", conf}}}
}

// startH2O has no answer from memory: its texts are cached files, which take no POST.
func startH2O(p *place) *launch {
	if p.work.Protocol == "h3" || p.work.Kind == Mix || p.work.Body > 0 && p.work.Kind != Proxy {
		return nil
	}
	handler := "file.dir: " + p.path("www")
	if p.work.Kind == Proxy {
		handler = fmt.Sprintf(`proxy.reverse.url: "http://127.0.0.1:%d/"`, p.origin)
	}
	conf := fmt.Sprintf(`num-threads: %[1]d
max-connections: %[6]d
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
`, p.workers, p.dir, p.clear, p.tls, handler, maxConnections)
	return &launch{args: []string{p.binary, "-c", p.path("h2o.conf")}, files: []file{{"h2o.conf", conf}}}
}

// haproxyBuffer is the size of its buffers where an answer needs one; an answer of
// its own cannot be larger.
const haproxyBuffer = 128 << 10

// startHAProxy serves no files. A sleeping answer is a service in Lua.
func startHAProxy(p *place) *launch {
	if p.work.Protocol == "h3" || p.work.Kind == Static || p.work.Answer >= haproxyBuffer {
		return nil
	}
	l := &launch{args: []string{p.binary, "-f", p.path("haproxy.cfg")}}
	global := ""
	action := fmt.Sprintf(`http-request return status 200 content-type text/plain string "%s"`, helloText)
	switch {
	case p.work.Kind == Proxy:
		action = "default_backend b"
	case p.work.Kind == Mix:
		global = "\n  lua-load " + p.path("slow.lua")
		action = "http-request use-service lua.slow if { path " + slowPath + " }\n  " + action
		l.files = append(l.files, file{"slow.lua", fmt.Sprintf(`core.register_service("slow", "http", function(applet)
  core.msleep(50)
  applet:set_status(200)
  applet:add_header("content-type", "text/plain")
  applet:add_header("content-length", "%d")
  applet:start_response()
  applet:send("%s")
end)
`, len(helloText), helloText)})
	case p.work.Answer > 0:
		if p.work.Answer > 8<<10 {
			global = fmt.Sprintf("\n  tune.bufsize %d", haproxyBuffer)
		}
		action = "http-request return status 200 content-type text/plain file " + p.path("www"+p.work.Path)
	}
	l.files = append(l.files, file{"haproxy.cfg", fmt.Sprintf(`global
  nbthread %[1]d
  maxconn %[7]d
  no strict-limits
  tune.h2.max-concurrent-streams 256
  ssl-default-bind-options ssl-min-ver TLSv1.2%[8]s
defaults
  mode http
  timeout client 300s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:%[3]d backlog 4096
  bind 127.0.0.1:%[4]d backlog 4096 ssl crt %[2]s/both.pem alpn h2,http/1.1
  %[5]s
backend b
  server s1 127.0.0.1:%[6]d
`, p.workers, p.dir, p.clear, p.tls, action, p.origin, maxConnections, global)})
	return l
}
