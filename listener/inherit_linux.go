package listener

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// inspect makes a descriptor ours and finds out what it is. False: it was not passed
// on. What we have opened ourselves closes on exec, what came through exec does not:
// a wrong number must not make us close files of our own.
func (i *inherited) inspect() bool {
	flags, err := unix.FcntlInt(uintptr(i.fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return false
	}
	unix.CloseOnExec(i.fd) // whatever it is, children have no use for it
	typ, err := unix.GetsockoptInt(i.fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return true // no socket
	}
	i.addr, _ = localAddr(i.fd) // nil: of a family that is not served
	tcp, isTCP := i.addr.(*net.TCPAddr)
	switch {
	case i.addr == nil:
	case typ == unix.SOCK_DGRAM && isTCP:
		i.kind, i.addr = kindPacket, (*net.UDPAddr)(tcp)
	case typ == unix.SOCK_STREAM:
		i.kind = kindSilent
		if accepts, err := unix.GetsockoptInt(i.fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && accepts != 0 {
			i.kind = kindStream
		}
	}
	return true
}

func (i *inherited) close() { _ = unix.Close(i.fd) }

// closeAll closes what was taken, and returns err.
func closeAll(found []inherited, err error) error {
	for _, i := range found {
		i.close()
	}
	return err
}

// adoptStreams makes a listening, shared group.
func adoptStreams(found []inherited, cfg Config) (*Group, error) {
	addr := found[0].addr
	cfg.Network, cfg.Address, cfg.Sockets = addr.Network(), addr.String(), len(found)
	cfg, err := cfg.complete()
	if err != nil {
		return nil, closeAll(found, err)
	}
	fds := make([]int, len(found))
	var lacks []string // of the last one; the others are like it
	for i := range found {
		fds[i] = found[i].fd
		err := os.NewSyscallError("fcntl O_NONBLOCK", unix.SetNonblock(fds[i], true))
		if err == nil {
			lacks, err = setKnown(fds[i], connOptions(&cfg))
		}
		if err != nil {
			return nil, closeAll(found, err)
		}
	}
	if len(lacks) > 0 {
		cfg.ErrorLog.Warn("a socket that was passed on lacks options; it is used without", slog.String("name", found[0].name),
			slog.String("address", addr.String()), slog.String("options", strings.Join(lacks, " ")))
	}
	g := groupOf(cfg, addr, fds...)
	g.shared = true
	return g, nil
}

// adoptPackets makes a group of UDP sockets. Several must have been bound with
// SO_REUSEPORT, or they would not have one address.
func adoptPackets(found []inherited, cfg PacketConfig) (*PacketGroup, error) {
	addr := found[0].addr
	cfg.Network, cfg.Address, cfg.Join, cfg.Sockets = addr.Network(), addr.String(), false, len(found)
	cfg, err := cfg.complete()
	switch {
	case err != nil:
		return nil, closeAll(found, err)
	case len(found) > maxPacketSockets:
		return nil, closeAll(found, fmt.Errorf("%d UDP sockets; a connection ID tells %d apart", len(found), maxPacketSockets))
	case len(found) > 1:
		if err := cfg.attach(found[0].fd); err != nil {
			return nil, closeAll(found, fmt.Errorf("the system steers no packets among several UDP sockets, pass a single one: %w", err))
		}
	}
	g := &PacketGroup{steerByte: cfg.SteerByte}
	for n := range found {
		c, err := packetConn(found[n].fd)
		if err != nil {
			return nil, closeAll(found[n+1:], errors.Join(err, g.Close()))
		}
		g.conns = append(g.conns, c)
	}
	if err := g.growBuffers(&cfg); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}
