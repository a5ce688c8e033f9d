package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
)

// The limits that SecureServingInfo uses where Options leave them zero: those
// of the API server, looser than those of ServerOptions,
// which the serving commands use.
const (
	secureMaxHeaderBytes  = 1 << 20
	secureIdleTimeout     = 90 * time.Second
	secureReadHeadTimeout = 32 * time.Second // net/http: also the handshake's
	secureMaxStreams      = 100
	secureStreamWindow    = 256 << 10
	frameWindowMax        = 1<<31 - 1 // RFC 9113 §6.9.1
)

// SecureServingInfo is what a TLS server of the API server's kind is made of.
// A listener.Group counts as one Listener.
type SecureServingInfo struct {
	// Listener is where connections come from. Required.
	Listener net.Listener
	// Certificates are the server's; at least one, unless GetCertificate is set.
	Certificates []tls.Certificate
	// GetCertificate chooses by ClientHello, as in tls.Config.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// MinTLSVersion is tls.VersionTLS12 if zero; a lower one is an error (T-4).
	MinTLSVersion uint16
	// CipherSuites of TLS 1.2; if empty, ECDHE with AEAD.
	CipherSuites []uint16
	// CurvePreferences; if empty, Go's.
	CurvePreferences []tls.CurveID
	// HTTP2MaxStreamsPerConnection is Options.MaxStreams by the API server's name.
	// If zero, that.
	HTTP2MaxStreamsPerConnection int
	// DisableHTTP2 leaves HTTP/1.1 alone.
	DisableHTTP2 bool
	// Options tune the server. Zero fields follow the API server: 1 MiB of
	// header, 90 s idle, 32 s for a head and for a handshake; of HTTP/2 256 KiB of
	// receive window a stream, and as much for each stream of a connection.
	Options ServerOptions
	// Stopped, if set, is given the report of the stop before stoppedCh closes.
	Stopped func(DrainReport)
	// Failed, if set, is told of an error that ends accepting while stopCh is
	// open. The API server panics there; we drain, and the caller exits 1.
	Failed func(error)
}

var errTLSVersion = errors.New("MinTLSVersion is below TLS 1.2; set tls.VersionTLS12 or tls.VersionTLS13")

// Serve serves handler over TLS until stopCh closes, then drains for at most
// shutdownTimeout and cuts what is left. It never blocks. stoppedCh closes
// when no connection is left, which upstream does not promise;
// listenerStoppedCh when nothing more is accepted, never later than stoppedCh.
// The only errors are a nil listener or handler, and an unusable TLS
// configuration.
func (s *SecureServingInfo) Serve(handler http.Handler, shutdownTimeout time.Duration, stopCh <-chan struct{}) (stoppedCh, listenerStoppedCh <-chan struct{}, err error) {
	if s.Listener == nil {
		return nil, nil, errNilListener
	}
	if handler == nil {
		return nil, nil, errNilHandler
	}
	if s.MinTLSVersion != 0 && s.MinTLSVersion < tls.VersionTLS12 {
		return nil, nil, errTLSVersion
	}
	opts := s.options()
	cfg, err := tlsConfig(&tls.Config{
		Certificates: s.Certificates, GetCertificate: s.GetCertificate,
		MinVersion: s.MinTLSVersion, CipherSuites: s.CipherSuites, CurvePreferences: s.CurvePreferences,
	}, "", "", opts.offered(), certs.NewTicketKeys(time.Now()))
	if err != nil {
		return nil, nil, err
	}
	return run(handler, opts, s.Listener, cfg, shutdownTimeout, stopCh, s.Stopped, s.Failed)
}

// options are the caller's with the API server's defaults.
func (s *SecureServingInfo) options() ServerOptions {
	o := s.Options
	if o.MaxHeaderBytes == 0 {
		o.MaxHeaderBytes = secureMaxHeaderBytes
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = secureIdleTimeout
	}
	if o.ReadHeadTimeout == 0 {
		o.ReadHeadTimeout = secureReadHeadTimeout
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = secureReadHeadTimeout
	}
	o.DisableHTTP2 = o.DisableHTTP2 || s.DisableHTTP2
	if s.HTTP2MaxStreamsPerConnection != 0 {
		o.MaxStreams = s.HTTP2MaxStreamsPerConnection
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = secureMaxStreams
	}
	if o.StreamWindow == 0 {
		o.StreamWindow = secureStreamWindow
	}
	if o.ConnWindow == 0 { // streams must not wait for each other's (kubernetes/kubernetes#67902)
		o.ConnWindow = frameWindowMax
		if o.MaxStreams > 0 {
			o.ConnWindow = min(o.StreamWindow*o.MaxStreams, frameWindowMax)
		}
	}
	return o
}

// RunServer serves handler in the clear on l, with Serve's channels and stop.
func RunServer(handler http.Handler, l net.Listener, opts ServerOptions, shutdownTimeout time.Duration, stopCh <-chan struct{}) (stoppedCh, listenerStoppedCh <-chan struct{}, err error) {
	if l == nil {
		return nil, nil, errNilListener
	}
	if handler == nil {
		return nil, nil, errNilHandler
	}
	return run(handler, opts, l, nil, shutdownTimeout, stopCh, nil, nil)
}

func run(handler http.Handler, opts ServerOptions, l net.Listener, cfg *tls.Config, timeout time.Duration, stopCh <-chan struct{},
	stopped func(DrainReport), failed func(error),
) (<-chan struct{}, <-chan struct{}, error) {
	srv := &Server{Handler: handler, Options: opts}
	svc, err := srv.attach(l, cfg)
	if err != nil {
		return nil, nil, err
	}
	if svc.group == nil {
		go svc.acceptPortable()
	}
	stoppedCh, listenerStoppedCh := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stoppedCh)
		select {
		case <-stopCh:
		case <-svc.done:
			if failed != nil {
				failed(svc.err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		srv.beginDrain()
		srv.stopListening()
		close(listenerStoppedCh)
		if srv.awaitDrained(ctx) != nil {
			srv.Close()
		}
		if stopped != nil {
			stopped(srv.DrainReport())
		}
	}()
	return stoppedCh, listenerStoppedCh, nil
}
