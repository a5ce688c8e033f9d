package proxy

import (
	"crypto/tls"

	"github.com/penstock-edge/penstock/handler/proxy/h2"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

func (b *backend) newH2(e *upstream.Endpoint, cfg *tls.Config, o *ServiceOptions) client {
	return h2.New(h2.Options{
		Network: e.Network, Address: e.Address, TLS: cfg,
		ConnectTimeout: o.ConnectTimeout, HandshakeTimeout: o.HandshakeTimeout,
		IdleTimeout: o.KeepAlive, MaxAge: o.MaxAge, MaxHead: o.MaxHead,
		Opened: b.opened, Closed: b.ended,
	})
}
