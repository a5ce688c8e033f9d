package listener

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// endpoint is an address a socket can be bound to.
type endpoint struct {
	family int
	v6only bool
	addr   netip.Addr
	zone   uint32
	port   uint16
	path   string // AF_UNIX
}

// endpoints finds what to bind to, in order of preference: the next is for
// systems that lack the address family of the one before.
func endpoints(ctx context.Context, cfg *Config) ([]endpoint, error) {
	if cfg.isUnix() {
		return []endpoint{{family: unix.AF_UNIX, path: cfg.Address}}, nil
	}
	host, service, err := net.SplitHostPort(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", cfg.Network, err)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, cfg.Network, service)
	if err != nil {
		return nil, fmt.Errorf("listen %s %s: %w", cfg.Network, cfg.Address, err)
	}
	v6 := endpoint{family: unix.AF_INET6, addr: netip.IPv6Unspecified(), port: uint16(port), v6only: cfg.Network == "tcp6"}
	v4 := endpoint{family: unix.AF_INET, addr: netip.IPv4Unspecified(), port: uint16(port)}
	if host == "" {
		switch cfg.Network {
		case "tcp4":
			return []endpoint{v4}, nil
		case "tcp6":
			return []endpoint{v6}, nil
		default:
			return []endpoint{v6, v4}, nil
		}
	}
	addr, err := lookup(ctx, cfg.Network, host)
	if err != nil {
		return nil, fmt.Errorf("listen %s %s: %w", cfg.Network, cfg.Address, err)
	}
	if addr.Is4() {
		v4.addr = addr
		return []endpoint{v4}, nil
	}
	v6.addr = addr.WithZone("")
	// RFC 3493 §5.3: "::" takes IPv4 too unless IPV6_V6ONLY; any other address does not.
	v6.v6only = v6.v6only || !addr.IsUnspecified()
	v6.zone, err = zoneID(addr.Zone())
	if err != nil {
		return nil, fmt.Errorf("listen %s %s: %w", cfg.Network, cfg.Address, err)
	}
	return []endpoint{v6}, nil
}

// lookup turns a host into one address; like package net it prefers IPv4.
func lookup(ctx context.Context, network, host string) (netip.Addr, error) {
	family := map[string]string{"tcp": "ip", "tcp4": "ip4", "tcp6": "ip6"}[network]
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		if (family == "ip4" && !addr.Is4()) || (family == "ip6" && addr.Is4()) {
			return addr, fmt.Errorf("%s is no address of network %s", host, network)
		}
		return addr, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return addrs[0], nil // LookupNetIP returns an error rather than nothing
}

// zoneID is the number of a zone given by number or by name.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(ifi.Index), nil
}

// sockaddr is the form bind(2) takes.
func (e *endpoint) sockaddr() unix.Sockaddr {
	switch e.family {
	case unix.AF_UNIX:
		return &unix.SockaddrUnix{Name: e.path}
	case unix.AF_INET:
		return &unix.SockaddrInet4{Port: int(e.port), Addr: e.addr.As4()}
	default:
		return &unix.SockaddrInet6{Port: int(e.port), Addr: e.addr.As16(), ZoneId: e.zone}
	}
}

// localAddr asks the kernel what a socket is bound to.
func localAddr(fd int) (net.Addr, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("getsockname: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))), nil
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(sa.Port))), nil
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}, nil
	default:
		return nil, fmt.Errorf("socket of a family that is not served (%T)", sa)
	}
}

// binding is what Listen has to know about Bind on this system.
type binding struct{ endpoint endpoint }
