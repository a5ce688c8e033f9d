package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

const (
	portNotGiven = -1
	// defaultSecurePort is that of --bind-address alone.
	defaultSecurePort = 8443
)

// AddressOptions are kube-apiserver's way to say where HTTPS is served; the other
// one is --tls-listen.
type AddressOptions struct {
	BindAddress []string
	SecurePort  int // portNotGiven; 0: no HTTPS
}

func (o *AddressOptions) addFlags(fs *pflag.FlagSet) {
	repeatable(fs, &o.BindAddress, "bind-address", ",", "`IP` for HTTPS on --secure-port, or unix:PATH; 0.0.0.0 and :: are all interfaces, of IPv4 and IPv6; repeatable; in place of --tls-listen")
	fs.Var((*port)(&o.SecurePort), "secure-port", "`PORT` for HTTPS on --bind-address, or on all interfaces; 0: no HTTPS; in place of --tls-listen (with --bind-address alone: 8443)")
}

// port is a flag's value that tells whether it was given.
type port int

func (p *port) String() string {
	if *p == portNotGiven {
		return ""
	}
	return strconv.Itoa(int(*p))
}

func (p *port) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("must be a number from 0 to 65535")
	}
	*p = port(n)
	return nil
}

func (p *port) Type() string { return "PORT" }

func (o *AddressOptions) given() bool { return len(o.BindAddress) > 0 || o.SecurePort != portNotGiven }

// addresses are those of --tls-listen that the flags stand for. What is no
// address is left out: validate tells of it.
func (o *AddressOptions) addresses() []string {
	if !o.given() || o.SecurePort == 0 {
		return nil
	}
	number := o.SecurePort
	if number == portNotGiven {
		number = defaultSecurePort
	}
	all := ":" + strconv.Itoa(number)
	if len(o.BindAddress) == 0 {
		return []string{all}
	}
	var list []string
	for _, host := range o.BindAddress {
		at := host
		if ip, err := netip.ParseAddr(host); err == nil {
			at = net.JoinHostPort(host, strconv.Itoa(number))
			if ip.IsUnspecified() {
				at = all
			}
		} else if !strings.HasPrefix(host, unixPrefix) {
			continue
		}
		if !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	return list
}

// validate tells what is wrong with the flags, and that they do not stand beside
// --tls-listen, whose addresses are tls.
func (o *AddressOptions) validate(tls []string) (errs []error) {
	for _, host := range o.BindAddress {
		if _, err := netip.ParseAddr(host); err != nil && !strings.HasPrefix(host, unixPrefix) {
			errs = append(errs, fmt.Errorf("--bind-address %q: must be an IP address, such as 192.0.2.1 or ::1, or unix:PATH", host))
		}
	}
	if o.given() && len(errs) == 0 && !slices.Equal(tls, o.addresses()) {
		errs = append(errs, errors.New("--bind-address and --secure-port cannot stand beside --tls-listen; write all addresses with one of them"))
	}
	if o.SecurePort == 0 && len(o.BindAddress) > 0 {
		errs = append(errs, errors.New("--bind-address has no effect with --secure-port 0; drop one of them"))
	}
	return errs
}
