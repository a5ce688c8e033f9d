package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/h1"
	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// client is what the proxy asks of its HTTP/1 and HTTP/2 clients.
type client interface {
	Do(ctx context.Context, home link.Home, req *message.Request) (message.Exchange, error)
	Sweep(now time.Time)
	Idle() int
	Close()
}

// backend is the connections to one upstream. It is Endpoint.Pool.
type backend struct {
	// Immutable.
	endpoint *upstream.Endpoint
	name     string // in logs
	plain    client // for all but gRPC
	grpc     client // may be the same
	h2       client // which of them speaks HTTP/2; nil: neither
	scheme   string // of requests

	// Atomic.
	conns   atomic.Int64 // open
	streams atomic.Bool  // the endpoint knows that a connection carries many requests
}

func newBackend(e *upstream.Endpoint, opts *ServiceOptions) *backend {
	b := &backend{endpoint: e, name: e.String(), scheme: "http"}
	var cfg *tls.Config
	if e.Scheme == "https" {
		b.scheme = "https"
		if cfg = opts.TLS.Clone(); cfg == nil {
			cfg = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if cfg.ServerName == "" {
			// Not the address, which a name was looked up for.
			cfg.ServerName = hostOf(e.Authority)
		}
	}
	switch {
	case opts.Protocol == ProtocolHTTP2 || e.Scheme == "h2c":
		b.h2 = b.newH2(e, cfg, opts)
		b.plain, b.grpc = b.h2, b.h2
	case opts.Protocol != ProtocolHTTP1 && cfg != nil:
		b.h2 = b.newH2(e, cfg, opts)
		b.plain, b.grpc = b.newH1(e, cfg, opts), b.h2
	default:
		b.plain = b.newH1(e, cfg, opts)
		b.grpc = b.plain
	}
	return b
}

func (b *backend) newH1(e *upstream.Endpoint, cfg *tls.Config, o *ServiceOptions) client {
	return h1.New(h1.Options{
		Network: e.Network, Address: e.Address, TLS: cfg,
		ConnectTimeout: o.ConnectTimeout, HandshakeTimeout: o.HandshakeTimeout,
		MaxIdle: o.MaxIdle, IdleTimeout: o.KeepAlive, MaxAge: o.MaxAge, MaxHead: o.MaxHead,
		Opened: b.opened, Closed: b.ended,
	})
}

func (b *backend) opened() { b.conns.Add(1) }

func (b *backend) ended() { b.conns.Add(-1) }

// streamsPerConn is what one HTTP/2 connection counts for, against the limit of
// connections, until the upstream says otherwise: h2.Options.MaxStreams.
const streamsPerConn = 100

// client is the one for a request.
func (b *backend) client(grpc bool) client {
	c := b.plain
	if grpc {
		c = b.grpc
	}
	if c == b.h2 && !b.streams.Load() && b.streams.CompareAndSwap(false, true) {
		b.endpoint.SetStreams(streamsPerConn)
	}
	return c
}

func (b *backend) sweep(now time.Time) {
	b.plain.Sweep(now)
	if b.grpc != b.plain {
		b.grpc.Sweep(now)
	}
}

func (b *backend) idle() int {
	n := b.plain.Idle()
	if b.grpc != b.plain {
		n += b.grpc.Idle()
	}
	return n
}

func (b *backend) close() {
	b.plain.Close()
	if b.grpc != b.plain {
		b.grpc.Close()
	}
}

// hostOf is the host of an authority, without brackets.
func hostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	if n := len(authority); n > 1 && authority[0] == '[' && authority[n-1] == ']' {
		return authority[1 : n-1]
	}
	return authority
}
