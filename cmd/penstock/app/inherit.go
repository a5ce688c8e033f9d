package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/penstock-edge/penstock/listener"
)

// take takes an address: it binds it without listening yet, or takes the sockets that
// were passed on under its name, which listen.
func (p *Prepared) take(ctx context.Context, e endpoint, cfg listener.Config) (bound, error) {
	if e.name == "" {
		group, err := e.bind(ctx, cfg)
		return bound{e, group}, err
	}
	group, err := p.inherited.Group(e.name, cfg)
	if err != nil {
		return bound{}, e.explainInherited(err)
	}
	e.network, e.address = group.Addr().Network(), group.Addr().String()
	return bound{e, group}, nil
}

// takeInheritedPackets takes the UDP sockets that were passed on under the name of b.
func (p *Prepared) takeInheritedPackets(b *bound) (boundPackets, error) {
	group, err := p.inherited.Packets(b.name, listener.PacketConfig{ErrorLog: p.life.log})
	if err != nil {
		return boundPackets{}, b.explainInherited(fmt.Errorf("HTTP/3: %w", err))
	}
	tcp, ok := b.group.Addr().(*net.TCPAddr)
	if udp := group.Addr().(*net.UDPAddr); !ok || udp.Port != tcp.Port {
		_ = group.Close()
		return boundPackets{}, b.explainInherited(fmt.Errorf("HTTP/3: the UDP socket is on %v, and clients look for it on the port of %v", udp, b.group.Addr()))
	}
	e := b.endpoint
	e.network, e.address = "udp", group.Addr().String()
	return boundPackets{e, group}, nil
}

// explainInherited is explain for sockets that were passed on.
func (e endpoint) explainInherited(err error) error {
	return &ExitCodeError{ExitNoBind, &bindError{e.flag + " " + e.spec + ": " + err.Error(), err}}
}

// dropInherited closes what was passed on and nobody uses. The log tells, unless there
// is an error to tell of.
func (p *Prepared) dropInherited(failed bool) {
	for _, what := range p.inherited.Close() {
		if !failed {
			p.life.log.Warn("a socket that was passed on is not used; it is closed", slog.String("socket", what))
		}
	}
}
