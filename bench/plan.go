package bench

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	defaultConnections = 50
	defaultDuration    = 10 * time.Second
	defaultTimeout     = 30 * time.Second
	defaultInterval    = time.Second
	// MaxStreams bounds Options.Streams: no server takes more at one time.
	maxStreams = 10_000
	userAgent  = "penstock-bench"
)

// plan is Options with nothing left open, and what follows from them for all
// connections. It is only read while a run goes on.
type plan struct {
	Options
	secure  bool
	host    string // as dialled, host:port
	name    string // of the server, for TLS
	tls     *tls.Config
	targets []target
	address netip.AddrPort // of host, that answered the probe

	base time.Time // of all times in ns
}

// target is one URL, ready to be sent.
type target struct {
	path   string // and query
	h1     []byte // the whole request
	fields []Field
}

// newPlan reports all that is wrong with o, joined.
func newPlan(o Options) (*plan, error) {
	p := &plan{Options: o}
	p.fillDefaults()
	errs := p.check()
	if len(o.URLs) == 0 {
		return nil, errors.Join(append(errs, errors.New("bench: no URL is given"))...)
	}
	first := o.URLs[0]
	p.secure = first.Scheme == "https"
	p.name = first.Hostname()
	port := first.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[p.secure]
	}
	p.host = net.JoinHostPort(p.name, port)
	for _, u := range o.URLs {
		errs = append(errs, checkURL(u, first))
		p.targets = append(p.targets, p.newTarget(u))
	}
	p.fillTLS()
	return p, errors.Join(errs...)
}

func (p *plan) fillDefaults() {
	if p.Method == "" {
		p.Method = http.MethodGet
		if p.Body != nil {
			p.Method = http.MethodPost
		}
	}
	if p.Protocol == "" {
		p.Protocol = Auto
	}
	if p.Duration == 0 && p.Requests == 0 {
		p.Duration = defaultDuration
	}
	p.Connections = orDefault(p.Connections, defaultConnections)
	p.Streams = orDefault(p.Streams, 1)
	p.Timeout = orDefault(p.Timeout, defaultTimeout)
	p.Interval = orDefault(p.Interval, defaultInterval)
	p.Workers = min(orDefault(p.Workers, runtime.GOMAXPROCS(0)), p.Connections)
}

func orDefault[N int | int64 | time.Duration](n, byDefault N) N {
	if n == 0 {
		return byDefault
	}
	return n
}

func (p *plan) check() (errs []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("bench: "+format, args...))
		}
	}
	fault(!slices.Contains([]Protocol{Auto, H1, H2, H3}, p.Protocol), "protocol %q: want auto, h1, h2 or h3", p.Protocol)
	fault(p.Connections < 0, "%d connections: want 1 or more", p.Connections)
	fault(p.Streams < 0 || p.Streams > maxStreams, "%d streams: want 1 to %d", p.Streams, maxStreams)
	fault(p.Streams > 1 && p.Protocol == H1, "%d streams: HTTP/1.1 has one request at a time on a connection", p.Streams)
	fault(p.Workers < 0, "%d workers: want 1 or more", p.Workers)
	fault(p.Duration < 0 || p.Requests < 0 || p.Warmup < 0 || p.Timeout < 0 || p.Interval < 0, "a duration or number of requests is negative")
	fault(!(p.Rate >= 0 && p.Rate <= 1e9), "rate %v: want 0 to 1e9 requests a second", p.Rate)
	for _, f := range p.Header {
		fault(!validField(f), "field %q: %q cannot be sent", f.Name, f.Value)
	}
	fault(strings.ContainsAny(p.Method, " \t\r\n") || p.Method == http.MethodConnect, "method %q cannot be sent", p.Method)
	return errs
}

func validField(f Field) bool {
	return f.Name != "" && !strings.ContainsAny(f.Name, " \t\r\n:\x00") && !strings.ContainsAny(f.Value, "\r\n\x00")
}

func checkURL(u, first *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("bench: %s: want http:// or https://", u)
	case u.Hostname() == "":
		return fmt.Errorf("bench: %s: the host is missing", u)
	case u.Scheme != first.Scheme || u.Host != first.Host:
		return fmt.Errorf("bench: %s: not of the same scheme, host and port as %s", u, first)
	}
	return nil
}

// newTarget renders a request. Host is first, as everywhere.
func (p *plan) newTarget(u *url.URL) target {
	t := target{path: u.RequestURI()}
	if t.path[0] != '/' {
		t.path = "/" + t.path
	}
	host := u.Host
	var rest []Field
	agent := false
	for _, f := range p.Header {
		switch strings.ToLower(f.Name) {
		case "host":
			host = f.Value
			continue
		case "user-agent":
			agent = true
		}
		rest = append(rest, f)
	}
	if !agent {
		rest = append([]Field{{"User-Agent", userAgent}}, rest...)
	}
	if p.Body != nil {
		rest = append(rest, Field{"Content-Length", fmt.Sprint(len(p.Body))})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", p.Method, t.path, host)
	for _, f := range rest {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	if p.NoKeepAlive {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	b.Write(p.Body)
	t.h1 = b.Bytes()
	t.fields = append(t.fields, Field{":method", p.Method}, Field{":scheme", u.Scheme}, Field{":authority", host}, Field{":path", t.path})
	for _, f := range rest {
		t.fields = append(t.fields, Field{strings.ToLower(f.Name), f.Value})
	}
	return t
}

func (p *plan) fillTLS() {
	if !p.secure {
		return
	}
	p.tls = &tls.Config{}
	if p.TLS != nil {
		p.tls = p.TLS.Clone()
	}
	if p.tls.ServerName == "" {
		p.tls.ServerName = p.name
	}
	switch p.Protocol {
	case H1:
		p.tls.NextProtos = []string{"http/1.1"}
	case H2:
		p.tls.NextProtos = []string{"h2"}
	case H3:
		p.tls.NextProtos = []string{"h3"}
	default:
		p.tls.NextProtos = []string{"h2", "http/1.1"}
	}
}

// now is the time since the run began, in ns.
func (p *plan) now() int64 { return int64(time.Since(p.base)) }

// single tells that a connection carries one request.
func (p *plan) single() bool { return p.ConnectPerRequest || p.NoKeepAlive }
