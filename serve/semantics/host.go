package semantics

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
)

// ErrHost tells that a host does not follow the grammar of rule H1-9.
var ErrHost = errors.New("invalid host")

// maxName is the longest name of the DNS in its text form (RFC 1035 §2.3.4).
const maxName = 253

// ParseHost checks b against uri-host [ ":" port ] and returns it with letters
// lowered and one trailing dot stripped, the port as sent.
//
// uri-host is an IPv4 address, a full IPv6 address in brackets without zone, or
// a name of ALPHA, DIGIT, "-", "." and "_": RFC 3986's reg-name narrowed to
// what names a machine, so that no two readers can see two hosts in it
// (RFC 9110 §4.2.1, §7.2; "Host of Troubles").
func ParseHost(b []byte) (string, error) {
	host, port, hasPort := b, []byte(nil), false
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return "", ErrHost
		}
		host = b[:end+1]
		if rest := b[end+1:]; len(rest) > 0 {
			if rest[0] != ':' {
				return "", ErrHost
			}
			port, hasPort = rest[1:], true
		}
		if !validIPv6(host[1:end]) {
			return "", ErrHost
		}
	} else {
		if before, after, ok := bytes.Cut(b, []byte{':'}); ok {
			host, port, hasPort = before, after, true
		}
		if len(host) > 1 && host[len(host)-1] == '.' {
			host = host[:len(host)-1]
		}
		if !validName(host) {
			return "", ErrHost
		}
	}
	if hasPort && !validPort(port) {
		return "", ErrHost
	}
	return lowered(host, port, hasPort), nil
}

func validName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName {
		return false
	}
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', 'A' <= c && c <= 'Z', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	// An empty label is no name; a trailing dot was taken off before.
	return b[0] != '.' && b[len(b)-1] != '.' && !bytes.Contains(b, []byte(".."))
}

func validIPv6(b []byte) bool {
	if slices.Contains(b, '%') { // a zone names an interface of the sender's machine
		return false
	}
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6()
}

// validPort: *DIGIT, at most 65535. An empty port is legal (RFC 3986 §3.2.3).
func validPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return true
}

func lowered(host, port []byte, hasPort bool) string {
	out := make([]byte, 0, 64)
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	if hasPort {
		out = append(out, ':')
		out = append(out, port...)
	}
	return string(out)
}
