package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// form is a way in which a front serves.
type form struct {
	name   string
	major  int
	secure bool
	opts   serve.ServerOptions
}

var forms = []form{
	{"h1 tasks", 1, false, serve.ServerOptions{Tasks: true}},
	{"h1 goroutines", 1, false, serve.ServerOptions{}},
	{"h1 portable", 1, false, serve.ServerOptions{EventLoop: serve.EventLoopOff}},
	{"h1 TLS", 1, true, serve.ServerOptions{Tasks: true}},
	{"h2 tasks", 2, true, serve.ServerOptions{Tasks: true}},
	{"h2c goroutines", 2, false, serve.ServerOptions{}},
	{"h3", 3, true, serve.ServerOptions{}},
}

var testCertificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	cert, err := certs.SelfSigned([]string{"localhost"})
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return cert, pool
})

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serveFront serves h in the form until the test ends, and gives its address and a
// client of its protocol.
func (f form) serveFront(t testing.TB, h http.Handler) (url string, client *http.Client) {
	t.Helper()
	cert, _ := testCertificate()
	opts := f.opts
	opts.ErrorLog = quiet()
	s := &serve.Server{Handler: h, Options: opts, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	ended := make(chan error, 1)
	stop := func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	}
	if f.major == 3 {
		g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: "127.0.0.1:0", ErrorLog: quiet()})
		servetest.Must(t, "bind", err)
		go func() { ended <- s.ServeHTTP3(g, "", "") }()
		t.Cleanup(stop)
		return "https://" + g.Addr().String(), f.newClient(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	go func() {
		if f.secure {
			ended <- s.ServeTLS(l, "", "")
		} else {
			ended <- s.Serve(l)
		}
	}()
	t.Cleanup(stop)
	url = "http://"
	if f.secure {
		url = "https://"
	}
	return url + l.Addr().String(), f.newClient(t)
}

// newClient is a client of the form's protocol, with connections of its own.
func (f form) newClient(t testing.TB) *http.Client {
	_, pool := testCertificate()
	trust := &tls.Config{RootCAs: pool, ServerName: "localhost"}
	if f.major == 3 {
		tr := &http3.Transport{TLSClientConfig: trust, DisableCompression: true}
		t.Cleanup(func() { tr.Close() })
		return &http.Client{Transport: tr}
	}
	p := new(http.Protocols)
	p.SetHTTP1(f.major == 1)
	p.SetHTTP2(f.major == 2 && f.secure)
	p.SetUnencryptedHTTP2(f.major == 2 && !f.secure)
	tr := &http.Transport{TLSClientConfig: trust, Protocols: p, DisableCompression: true, MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// newService makes a service of the targets, which ends with the test.
func newService(t testing.TB, o proxy.ServiceOptions, urls ...string) *proxy.Service {
	t.Helper()
	for _, u := range urls {
		o.Targets = append(o.Targets, upstream.Target{URL: u})
	}
	s, err := proxy.NewService("test", o)
	servetest.Must(t, "service", err)
	t.Cleanup(s.Close)
	return s
}

func newProxy(t testing.TB, o proxy.Options) *proxy.Proxy {
	t.Helper()
	o.ErrorLog = quiet()
	p, err := proxy.New(o)
	servetest.Must(t, "proxy", err)
	return p
}

// unhurried are limits that a loaded machine does not reach, without retries.
func unhurried() proxy.ServiceOptions {
	const never = time.Minute
	return proxy.ServiceOptions{
		Options: upstream.Options{
			ConnectTimeout: never, HeadTimeout: never,
			Eject: upstream.Eject{After: -1}, Retry: upstream.Retry{Attempts: -1},
		},
		IdleTimeout: never,
	}
}

// short is a limit that a test waits for. It must be the only one: on a loaded
// machine the others run out as well.
const short = 300 * time.Millisecond

// answer is what a client has got.
type answer struct {
	status int
	body   string
	err    error // of the request, or within the content
	header http.Header
	res    *http.Response
}

func do(ctx context.Context, c *http.Client, method, url string, body io.Reader) answer {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return answer{err: err}
	}
	res, err := c.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(b), err, res.Header, res}
}
