//go:build !linux

package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
)

// bindPackets makes a group of one socket of package net, which shares its port
// with nobody.
func bindPackets(ctx context.Context, cfg *PacketConfig) (*PacketGroup, error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, cfg.Network, cfg.Address)
	if err != nil {
		return nil, err
	}
	return &PacketGroup{conns: []*net.UDPConn{c.(*net.UDPConn)}}, nil
}

// growBuffers sets the buffers, and logs if the system refuses.
func (g *PacketGroup) growBuffers(cfg *PacketConfig) error {
	var errs []error
	if cfg.ReadBuffer >= 0 {
		errs = append(errs, g.conns[0].SetReadBuffer(cfg.ReadBuffer))
	}
	if cfg.WriteBuffer >= 0 {
		errs = append(errs, g.conns[0].SetWriteBuffer(cfg.WriteBuffer))
	}
	if err := errors.Join(errs...); err != nil {
		cfg.ErrorLog.Warn("UDP buffers are smaller than asked for; bursts may be lost",
			slog.String("address", g.Addr().String()), slog.String("error", err.Error()))
	}
	return nil
}
