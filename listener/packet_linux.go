package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bindPackets makes the group's sockets; cfg is complete.
func bindPackets(ctx context.Context, cfg *PacketConfig) (*PacketGroup, error) {
	candidates, err := packetEndpoints(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for i, e := range candidates {
		g, err := bindPacketGroup(cfg, e)
		if err == nil {
			return g, nil
		}
		if i == len(candidates)-1 || !lacksFamily(err) {
			return nil, listenError(cfg.bindConfig(), err)
		}
	}
	return nil, nil // not reached: there is at least one
}

// bindConfig is what bindSocket and listenError want to know.
func (c *PacketConfig) bindConfig() *Config { return &Config{Network: c.Network, Address: c.Address} }

// packetEndpoints is endpoints for UDP. The addresses are the same; names of
// ports are TCP's.
func packetEndpoints(ctx context.Context, cfg *PacketConfig) ([]endpoint, error) {
	found, err := endpoints(ctx, &Config{Network: "tcp" + strings.TrimPrefix(cfg.Network, "udp"), Address: cfg.Address})
	if err != nil {
		return nil, fmt.Errorf("listen %s %s: %w", cfg.Network, cfg.Address, errors.Unwrap(err)) // without "listen tcp"
	}
	return found, nil
}

// bindPacketGroup binds all sockets to one endpoint. A UDP socket takes packets
// from bind(2) on, so the first has its program before. While the others are
// still being bound the program may name one that is not there: the hash
// decides, as for long headers, and no connection ID has been given out yet.
//
// No probe as for TCP: Linux lets a socket that has a program already join no
// group (EADDRINUSE), and one that is alone has no SO_REUSEPORT. So the first
// bind is refused if anybody has the port, whatever his options, and no
// stranger can slip in between.
func bindPacketGroup(cfg *PacketConfig, e endpoint) (g *PacketGroup, err error) {
	var conns []*net.UDPConn
	defer func() {
		if err != nil {
			for _, c := range conns {
				_ = c.Close()
			}
		}
	}()
	for i := range cfg.Sockets {
		fd, err := openPacketSocket(cfg, e)
		if err != nil {
			return nil, err
		}
		if i == 0 && cfg.Sockets > 1 {
			if err := cfg.attach(fd); err != nil {
				_ = unix.Close(fd)
				return bindUnsteered(cfg, e, err)
			}
		}
		c, err := bindPacketSocket(cfg, e, fd)
		if err != nil {
			return nil, err
		}
		conns = append(conns, c)
		if udp, ok := c.LocalAddr().(*net.UDPAddr); ok {
			e.port = uint16(udp.Port)
		}
	}
	return &PacketGroup{conns: conns, steerByte: cfg.SteerByte}, nil
}

// attach steers the packets of the group that fd will begin.
func (c *PacketConfig) attach(fd int) error {
	if c.steer != nil {
		return c.steer(fd, c.Sockets, c.SteerByte)
	}
	return steer(fd, c.Sockets, c.SteerByte)
}

// bindUnsteered binds the one socket that needs no program. Several without one
// would kill live connections (see packet.go).
func bindUnsteered(cfg *PacketConfig, e endpoint, reason error) (*PacketGroup, error) {
	one := *cfg
	one.Sockets = 1
	g, err := bindPacketGroup(&one, e)
	if err != nil {
		return nil, err
	}
	g.unsteered = reason
	return g, nil
}

// openPacketSocket makes a socket with all its options.
func openPacketSocket(cfg *PacketConfig, e endpoint) (fd int, err error) {
	fd, err = unix.Socket(e.family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	v6only := 0
	if e.v6only {
		v6only = 1
	}
	// No SO_REUSEADDR: with it a UDP port can be taken away.
	err = setAll(fd, []option{
		{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only, e.family == unix.AF_INET6},
		{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, cfg.Sockets > 1 || cfg.Join},
	})
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindPacketSocket binds fd, which is no longer the caller's, and puts it in
// Go's poller.
func bindPacketSocket(cfg *PacketConfig, e endpoint, fd int) (*net.UDPConn, error) {
	if _, err := bindSocket(cfg.bindConfig(), e, fd); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return packetConn(fd)
}

// packetConn puts a UDP socket, which is no longer the caller's, in Go's poller.
func packetConn(fd int) (*net.UDPConn, error) {
	file := os.NewFile(uintptr(fd), "udp socket")
	defer file.Close() // the connection has a duplicate
	c, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil // net tells by the kind of the socket
}

// growBuffers sets the buffers, and logs once for the group if they came out
// too small.
func (g *PacketGroup) growBuffers(cfg *PacketConfig) error {
	var read, write int // of the last socket; the others are like it
	for _, c := range g.conns {
		var readErr, writeErr error
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		err = raw.Control(func(fd uintptr) {
			read, readErr = growBuffer(int(fd), cfg.ReadBuffer, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
			write, writeErr = growBuffer(int(fd), cfg.WriteBuffer, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
		})
		if err = errors.Join(err, readErr, writeErr); err != nil {
			return err
		}
	}
	if read < cfg.ReadBuffer || write < cfg.WriteBuffer {
		cfg.ErrorLog.Warn("UDP buffers are smaller than asked for; bursts may be lost",
			slog.String("address", g.Addr().String()),
			slog.Int("read_asked", cfg.ReadBuffer), slog.Int("read_got", read),
			slog.Int("write_asked", cfg.WriteBuffer), slog.Int("write_got", write),
			slog.String("fix", bufferFix(cfg, read, write)))
	}
	return nil
}

// growBuffer asks for a buffer, beyond the system's maximum where this process
// has CAP_NET_ADMIN, and returns what came of it. That is in the unit of size:
// the kernel doubles the value, for its bookkeeping, and reports it doubled.
func growBuffer(fd, size, forced, plain int) (got int, err error) {
	if size >= 0 && unix.SetsockoptInt(fd, unix.SOL_SOCKET, forced, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size) // what is read now tells
	}
	got, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, plain)
	return got / 2, os.NewSyscallError("getsockopt", err)
}

// bufferFix is the command that allows what was asked for.
func bufferFix(cfg *PacketConfig, read, write int) string {
	fix := "sysctl -w"
	if read < cfg.ReadBuffer {
		fix += fmt.Sprintf(" net.core.rmem_max=%d", cfg.ReadBuffer)
	}
	if write < cfg.WriteBuffer {
		fix += fmt.Sprintf(" net.core.wmem_max=%d", cfg.WriteBuffer)
	}
	return fix
}
