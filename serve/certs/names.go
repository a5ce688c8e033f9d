package certs

import (
	"net/netip"
	"strings"
)

// maxNameBytes is the length of the longest host name (RFC 1035 §2.3.4), without
// its last dot.
const maxNameBytes = 253

// nameTable finds a number by host name: an exact name before a wildcard.
// It is not changed after it is built.
type nameTable struct {
	exact map[string]int
	wild  map[string]int // by what follows the star: ".example.com", or "" for any single label
}

// add gives names that match pattern the number i, unless a former one has them.
// pattern is lowered: a host name, "*" or "*." and a host name.
func (t *nameTable) add(pattern string, i int) {
	m, key := &t.exact, pattern
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		m, key = &t.wild, suffix
	}
	if *m == nil {
		*m = map[string]int{}
	}
	if _, taken := (*m)[key]; !taken {
		(*m)[key] = i
	}
}

// find is for certificates: a star stands for one label (RFC 9525 §6.3).
func (t *nameTable) find(name []byte) (i int, ok bool) {
	if i, ok = t.exact[string(name)]; ok || t.wild == nil {
		return i, ok
	}
	i, ok = t.wild[string(suffixOf(name))]
	return i, ok
}

// findDeep is for policies: a star stands for any number of labels, and the
// longest pattern counts. What a router takes for below a name must not be free
// of the name's policy.
func (t *nameTable) findDeep(name []byte) (i int, ok bool) {
	if i, ok = t.exact[string(name)]; ok || t.wild == nil {
		return i, ok
	}
	for rest := suffixOf(name); ; rest = suffixOf(rest[1:]) {
		if i, ok = t.wild[string(rest)]; ok || len(rest) == 0 {
			return i, ok
		}
	}
}

// suffixOf is name behind its first label, dot included; empty: it has one only.
func suffixOf(name []byte) []byte {
	for i, c := range name {
		if c == '.' {
			return name[i:]
		}
	}
	return nil
}

// normalName writes a host name lowered and without one last dot into buf. Not
// ok: it is none, in letters, digits, "-", "_" and "." (rule T-3).
func normalName(buf *[maxNameBytes]byte, host string) (name []byte, ok bool) {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > maxNameBytes || host[0] == '.' || host[len(host)-1] == '.' {
		return nil, false
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && host[i-1] != '.':
		default:
			return nil, false
		}
		buf[i] = c
	}
	return buf[:len(host)], true
}

// normalPattern is normalName for a pattern of configuration, which may also
// be an IP address; that is returned apart.
func normalPattern(pattern string) (name string, addr netip.Addr, ok bool) {
	if addr, err := netip.ParseAddr(pattern); err == nil {
		return "", addr.Unmap().WithZone(""), true
	}
	if pattern == "*" {
		return pattern, addr, true
	}
	rest, wild := strings.CutPrefix(pattern, "*.")
	var buf [maxNameBytes]byte
	b, ok := normalName(&buf, rest)
	switch {
	case !ok:
		return "", addr, false
	case wild:
		return "*." + string(b), addr, true
	}
	return string(b), addr, true
}

// withoutPort is a Host field's name: without port, and without the brackets of
// an IPv6 address.
func withoutPort(host string) string {
	if strings.HasPrefix(host, "[") {
		name, _, _ := strings.Cut(host[1:], "]")
		return name
	}
	name, _, _ := strings.Cut(host, ":")
	return name
}
