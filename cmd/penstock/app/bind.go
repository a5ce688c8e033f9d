package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

// boundPackets is one of --tls-listen whose UDP port was taken.
type boundPackets struct {
	endpoint
	group *listener.PacketGroup
}

// bound is an address that was taken.
type bound struct {
	endpoint
	group *listener.Group
}

// deferAccept is how long, about, a connection without a byte waits in the kernel.
const deferAccept = time.Second

// anyPortTries bounds the search for a port that is free for TCP and UDP.
const anyPortTries = 8

// listenConfig is that of the addresses for HTTP.
func (p *Prepared) listenConfig() listener.Config {
	// In HTTP the client speaks first, so a connection may wait in the kernel
	// until its first bytes are there: 11 in place of 18 us of CPU for one with
	// a single request (BENCHMARKS.md, churn). The price: a connection opened
	// ahead of its request is not seen by the drain during its first second.
	cfg := listener.Config{Sockets: p.opts.Listeners, DeferAccept: deferAccept, Join: p.opts.PermitPortSharing, ErrorLog: p.life.log}
	p.opts.applyTCP(&cfg)
	return cfg
}

func (p *Prepared) bind(ctx context.Context) error {
	var err error
	if p.inherited, err = listener.Inherit(); err != nil {
		return err
	}
	cfg := p.listenConfig()
	// One socket, and a unix socket for its owner alone.
	adminCfg := listener.Config{Sockets: 1, UnixMode: 0o600, ErrorLog: p.life.log}
	var admin, profiles []string
	if p.opts.Admin != adminOff {
		admin = []string{p.opts.Admin}
	}
	if p.opts.DebugSocket != "" {
		profiles = []string{unixPrefix + p.opts.DebugSocket}
	}
	var socket []string
	if p.opts.file != nil && p.opts.file.config().Admin.Socket != "" {
		socket = []string{unixPrefix + p.opts.file.config().Admin.Socket}
	}
	for _, set := range []struct {
		to    *[]bound
		flag  string
		specs []string
		cfg   listener.Config
	}{
		{&p.plain, "--listen", p.opts.Listen, cfg},
		{&p.secure, "--tls-listen", p.opts.TLSListen, cfg},
		{&p.admin, "--admin", admin, adminCfg},
		{&p.socket, "admin.socket", socket, adminCfg},
		{&p.profiles, "--debug-socket-path", profiles, adminCfg},
	} {
		all, errs := endpoints(set.flag, set.specs)
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, e := range all {
			b, err := p.take(ctx, e, set.cfg)
			if err != nil {
				return err
			}
			*set.to = append(*set.to, b)
		}
	}
	if err := p.checkAdmin(); err != nil {
		return err
	}
	return p.bindPackets(ctx)
}

// checkAdmin is what validateAddresses could not know of sockets that are passed on.
func (p *Prepared) checkAdmin() error {
	for _, b := range p.admin {
		if !b.loopback() && !p.opts.adminTLS() {
			return fmt.Errorf("--admin %s: on %s: %w", b.spec, b.address, errAdminPlace)
		}
	}
	return nil
}

// bindPackets takes the UDP ports of --tls-listen for HTTP/3.
func (p *Prepared) bindPackets(ctx context.Context) error {
	if !p.opts.HTTP3 {
		return nil
	}
	for i := range p.secure {
		b := &p.secure[i]
		if b.network == "unix" && b.name == "" {
			continue
		}
		packets, err := p.packetsFor(ctx, b)
		if err != nil {
			return err
		}
		p.packets = append(p.packets, packets)
	}
	return nil
}

// packetsFor takes the UDP port of b's number. Where the system picks the port, and
// in UDP it is somebody else's, b gets another one; b must not listen yet then.
func (p *Prepared) packetsFor(ctx context.Context, b *bound) (boundPackets, error) {
	packets, err := p.takePackets(ctx, b)
	for try := 1; !b.fixedPort() && errors.Is(err, syscall.EADDRINUSE) && try < anyPortTries; try++ {
		if err := p.rebind(ctx, b); err != nil {
			return boundPackets{}, err
		}
		packets, err = p.takePackets(ctx, b)
	}
	return packets, err
}

// takePackets takes the UDP port of b's number.
func (p *Prepared) takePackets(ctx context.Context, b *bound) (boundPackets, error) {
	if b.name != "" {
		return p.takeInheritedPackets(b)
	}
	e, err := b.packets()
	if err != nil {
		return boundPackets{}, err
	}
	group, err := listener.BindPackets(ctx, listener.PacketConfig{Network: e.network, Address: e.address, Sockets: p.opts.Listeners, Join: p.opts.PermitPortSharing, ErrorLog: p.life.log})
	if err != nil {
		return boundPackets{}, e.explain(err)
	}
	return boundPackets{e, group}, nil
}

// rebind lets the system pick another port for b. The old one is kept until
// then, or it could be picked again.
func (p *Prepared) rebind(ctx context.Context, b *bound) error {
	group, err := b.bind(ctx, p.listenConfig())
	if err != nil {
		return err
	}
	_ = b.group.Close() // nothing was accepted
	b.group = group
	return nil
}

func (p *Prepared) groups() []bound {
	return slices.Concat(p.admin, p.socket, p.profiles, p.plain, p.secure)
}

func (p *Prepared) closeGroups() {
	for _, b := range p.groups() {
		_ = b.group.Close() // nothing was accepted: nothing to lose; closing twice is no error
	}
	for _, b := range p.packets {
		_ = b.group.Close()
	}
}

// listeners are the groups as listeners.
func listeners(all []bound) []net.Listener {
	list := make([]net.Listener, 0, len(all))
	for _, b := range all {
		list = append(list, b.group)
	}
	return list
}

// listen is the last step that may find an address taken.
func (p *Prepared) listen() error {
	for _, b := range p.groups() {
		if err := b.group.Listen(); err != nil {
			return b.explain(err)
		}
	}
	return nil
}
