package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Forwarded says what upstreams are told of the client (rule P-1).
//
// X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are always sent. What a
// client says itself in them, in Forwarded and in X-Real-IP is dropped, unless its
// address is of Trust: then its list is continued, and its word on scheme and host
// stands.
type Forwarded struct {
	// Trust are the addresses of proxies in front whose word counts. If empty,
	// nobody's does.
	Trust []netip.Prefix
	// Standard also sends Forwarded (RFC 7239).
	Standard bool
}

// trusts tells whether addr is of Trust.
func (o *Forwarded) trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range o.Trust {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// peerTrusted tells whether who has connected is of Trust.
func (o *Forwarded) peerTrusted(r *http.Request) bool {
	if len(o.Trust) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && o.trusts(peer.Addr())
}

// Client is the address that a request came from: its peer's, or behind proxies of
// Trust the rightmost one of X-Forwarded-For that is not one of theirs. An entry
// that is no address ends the search: who wrote it cannot be believed further. The
// zero Addr: the peer has none (a Unix socket).
func (o *Forwarded) Client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := peer.Addr().Unmap().WithZone("")
	if len(o.Trust) == 0 || !o.trusts(client) {
		return client
	}
	lines := r.Header["X-Forwarded-For"]
	for _, line := range slices.Backward(lines) {
		for rest := line; rest != ""; {
			var entry string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, entry = rest[:at], rest[at+1:]
			} else {
				rest, entry = "", rest
			}
			addr, ok := parseForwardedFor(strings.Trim(entry, " \t"))
			if !ok {
				return client
			}
			if client = addr; !o.trusts(client) {
				return client
			}
		}
	}
	return client
}

// parseForwardedFor reads an entry of X-Forwarded-For: an address, which some write
// with brackets or a port.
func parseForwardedFor(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(s); err == nil {
			addr = ap.Addr()
		} else if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			addr, err = netip.ParseAddr(s[1 : len(s)-1])
		}
	}
	return addr.Unmap().WithZone(""), err == nil
}

// peerHost is the address of RemoteAddr without port and zone; empty: there is none.
func peerHost(remote string) string {
	at := strings.LastIndexByte(remote, ':')
	if at <= 0 {
		return ""
	}
	host := remote[:at]
	if n := len(host); host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
		if zone := strings.IndexByte(host, '%'); zone >= 0 {
			host = host[:zone]
		}
	}
	return host
}

// forwardingName tells whether a canonical name is a forwarding field. Aliases with
// an underscore are meant too: some upstreams take them for the same (rule P-1).
func forwardingName(name string) bool {
	if len(name) < len("Forwarded") || name[0]|0x20 != 'x' && name[0]|0x20 != 'f' {
		return false
	}
	if strings.IndexByte(name, '_') >= 0 {
		name = strings.ReplaceAll(name, "_", "-")
	}
	const prefix = "X-Forwarded-"
	return strings.EqualFold(name, "Forwarded") || strings.EqualFold(name, "X-Real-IP") ||
		len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// appendForwarded appends the element of a request to what Forwarded says.
func appendForwarded(dst []byte, peer, host, proto string) []byte {
	dst = append(dst, "for="...)
	switch {
	case peer == "":
		dst = append(dst, "unknown"...)
	case strings.IndexByte(peer, ':') >= 0: // RFC 7239 §6: IPv6 in brackets, and so quoted
		dst = append(append(append(dst, `"[`...), peer...), `]"`...)
	default:
		dst = append(dst, peer...)
	}
	if host != "" { // a host of ours has no quote or backslash; it may have a colon
		dst = append(append(append(dst, `;host="`...), host...), '"')
	}
	return append(append(dst, ";proto="...), proto...)
}
