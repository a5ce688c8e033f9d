package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/penstock-edge/penstock/listener"
)

// endpoint is one address to listen on.
type endpoint struct {
	flag    string // which gave it
	spec    string // as given
	network string // tcp, unix, for HTTP/3 udp, or passedOn until it is taken
	address string
	name    string // of sockets that were passed on; empty: they are our own
}

const (
	unixPrefix = "unix:"
	fdPrefix   = "fd:"
	// passedOn stands for the network of sockets that nobody has looked at yet.
	passedOn = "fd"
)

// parseEndpoint reads HOST:PORT, :PORT, unix:PATH or fd:NAME.
func parseEndpoint(flag, spec string) (endpoint, error) {
	e := endpoint{flag: flag, spec: spec, network: "tcp", address: spec}
	if path, ok := strings.CutPrefix(spec, unixPrefix); ok {
		if path == "" {
			return e, fmt.Errorf("%s %q: the path is missing; write unix:/run/penstock.sock", flag, spec)
		}
		e.network, e.address = "unix", path
		return e, nil
	}
	if name, ok := strings.CutPrefix(spec, fdPrefix); ok {
		if name == "" || strings.Contains(name, ":") {
			return e, fmt.Errorf("%s %q: write the name that the .socket unit gives (FileDescriptorName=), as fd:web", flag, spec)
		}
		e.network, e.address, e.name = passedOn, spec, name
		return e, nil
	}
	_, port, err := net.SplitHostPort(spec)
	if err != nil || strings.Contains(spec, "://") {
		return e, fmt.Errorf("%s %q: %s", flag, spec, explainHostPort(spec))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return e, fmt.Errorf("%s %q: the port must be a number from 0 to 65535", flag, spec)
	} else if e.host() == "" {
		e.address = ":" + strconv.FormatUint(n, 10)
	}
	return e, nil
}

func explainHostPort(spec string) string {
	_, err := strconv.ParseUint(spec, 10, 16)
	switch {
	case err == nil:
		return "write it with a colon, :" + spec
	case strings.Contains(spec, "://"):
		return "write HOST:PORT without a scheme; --listen is http, --tls-listen https"
	case strings.Count(spec, ":") > 1 && !strings.Contains(spec, "["):
		return "write an IPv6 address in brackets, [::1]:8080"
	}
	return "write HOST:PORT, :PORT, unix:PATH or fd:NAME"
}

func (e endpoint) host() string {
	host, _, _ := net.SplitHostPort(e.address)
	return host
}

// fixedPort tells whether two endpoints of this address would collide.
func (e endpoint) fixedPort() bool {
	return e.name != "" || e.network == "unix" || !strings.HasSuffix(e.address, ":0")
}

// loopback tells whether only this machine reaches it, as far as is known: of sockets
// that are passed on take finds out.
func (e endpoint) loopback() bool {
	if e.network == passedOn || e.network == "unix" || e.host() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(e.host())
	return err == nil && addr.IsLoopback()
}

// packets is the UDP endpoint of a TCP one that was taken, with the port that was.
func (b bound) packets() (endpoint, error) {
	_, port, err := net.SplitHostPort(b.group.Addr().String())
	if err != nil {
		return endpoint{}, fmt.Errorf("--http3 %s: %w", b.spec, err)
	}
	e := b.endpoint
	e.network, e.address = "udp", net.JoinHostPort(b.host(), port)
	return e, nil
}

// endpoints parses the addresses of one flag.
func endpoints(flag string, specs []string) (all []endpoint, errs []error) {
	for _, spec := range specs {
		e, err := parseEndpoint(flag, spec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, e)
	}
	return all, errs
}

// hasPacketEndpoint tells whether one of --tls-listen is meant to have a port.
func (c CompletedOptions) hasPacketEndpoint() bool {
	return slices.ContainsFunc(c.TLSListen, func(spec string) bool { return !strings.HasPrefix(spec, unixPrefix) })
}

func (c CompletedOptions) validateAddresses() []error {
	plain, errs := endpoints("--listen", c.Listen)
	secure, more := endpoints("--tls-listen", c.TLSListen)
	errs = append(errs, more...)
	all := append(plain, secure...)
	if c.Admin != adminOff {
		admin, more := endpoints("--admin", []string{c.Admin})
		errs = append(errs, more...)
		for _, e := range admin {
			if !e.loopback() && !c.adminTLS() {
				errs = append(errs, fmt.Errorf("--admin %s: %w", e.spec, errAdminPlace))
			}
		}
		all = append(all, admin...)
	}
	for i, e := range all {
		for _, former := range all[:i] {
			if e.address == former.address && e.network == former.network && e.fixedPort() {
				errs = append(errs, fmt.Errorf("%s %s: the address is already given with %s", e.flag, e.spec, former.flag))
			}
		}
	}
	return errs
}

// bind takes the address without listening yet.
func (e endpoint) bind(ctx context.Context, cfg listener.Config) (*listener.Group, error) {
	cfg.Network, cfg.Address = e.network, e.address
	group, err := listener.Bind(ctx, cfg)
	if err != nil {
		return nil, e.explain(err)
	}
	return group, nil
}

// explain turns an error of bind or listen into one line that names the fix.
func (e endpoint) explain(err error) error {
	var inUse *listener.InUseError
	place, another := e.spec, e.flag+" with another "+e.part()
	if e.network == "udp" { // the port is the one that TCP has, whatever was given
		place, another = e.address, another+", or leave out --http3"
	}
	text := "listen " + e.network + " " + place + ": "
	switch {
	case errors.As(err, &inUse):
		text += "address in use" + holders(inUse.Holders) + "; stop it or pass " + another
	case errors.Is(err, syscall.EADDRINUSE):
		text += "address in use; pass " + another
	case errors.Is(err, syscall.EACCES) && e.network != "unix":
		text += "permission denied; allow it (setcap cap_net_bind_service=+ep penstock) or pass " + e.flag + " with a port above 1023"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		text += "no interface of this machine has the address; check ip addr, or pass " + e.flag + " :PORT for all interfaces"
	default:
		text += innermost(err).Error() + "; check " + e.flag
	}
	return &ExitCodeError{ExitNoBind, &bindError{text, err}}
}

// innermost is the end of a chain of errors: the words around it repeat the address.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

func (e endpoint) part() string {
	if e.network == "unix" {
		return "path"
	}
	return "port"
}

// holders is " by pid 12 (nginx)", or nothing if nobody may know.
func holders(hs []listener.Holder) string {
	var names []string
	for _, h := range hs {
		switch {
		case h.PID > 0 && h.Program != "":
			names = append(names, fmt.Sprintf("pid %d (%s)", h.PID, h.Program))
		case h.PID > 0:
			names = append(names, fmt.Sprintf("pid %d", h.PID))
		case h.UID >= 0:
			names = append(names, fmt.Sprintf("a process of user id %d", h.UID))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " by " + strings.Join(names, " and ")
}

type bindError struct {
	text string
	err  error
}

func (e *bindError) Error() string { return e.text }
func (e *bindError) Unwrap() error { return e.err }
