package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// Protocol says which version of HTTP is spoken to the upstreams of a service.
type Protocol string

const (
	// ProtocolAuto is HTTP/2 for h2c targets, and for gRPC over TLS; HTTP/1.1 for
	// all else.
	ProtocolAuto Protocol = "auto"
	// ProtocolHTTP1 is HTTP/1.1 for all but h2c targets.
	ProtocolHTTP1 Protocol = "h1"
	// ProtocolHTTP2 is HTTP/2: over TLS as agreed by ALPN, in the clear with prior
	// knowledge.
	ProtocolHTTP2 Protocol = "h2"
)

// ServiceOptions are where the requests of a service go, and how.
type ServiceOptions struct {
	// Options are the targets, and how one is chosen; its ConnectTimeout and
	// HeadTimeout are those of connections and requests too.
	upstream.Options

	// Protocol: if zero, ProtocolAuto.
	Protocol Protocol
	// TLS is for https targets; it is copied. The server is verified against
	// ServerName; if that is zero, against the target's host. If nil, the system's
	// authorities are trusted.
	TLS *tls.Config
	// TLSName tells configurations apart: a reload with the same name and the same
	// options keeps the connections. It is the caller's to change it with TLS.
	TLSName string

	// HandshakeTimeout bounds the TLS handshake. If zero, 5 s. If negative, none.
	HandshakeTimeout time.Duration
	// IdleTimeout bounds each wait for bytes of an answer, and each wait to write.
	// If zero, 60 s. If negative, none.
	IdleTimeout time.Duration
	// MaxIdle connections are kept for each shard and upstream. If zero, 64. If
	// negative, none.
	MaxIdle int
	// KeepAlive is how long one is kept. If zero, 60 s. If negative, for ever.
	KeepAlive time.Duration
	// MaxAge is how long a connection is used, ±10 %. If zero, 1 h. If negative, for
	// ever.
	MaxAge time.Duration
	// MaxHead bounds the heads of one answer, in bytes. If zero or negative, 64 KiB.
	MaxHead int

	// TunnelGrace is how long a tunnel to a target that Update has taken away lives on,
	// until it is told to go away. If zero, 10 min. If negative, it is told at once.
	TunnelGrace time.Duration
}

// transportOptions are the part that connections are made by. Connections outlive a
// reload that does not change it.
type transportOptions struct {
	protocol                              Protocol
	tlsName                               string
	connect, handshake, keepAlive, maxAge time.Duration
	maxIdle, maxHead                      int
}

func (o *ServiceOptions) transport() transportOptions {
	return transportOptions{
		protocol: o.Protocol, tlsName: o.TLSName, connect: o.ConnectTimeout, handshake: o.HandshakeTimeout,
		keepAlive: o.KeepAlive, maxAge: o.MaxAge, maxIdle: o.MaxIdle, maxHead: o.MaxHead,
	}
}

// Validate reports all that is wrong, joined.
func (o *ServiceOptions) Validate() error {
	var errs []error
	if err := o.Options.Validate(); err != nil {
		errs = append(errs, err)
	}
	switch o.Protocol {
	case "", ProtocolAuto, ProtocolHTTP1, ProtocolHTTP2:
	default:
		errs = append(errs, fmt.Errorf("protocol %q is none of auto, h1, h2", o.Protocol))
	}
	return errors.Join(errs...)
}

// defaultIdleTimeout: event streams want more (front.md section 2).
const defaultIdleTimeout = 60 * time.Second

// defaultTunnelGrace: whoever works at the other end shall find a good moment.
const defaultTunnelGrace = 10 * time.Minute

// limit is a duration under the contract: zero is the default, negative none.
func limit(d, byDefault time.Duration) time.Duration {
	switch {
	case d == 0:
		return byDefault
	case d < 0:
		return 0
	}
	return d
}
