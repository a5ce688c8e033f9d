package bench

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// patience bounds every run; reaching it fails a test.
const patience = 2 * time.Minute

// insecure takes any certificate.
var insecure = &tls.Config{InsecureSkipVerify: true}

// form is a way to speak to a server of net/http.
type form struct {
	name     string
	protocol Protocol
	secure   bool
}

var forms = []form{{"h1", H1, false}, {"h1 TLS", H1, true}, {"h2c", H2, false}, {"h2", H2, true}, {"h3", H3, true}}

// forForms runs a test over every version.
func forForms(t *testing.T, f func(t *testing.T, f form)) {
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) { f(t, form) })
	}
}

// serve starts a server of known behaviour.
func (f form) serve(t testing.TB, h http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(f.protocol != H2)
	s.Config.Protocols.SetHTTP2(f.protocol == H2)
	s.Config.Protocols.SetUnencryptedHTTP2(f.protocol == H2)
	s.EnableHTTP2 = f.protocol == H2
	if f.secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	if f.protocol == H3 {
		return serveH3(t, h, s.TLS.Certificates)
	}
	return parse(t, s.URL)
}

// serveH3 is quic-go's server.
func serveH3(t testing.TB, h http.Handler, certificates []tls.Certificate) *url.URL {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certificates}), Logger: slog.New(slog.DiscardHandler)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close()
		<-ended
	})
	return parse(t, "https://"+l.LocalAddr().String())
}

func (f form) streams() int {
	if f.protocol == H1 {
		return 1
	}
	return 4
}

// options ask u with few connections.
func (f form) options(u *url.URL) Options {
	return Options{URLs: []*url.URL{u}, Protocol: f.protocol, Connections: 3, Streams: f.streams(), Workers: 2, TLS: insecure, Timeout: patience}
}

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// result runs o, which has to have one whose counts add up.
func result(t testing.TB, o Options) *Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("the run does not end: %+v", r)
	}
	if r.Requests != r.Completed+r.Failed+r.Abandoned {
		t.Errorf("%d requests, but %d + %d + %d", r.Requests, r.Completed, r.Failed, r.Abandoned)
	}
	if r.Latency.Count() != r.Completed {
		t.Errorf("%d latencies of %d answers", r.Latency.Count(), r.Completed)
	}
	var status, errs, series int64
	for _, n := range r.Status {
		status += n
	}
	for _, n := range r.Errors {
		errs += n
	}
	for _, p := range r.Series {
		series += p.Completed
	}
	if status != r.Completed || errs != r.Failed || series != r.Completed {
		t.Errorf("completed %d: %d by status, %d in the series; failed %d: %d by kind", r.Completed, status, series, r.Failed, errs)
	}
	return r
}

// counts fails unless so many were completed, and failed.
func counts(t *testing.T, r *Result, completed, failed int64) {
	t.Helper()
	if r.Completed != completed || r.Failed != failed || r.Abandoned != 0 {
		t.Errorf("%d completed, %d failed (%v: %v), %d abandoned; want %d and %d", r.Completed, r.Failed, r.Errors, r.FirstError, r.Abandoned, completed, failed)
	}
}

// script is a server of raw bytes: each connection is given to f.
func script(t *testing.T, f func(net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				f(c)
			}()
		}
	}()
	return parse(t, "http://"+l.Addr().String()+"/")
}
