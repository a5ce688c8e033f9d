package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Target is one upstream of a service as it is configured: an address, or a name
// that stands for several.
type Target struct {
	// URL is SCHEME://HOST[:PORT] or SCHEME://unix:PATH, without anything behind;
	// the scheme is http, https or h2c. A PATH that begins with @ is of Linux's
	// abstract names.
	URL string
	// Weight is the part of the load that each address of the target takes,
	// compared with others. If zero, 1. If negative, none: the target drains.
	Weight int
	// SRV says that the host is the name of a service, _api._tcp.example.org, whose
	// SRV records (RFC 2782) tell hosts, ports, priorities and weights.
	SRV bool
}

// target is a Target that was understood.
type target struct {
	url    string // in one form, for comparisons; of a service with srv+ before it
	scheme string
	host   string // lower case, without brackets
	port   uint16 // of a service 0
	path   string // of a Unix socket
	ip     netip.Addr
	weight int
	drains bool
	srv    bool
}

var errNoURL = errors.New("no URL is given")

// parseTarget reads a Target. net/url would take much that means nothing here.
func parseTarget(t Target) (target, error) {
	p := target{weight: max(1, t.Weight), drains: t.Weight < 0, srv: t.SRV}
	if t.URL == "" {
		return p, errNoURL
	}
	scheme, rest, ok := strings.Cut(t.URL, "://")
	if !ok {
		return p, fmt.Errorf("%q is no URL: it must begin with http://, https:// or h2c://", t.URL)
	}
	p.scheme = strings.ToLower(scheme)
	switch p.scheme {
	case "http", "https", "h2c":
	default:
		return p, fmt.Errorf("%q: the scheme is none of http, https, h2c", t.URL)
	}
	var err error
	if path, isUnix := strings.CutPrefix(rest, "unix:"); isUnix {
		err = p.parsePath(path)
	} else {
		err = p.parseHost(rest)
	}
	if err != nil {
		return p, fmt.Errorf("%q: %w", t.URL, err)
	}
	p.url = p.String()
	return p, nil
}

func (t *target) parsePath(path string) error {
	// Longer ones do not fit sockaddr_un of Linux, 108 bytes with the last zero.
	if len(path) < 2 || len(path) > 107 || path[0] != '/' && path[0] != '@' || strings.ContainsFunc(path, notField) {
		return errors.New("the path of a Unix socket begins with / or @, and has 2 to 107 plain characters")
	}
	if t.srv {
		return errors.New("a Unix socket has no SRV records")
	}
	t.path = path
	return nil
}

func (t *target) parseHost(s string) error {
	if i := strings.IndexAny(s, "/?#@"); i >= 0 {
		return fmt.Errorf("%q behind or before host and port means nothing here", s[i])
	}
	host, port, err := splitHostPort(s)
	if err != nil {
		return err
	}
	t.host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return errors.New("an address with a zone is not the same to everybody")
		}
		t.ip = ip.Unmap()
		t.host = t.ip.String()
	} else if !plainName(t.host) {
		return fmt.Errorf("%q is no address and no host name", host)
	}
	if t.host == "unix" { // with its port it would be a path
		return errors.New("unix: begins the path of a socket; a host of that name is written with a dot behind")
	}
	if t.srv {
		if port != "" || t.ip.IsValid() {
			return errors.New("a service has a name and no port: its SRV records tell that")
		}
		return nil
	}
	t.port = 80
	if t.scheme == "https" {
		t.port = 443
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is no port", port)
		}
		t.port = uint16(n)
	}
	return nil
}

// splitHostPort takes HOST, HOST:PORT, [V6] and [V6]:PORT.
func splitHostPort(s string) (host, port string, err error) {
	inner, bracketed := strings.CutPrefix(s, "[")
	if !bracketed {
		host, port, hasPort := strings.Cut(s, ":")
		if strings.Contains(port, ":") {
			return "", "", errors.New("an IPv6 address stands in brackets")
		}
		if hasPort && port == "" {
			return "", "", errors.New("no port behind the colon")
		}
		return host, port, nil
	}
	host, rest, closed := strings.Cut(inner, "]")
	if ip, err := netip.ParseAddr(host); !closed || err != nil || !ip.Is6() {
		return "", "", errors.New("brackets stand around an IPv6 address")
	}
	if rest == "" {
		return host, "", nil
	}
	port, colon := strings.CutPrefix(rest, ":")
	if !colon || port == "" {
		return "", "", errors.New("no port behind the brackets")
	}
	return host, port, nil
}

// plainName tells whether s can be asked of the DNS: labels of letters, digits,
// _ and -, in lower case. A name of digits and dots alone is a mistyped address.
func plainName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	letters := false
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case 'a' <= c && c <= 'z', c == '_':
				letters = true
			case '0' <= c && c <= '9', c == '-':
			default:
				return false
			}
		}
	}
	return letters
}

// String is the target in its one form.
func (t *target) String() string {
	switch {
	case t.path != "":
		return t.scheme + "://unix:" + t.path
	case t.srv:
		return "srv+" + t.scheme + "://" + t.host
	}
	return t.scheme + "://" + t.hostPort()
}

func (t *target) hostPort() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// authority is what Host says to the target: the port only where it is no default
// (RFC 9110 §4.2.1). A Unix socket is on this host.
func (t *target) authority() string {
	switch {
	case t.path != "":
		return "localhost"
	case t.port == 443 && t.scheme == "https", t.port == 80 && t.scheme != "https":
		if t.ip.Is6() {
			return "[" + t.host + "]"
		}
		return t.host
	}
	return t.hostPort()
}

// fixed is the address of a target that needs no look-up.
func (t *target) fixed() (Address, bool) {
	switch {
	case t.path != "":
		return Address{Address: t.path}, true
	case t.ip.IsValid():
		return Address{Address: netip.AddrPortFrom(t.ip, t.port).String()}, true
	}
	return Address{}, false
}

// query is what is asked for a target that does.
func (t *target) query(network string) Query {
	return Query{Name: t.host, Port: t.port, SRV: t.srv, Network: network}
}
