package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime"
	"slices"
	"sync"
)

// QUIC over several UDP sockets: which packet goes where.
//
// TCP has a connection in the kernel, UDP has none: for every single datagram
// the kernel chooses one of the sockets that share a port, by a hash of the two
// addresses. A QUIC connection outlives a change of the client's address (a NAT
// that forgets, a telephone that leaves the house), so by hash alone it would
// one day come out at a socket whose owner does not know it. That owner answers
// with a stateless reset; all shards have the same key, so the reset is valid
// and kills the live connection.
//
// So the kernel is told to look at the connection ID, which stays:
//
//	first byte of the datagram
//	─┬─────────────────────────
//	 ├─ 0xxxxxxx  short header, all packets of a connection that stands:
//	 │            socket = byte SteerByte of the destination ID, mod N
//	 └─ 1xxxxxxx  long header, the handshake: by hash
//
// The server chooses the IDs that short headers carry, and gives those of shard
// i a byte whose value mod N is i. The IDs of a client's first packets are the
// client's own choice: by them it could aim a flood at one shard, by the hash it
// cannot. The hash keeps all packets of one handshake together, as long as the
// client's address stays.
const (
	// defaultPacketBuffer is what quic-go wants as well: 6 ms at 10 Gbit/s.
	defaultPacketBuffer = 7 << 20
	// maxPacketBuffer: the kernel doubles the value and keeps it in an int.
	maxPacketBuffer = math.MaxInt32 / 2
	// maxPacketSockets is how many a single byte can tell apart.
	maxPacketSockets = 256
	// maxSteerByte: RFC 9000 §17.2: a connection ID has at most 20 bytes.
	maxSteerByte = 19
)

// PacketConfig says where a PacketGroup listens and how packets are spread
// over its sockets. The zero value of every field but Address is good for a
// server at the edge. A PacketConfig is only read; it may be used for several
// groups.
type PacketConfig struct {
	// Network is "udp" (IPv4 and IPv6), "udp4" or "udp6". If empty, "udp".
	Network string
	// Address is "host:port", and means what it does in Config. With port 0 the
	// first socket picks the port and the others share it.
	Address string
	// Sockets is the number of sockets in the group, 256 at most. If zero or
	// negative, GOMAXPROCS. It is 1 where packets cannot be steered: with Join,
	// on systems other than Linux, and where Linux refuses the program that
	// steers, which is logged. So ask for len(Conns()).
	Sockets int
	// SteerByte is the offset, within the connection ID, of the byte whose value
	// mod the number of sockets is the index of the socket: 0 to 19. If zero, the
	// first byte.
	SteerByte int
	// ReadBuffer and WriteBuffer are the bytes of payload and bookkeeping that
	// may wait in each socket (SO_RCVBUF, SO_SNDBUF). What does not fit is lost.
	// Without CAP_NET_ADMIN Linux cuts them to net.core.rmem_max and
	// net.core.wmem_max, which is logged. If zero, 7 MiB. If negative, the
	// system's own.
	ReadBuffer, WriteBuffer int
	// Join lets the group share its port with sockets of other processes of the
	// same user (SO_REUSEPORT). If false, an address that anybody has is refused
	// with an *InUseError. The processes cannot be told apart by a connection ID,
	// so the group has one socket, and a connection breaks when the client's
	// address changes or a process comes or goes. All processes need Join:
	// one that steers would be joined in silence, and gets what is not its own.
	Join bool

	// ErrorLog receives what does not keep the group from working: fewer
	// sockets or smaller buffers than asked for, at most one line for each. If
	// nil, slog.Default().
	ErrorLog *slog.Logger

	// steer stands in for the system call in tests.
	steer func(fd, sockets, steerByte int) error
}

// complete returns a copy with the defaults filled in.
func (c PacketConfig) complete() (PacketConfig, error) {
	if c.Network == "" {
		c.Network = "udp"
	}
	switch c.Network {
	case "udp", "udp4", "udp6":
	default:
		return c, fmt.Errorf("listen %s: unknown network %q (udp, udp4 or udp6)", c.Address, c.Network)
	}
	if c.Address == "" {
		return c, errors.New("listen: no address given")
	}
	if c.SteerByte < 0 || c.SteerByte > maxSteerByte {
		return c, fmt.Errorf("listen %s %s: no byte %d in a connection ID (0 to %d)", c.Network, c.Address, c.SteerByte, maxSteerByte)
	}
	if c.Sockets <= 0 {
		c.Sockets = runtime.GOMAXPROCS(0)
	}
	c.Sockets = min(c.Sockets, maxPacketSockets)
	if c.Join {
		c.Sockets = 1
	}
	c.ReadBuffer, c.WriteBuffer = bufferSize(c.ReadBuffer), bufferSize(c.WriteBuffer)
	if c.ErrorLog == nil {
		c.ErrorLog = slog.Default()
	}
	return c, nil
}

// bufferSize is the size to ask for, or negative: do not ask.
func bufferSize(asked int) int {
	if asked == 0 {
		return defaultPacketBuffer
	}
	return min(asked, maxPacketBuffer)
}

// PacketGroup is N UDP sockets on one address, in the order of their shards,
// which is the order in which the kernel numbers them. All methods may be
// called by any goroutine.
type PacketGroup struct {
	// Immutable after BindPackets.
	conns     []*net.UDPConn
	unsteered error // why there is one socket where more were asked for
	steerByte int

	closeOnce sync.Once
	closeErr  error
}

// BindPackets binds the sockets of a group; a taken address is told by an
// *InUseError. Packets arrive from here on and wait in the sockets' buffers.
// ctx bounds the look-up of a host name.
//
// Elsewhere than on Linux the group has one socket: there nothing can look at
// the connection ID, and of the sockets that share a port most systems give all
// packets to one.
func BindPackets(ctx context.Context, cfg PacketConfig) (*PacketGroup, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	g, err := bindPackets(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	if g.unsteered != nil {
		cfg.ErrorLog.Warn("one UDP socket for HTTP/3, on one core: the system steers no packets by connection ID"+
			" (Linux does, by SO_ATTACH_REUSEPORT_CBPF; allow it in the sandbox, or ask for one socket)",
			slog.String("address", g.Addr().String()), slog.Int("sockets", cfg.Sockets),
			slog.String("error", g.unsteered.Error()))
	}
	if err := g.growBuffers(&cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("listen %s %s: %w", cfg.Network, cfg.Address, err), g.Close())
	}
	return g, nil
}

// Conns returns the group's sockets by index. They belong to the group, the
// slice must not be changed. Never close a single one: the kernel moves the last
// socket into its place, and the connections of both come out at the wrong one.
func (g *PacketGroup) Conns() []*net.UDPConn { return g.conns }

// Addr is the address the group is bound to, with the port that was picked.
func (g *PacketGroup) Addr() net.Addr { return g.conns[0].LocalAddr() }

// Steered reports whether short header packets are spread by connection ID,
// over more than one socket. If false, every packet goes to the only one.
func (g *PacketGroup) Steered() bool { return len(g.conns) > 1 }

// SteerByte is what PacketConfig says: who issues the connection IDs has to agree.
func (g *PacketGroup) SteerByte() int { return g.steerByte }

// Close closes all sockets; packets that wait in them are lost. End the
// connections before: what comes for them while the sockets close one by one
// may reach another shard. Later calls return the same.
func (g *PacketGroup) Close() error {
	g.closeOnce.Do(func() {
		var errs []error
		// From the last to the first, so that the kernel moves none.
		for _, c := range slices.Backward(g.conns) {
			errs = append(errs, c.Close())
		}
		g.closeErr = errors.Join(errs...)
	})
	return g.closeErr
}
