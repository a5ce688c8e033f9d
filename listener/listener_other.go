//go:build !linux

package listener

import (
	"context"
	"errors"
	"net"
)

// binding: package net binds and listens at once.
type binding struct{}

// socketFile: package net removes the file of a unix socket.
type socketFile struct{}

func (*socketFile) remove() error { return nil }

// bind makes a group of one listener of package net.
func bind(ctx context.Context, cfg Config) (*Group, error) {
	cfg.Sockets = 1
	idle := net.KeepAliveConfig{
		Enable: cfg.KeepAliveIdle > 0, Idle: cfg.KeepAliveIdle,
		Interval: cfg.KeepAliveInterval, Count: cfg.KeepAliveCount,
	}
	lc := net.ListenConfig{KeepAlive: -1, KeepAliveConfig: idle}
	l, err := lc.Listen(ctx, cfg.Network, cfg.Address)
	if err != nil {
		return nil, err
	}
	return newGroup(cfg, l.Addr(), []*Socket{{l: l}}), nil
}

// listen does nothing: the listener has listened since bind.
func (g *Group) listen() error { return nil }

// adopt takes the listener itself, since a duplicate brings nothing here.
func adopt(l net.Listener) (*Group, error) {
	cfg, err := Config{Network: l.Addr().Network(), Address: l.Addr().String(), Sockets: 1}.complete()
	if err != nil {
		return nil, err
	}
	g := newGroup(cfg, l.Addr(), []*Socket{{l: l}})
	g.listening = true
	return g, nil
}

// No service manager of these systems passes descriptors so.
func (i *inherited) inspect() bool { return true }
func (i *inherited) close()        {}

func adoptStreams([]inherited, Config) (*Group, error) { return nil, errors.ErrUnsupported }

func adoptPackets([]inherited, PacketConfig) (*PacketGroup, error) {
	return nil, errors.ErrUnsupported
}

// ConnectionCeiling is the number of connections to hold at most (rule S-4);
// on this system a fixed one.
func ConnectionCeiling() int { return 4096 }
