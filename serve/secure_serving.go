package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/listener"
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
	// Packets are the UDP sockets of HTTP/3, on the port of Listener by custom;
	// answers of Listener tell of it (Alt-Svc). If nil, there is no HTTP/3.
	Packets *listener.PacketGroup
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
// The only errors are a nil listener or handler, an unusable TLS configuration,
// and Packets that cannot be served.
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
	srv := &Server{Handler: handler, Options: s.options(), TLSConfig: &tls.Config{
		Certificates: s.Certificates, GetCertificate: s.GetCertificate,
		MinVersion: s.MinTLSVersion, CipherSuites: s.CipherSuites, CurvePreferences: s.CurvePreferences,
	}}
	if s.Packets != nil { // first: it may fail for more reasons, and Listener is still the caller's then
		srv.packetPort = portOf(s.Packets)
		if _, err := srv.attachHTTP3(s.Packets, "", ""); err != nil {
			srv.Close()
			return nil, nil, err
		}
	}
	svc, err := srv.attachTLS(s.Listener, "", "")
	if err != nil {
		srv.Close()
		return nil, nil, err
	}
	r := &run{srv: srv, svc: svc, timeout: shutdownTimeout, stopped: s.Stopped, failed: s.Failed}
	stoppedCh, listenerStoppedCh = r.start(stopCh)
	return stoppedCh, listenerStoppedCh, nil
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
	srv := &Server{Handler: handler, Options: opts}
	svc, err := srv.attach(l, nil)
	if err != nil {
		return nil, nil, err
	}
	r := &run{srv: srv, svc: svc, timeout: shutdownTimeout}
	stoppedCh, listenerStoppedCh = r.start(stopCh)
	return stoppedCh, listenerStoppedCh, nil
}

// run is a server that serves until a channel closes.
type run struct {
	srv     *Server
	svc     *service
	timeout time.Duration     // of the stop
	stopped func(DrainReport) // may be nil
	failed  func(error)       // likewise
}

// start serves, and stops when stopCh closes or accepting fails.
func (r *run) start(stopCh <-chan struct{}) (stoppedCh, listenerStoppedCh <-chan struct{}) {
	if r.svc.group == nil {
		go r.svc.acceptPortable()
	}
	stopped, listenerStopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-stopCh:
		case <-r.svc.done:
			if r.failed != nil {
				r.failed(r.svc.err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
		defer cancel()
		r.srv.beginDrain()
		r.srv.stopListening()
		close(listenerStopped)
		if r.srv.awaitDrained(ctx) != nil {
			r.srv.Close()
		}
		if r.stopped != nil {
			r.stopped(r.srv.DrainReport())
		}
	}()
	return stopped, listenerStopped
}
