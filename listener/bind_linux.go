package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind makes the group's sockets; cfg is complete.
func bind(ctx context.Context, cfg Config) (*Group, error) {
	candidates, err := endpoints(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	for i, e := range candidates {
		g, err := bindGroup(&cfg, e)
		if err == nil {
			return g, nil
		}
		if i == len(candidates)-1 || !lacksFamily(err) {
			return nil, listenError(&cfg, err)
		}
	}
	return nil, nil // not reached: endpoints returns at least one
}

// lacksFamily reports whether the system has no IPv6: not built in, or
// switched off by net.ipv6.conf.all.disable_ipv6.
func lacksFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// bindGroup binds all sockets to one endpoint.
func bindGroup(cfg *Config, e endpoint) (g *Group, err error) {
	sockets := make([]*Socket, 0, cfg.Sockets)
	defer func() {
		if err != nil {
			for _, s := range sockets {
				_ = s.Close()
			}
		}
	}()
	if err := probe(cfg, e); err != nil {
		return nil, err
	}
	var addr net.Addr
	var file *socketFile
	for i := range cfg.Sockets {
		fd, err := openSocket(cfg, e)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, newSocket(fd, i, cfg.isUnix()))
		if file, err = bindSocket(cfg, e, fd); err != nil {
			return nil, err
		}
		if i > 0 {
			continue
		}
		if addr, err = localAddr(fd); err != nil {
			return nil, err
		}
		if tcp, ok := addr.(*net.TCPAddr); ok {
			e.port = uint16(tcp.Port)
		}
	}
	g = newGroup(*cfg, addr, sockets)
	g.file, g.binding.endpoint = file, e
	return g, nil
}

// openSocket makes a socket with all its options.
func openSocket(cfg *Config, e endpoint) (fd int, err error) {
	fd, err = unix.Socket(e.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := setOptions(fd, cfg, e); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindSocket binds a socket, and tells who is in the way if somebody is.
func bindSocket(cfg *Config, e endpoint, fd int) (*socketFile, error) {
	if cfg.isUnix() && !cfg.abstract() {
		return bindFile(cfg, fd)
	}
	err := unix.Bind(fd, e.sockaddr())
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, inUse(cfg, e, err)
	case errors.Is(err, unix.EACCES) && e.port > 0:
		return nil, fmt.Errorf("%w (a port below net.ipv4.ip_unprivileged_port_start needs CAP_NET_BIND_SERVICE)",
			os.NewSyscallError("bind", err))
	default:
		return nil, os.NewSyscallError("bind", err)
	}
}

// probe finds out whether somebody listens on e. A socket with SO_REUSEADDR
// alone can be bound beside others unless one of them listens; a socket of
// ours, with SO_REUSEPORT, would silently join a group of the same user
// (server-core rule 12.5). Being bound, it takes nothing, and it is closed at once.
func probe(cfg *Config, e endpoint) error {
	if !cfg.sharesPort() || cfg.Join || e.port == 0 {
		return nil // bind itself tells, or nobody can be there
	}
	fd, err := unix.Socket(e.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := setFamilyOptions(fd, e); err != nil {
		return err
	}
	err = unix.Bind(fd, e.sockaddr())
	if errors.Is(err, unix.EADDRINUSE) {
		return inUse(cfg, e, err)
	}
	return nil // any other error comes again, with the real socket
}

// listen starts the sockets in the order of their index. The caller holds mu.
func (g *Group) listen() error {
	if err := probe(&g.cfg, g.binding.endpoint); err != nil {
		return listenError(&g.cfg, err)
	}
	for _, s := range g.sockets {
		err := unix.Listen(s.FD(), g.cfg.Backlog)
		if errors.Is(err, unix.EADDRINUSE) { // a stranger without SO_REUSEPORT was faster
			return inUse(&g.cfg, g.binding.endpoint, err)
		}
		if err != nil {
			return listenError(&g.cfg, os.NewSyscallError("listen", err))
		}
	}
	return nil
}

// listenError names the address, unless err does so itself.
func listenError(cfg *Config, err error) error {
	if inUse, ok := errors.AsType[*InUseError](err); ok {
		return inUse
	}
	return fmt.Errorf("listen %s %s: %w", cfg.Network, cfg.Address, err)
}

// adopt duplicates the descriptor of a listener of package net.
func adopt(l net.Listener) (*Group, error) {
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("adopt %s: %w", l.Addr(), err)
	}
	var fd int
	var dupErr error
	err = raw.Control(func(lfd uintptr) {
		fd, dupErr = unix.FcntlInt(lfd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", dupErr)); err != nil {
		return nil, fmt.Errorf("adopt %s: %w", l.Addr(), err)
	}
	cfg, err := Config{Network: l.Addr().Network(), Address: l.Addr().String(), Sockets: 1}.complete()
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return groupOf(cfg, l.Addr(), fd), nil
}

// groupOf makes a listening group of descriptors on one address.
func groupOf(cfg Config, addr net.Addr, fds ...int) *Group {
	sockets := make([]*Socket, len(fds))
	for i, fd := range fds {
		sockets[i] = newSocket(fd, i, cfg.isUnix())
	}
	g := newGroup(cfg, addr, sockets)
	g.listening = true
	return g
}
