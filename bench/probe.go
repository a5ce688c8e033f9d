package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
)

// probed is what the first connection has found.
type probed struct {
	address  string
	protocol Protocol
	tls      *tls.ConnectionState // nil: clear
}

// probe makes one connection before all others, so that a target that cannot be
// reached, or refuses TLS, is told as that and not as a run of failures. It asks
// nothing.
func (p *plan) probe(ctx context.Context) (probed, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	if p.Protocol == H3 {
		return p.probeH3(ctx)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.host)
	if err != nil {
		return probed{}, fmt.Errorf("bench: %w", err)
	}
	defer conn.Close()
	if p.address, err = netip.ParseAddrPort(conn.RemoteAddr().String()); err != nil {
		return probed{}, fmt.Errorf("bench: %w", errors.Join(errNoConnection, err))
	}
	found := probed{address: p.address.String(), protocol: p.Protocol}
	if found.protocol == Auto {
		found.protocol = H1
	}
	if !p.secure {
		return found, nil
	}
	secure := tls.Client(conn, p.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return probed{}, fmt.Errorf("bench: TLS with %s: %w", p.address, err)
	}
	state := secure.ConnectionState()
	found.tls = &state
	switch alpn := state.NegotiatedProtocol; {
	case alpn == "h2":
		found.protocol = H2
	case p.Protocol == H2:
		return probed{}, fmt.Errorf("bench: %s does not speak HTTP/2 over TLS (ALPN %q)", p.address, alpn)
	}
	if found.protocol == H1 && p.Streams > 1 {
		return probed{}, fmt.Errorf("bench: %s speaks HTTP/1.1 alone, which has one request at a time on a connection; leave streams at 1", p.address)
	}
	return found, nil
}

// readEnvironment tells of this machine.
func readEnvironment() Environment {
	e := Environment{
		GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: kernelVersion(),
	}
	e.CPU, e.LoadAverage = machine()
	return e
}

// ownVersion is that of the binary, if it was built from a module.
func ownVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}

// generator is what the run has cost this process since the measured time began.
func (c *collector) generator(r *Result) Generator {
	user, system := cpuTimes()
	g := Generator{
		UserSeconds: (user - c.user).Seconds(), SystemSeconds: (system - c.system).Seconds(), Cores: c.run.plan.Workers, Version: ownVersion(),
	}
	used := g.UserSeconds + g.SystemSeconds
	if r.Seconds > 0 {
		g.Busy = used / r.Seconds / float64(g.Cores)
	}
	if r.Completed > 0 {
		g.MicrosPerRequest = used * 1e6 / float64(r.Completed)
	}
	return g
}
