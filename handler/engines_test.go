package handler_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
)

// engine is a server with a client of its protocol.
type engine struct {
	name   string
	major  int
	oracle bool // net/http
	// ends: an answer ends for its client with the declared length, not with its
	// handler.
	ends bool
}

var engines = []engine{
	{"h1", 1, false, true},
	{"h2", 2, false, true},
	{"h3", 3, false, false},
	{"nethttp-h1", 1, true, true},
	{"nethttp-h2", 2, true, false},
}

// forEngines runs f with each.
func forEngines(t *testing.T, f func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			f(t, e)
		})
	}
}

// start serves h, and returns its address and a client of the protocol, with the
// number of its connections.
func (e engine) start(t *testing.T, h http.Handler) (url string, client *http.Client, dials *atomic.Int64) {
	t.Helper()
	cert, pool := testCertificate()
	server, trust := &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool, ServerName: "localhost"}
	quiet := slog.New(slog.DiscardHandler)
	options := serve.ServerOptions{ErrorLog: quiet}
	dials = new(atomic.Int64)
	if e.major == 3 {
		s := &serve.Server{Handler: h, TLSConfig: server, Options: options}
		g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: "127.0.0.1:0", ErrorLog: quiet})
		must(t, err)
		serveUntilEnd(t, func() error { return s.ServeHTTP3(g, "", "") }, s.Close)
		transport := &http3.Transport{
			TLSClientConfig: trust,
			Dial: func(ctx context.Context, addr string, tlsConfig *tls.Config, cfg *quic.Config) (*quic.Conn, error) {
				dials.Add(1)
				return quic.DialAddrEarly(ctx, addr, tlsConfig, cfg)
			},
		}
		t.Cleanup(func() { transport.Close() })
		return "https://" + g.Addr().String(), &http.Client{Transport: transport}, dials
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(e.major == 1)
	protocols.SetHTTP2(e.major == 2)
	if e.oracle {
		s := &http.Server{Handler: h, TLSConfig: server, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0)}
		serveUntilEnd(t, func() error { return s.ServeTLS(l, "", "") }, s.Close)
	} else {
		s := &serve.Server{Handler: h, TLSConfig: server, Options: options}
		serveUntilEnd(t, func() error { return s.ServeTLS(l, "", "") }, s.Close)
	}
	transport := &http.Transport{
		TLSClientConfig: trust, Protocols: protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return "https://" + l.Addr().String(), &http.Client{Transport: transport}, dials
}

func serveUntilEnd(t *testing.T, serve func() error, stop func() error) {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
}

// testCertificate is one for localhost, for all tests.
var testCertificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	cert, err := certs.SelfSigned(nil)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return cert, pool
})

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
