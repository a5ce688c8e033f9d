package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// probeURL makes one check of the target.
func probeURL(t *testing.T, p HTTPProber, url string, h Health) error {
	t.Helper()
	h.Path = "/readyz?full"
	o := Options{Targets: []Target{{URL: url}}, Health: h}
	g := newGroup(t, o, Hooks{})
	e := g.at(0)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return p.Probe(ctx, e, g.Options().Health)
}

// origin counts its connections, and answers what want says.
func origin(t *testing.T, answer http.HandlerFunc) (s *httptest.Server, conns *atomic.Int64) {
	conns = new(atomic.Int64)
	s = httptest.NewUnstartedServer(answer)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	t.Cleanup(s.Close)
	return s, conns
}

func TestHTTPProber(t *testing.T) {
	servetest.CheckLeaks(t)
	status := 200
	var sent atomic.Int64
	s, conns := origin(t, func(w http.ResponseWriter, r *http.Request) {
		servetest.Want(t, "method", r.Method, "GET")
		servetest.Want(t, "target", r.RequestURI, "/readyz?full")
		servetest.Want(t, "it is not to be kept", r.Close, true)
		servetest.Want(t, "it says who it is", r.UserAgent(), "penstock-health")
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		for range 100 {
			n, err := io.WriteString(w, strings.Repeat("x", 64<<10))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	s.Start()
	servetest.Must(t, "200", probeURL(t, HTTPProber{}, s.URL, Health{}))
	servetest.Want(t, "6 MiB were not read", sent.Load() < 6<<20, true)
	status = 302
	servetest.Must(t, "302 is an answer, nothing is followed", probeURL(t, HTTPProber{}, s.URL, Health{}))
	status = 503
	err := probeURL(t, HTTPProber{}, s.URL, Health{})
	servetest.Want(t, "503", err != nil && err.Error() == "status 503", true)
	servetest.Must(t, "503 if that is expected", probeURL(t, HTTPProber{}, s.URL, Health{Expect: "503"}))
	servetest.Want(t, "each on its own connection", conns.Load(), 4)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	l.Close()
	servetest.Want(t, "nobody listens", probeURL(t, HTTPProber{}, "http://"+l.Addr().String(), Health{}) != nil, true)
}

// The answer must be whole as far as it is read.
func TestHTTPProberCutAnswer(t *testing.T) {
	servetest.CheckLeaks(t)
	s, _ := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	s.Start()
	servetest.Want(t, "cut", probeURL(t, HTTPProber{}, s.URL, Health{}) != nil, true)
	servetest.Must(t, "not read", probeURL(t, HTTPProber{}, s.URL, Health{BodyBytes: -1}))
}

func TestHTTPProberTimeout(t *testing.T) {
	servetest.CheckLeaks(t)
	release := make(chan struct{})
	s, _ := origin(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	s.Start()
	g := newGroup(t, Options{Targets: []Target{{URL: s.URL}}, Health: Health{Path: "/", Timeout: 20 * time.Millisecond}}, Hooks{})
	err := probe(t.Context(), HTTPProber{}, g.at(0), g.Options().Health)
	servetest.WantErr(t, "no answer", err, context.DeadlineExceeded)
}

func TestHTTPProberTLS(t *testing.T) {
	servetest.CheckLeaks(t)
	var name, host, proto string
	s, conns := origin(t, func(_ http.ResponseWriter, r *http.Request) {
		name, host, proto = r.TLS.ServerName, r.Host, r.Proto
	})
	s.EnableHTTP2 = true
	s.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	p := HTTPProber{TLS: &tls.Config{RootCAs: roots}}
	servetest.Must(t, "by address", probeURL(t, p, s.URL, Health{}))
	servetest.Want(t, "its protocol", proto, "HTTP/2.0")
	servetest.Must(t, "by name", probeURL(t, p, s.URL, Health{Host: "example.com"}))
	servetest.Want(t, "Host", host, "example.com")
	servetest.Want(t, "and SNI with it", name, "example.com")
	servetest.Want(t, "another name", probeURL(t, p, s.URL, Health{Host: "example.net"}) != nil, true)
	servetest.Want(t, "unknown roots", probeURL(t, HTTPProber{}, s.URL, Health{}) != nil, true)
	servetest.Want(t, "each on its own connection", conns.Load(), 4)
}

func TestHTTPProberH2C(t *testing.T) {
	servetest.CheckLeaks(t)
	var proto string
	s, _ := origin(t, func(_ http.ResponseWriter, r *http.Request) { proto = r.Proto })
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	servetest.Must(t, "prior knowledge", probeURL(t, HTTPProber{}, "h2c://"+s.Listener.Addr().String(), Health{}))
	servetest.Want(t, "its protocol", proto, "HTTP/2.0")
}

func TestHTTPProberUnix(t *testing.T) {
	servetest.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	servetest.Must(t, "listen", err)
	var host string
	s, _ := origin(t, func(_ http.ResponseWriter, r *http.Request) { host = r.Host })
	s.Listener.Close()
	s.Listener = l
	s.Start()
	servetest.Must(t, "over a Unix socket", probeURL(t, HTTPProber{}, "http://unix:"+path, Health{}))
	servetest.Want(t, "Host", host, "localhost")
}
