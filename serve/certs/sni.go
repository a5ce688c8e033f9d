package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// NamedPair is a pair of files for the server names that match Patterns; without
// any, for the names in the certificate.
type NamedPair struct {
	CertFile, KeyFile string
	// Patterns are host names, wildcards (*.example.com, for one label) and IP
	// addresses of the server, for clients that send no name.
	Patterns []string
}

// ParseNamedPair reads the value of a flag, "crt,key" or "crt,key:pattern,…",
// as --tls-sni-cert-key has it.
func ParseNamedPair(value string) (NamedPair, error) {
	files, names, named := strings.Cut(value, ":")
	cert, key, ok := strings.Cut(files, ",")
	p := NamedPair{CertFile: strings.TrimSpace(cert), KeyFile: strings.TrimSpace(key)}
	if !ok || p.CertFile == "" || p.KeyFile == "" || strings.Contains(key, ",") {
		return NamedPair{}, fmt.Errorf("%q: want a certificate file, a comma and a key file", value)
	}
	if !named {
		return p, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		p.Patterns = append(p.Patterns, strings.TrimSpace(name))
	}
	if err := p.check(); err != nil {
		return NamedPair{}, fmt.Errorf("%q: %w", value, err)
	}
	return p, nil
}

// String is the flag's value again.
func (p NamedPair) String() string {
	s := p.CertFile + "," + p.KeyFile
	if len(p.Patterns) > 0 {
		s += ":" + strings.Join(p.Patterns, ",")
	}
	return s
}

func (p NamedPair) check() error {
	for _, pattern := range p.Patterns {
		if pattern == "" {
			return errors.New("an empty name after the colon")
		}
		if _, _, ok := normalPattern(pattern); !ok {
			return fmt.Errorf("%q is neither a host name, nor a wildcard such as *.example.com, nor an IP address", pattern)
		}
	}
	return nil
}

// pairNames are the names of one entry of a sniTable.
type pairNames struct {
	patterns []string
	leaf     *x509.Certificate // of the pair in use
}

// sniTable chooses an entry by server name, and without one by the address that
// the client has connected to. It is not changed after it is built.
type sniTable struct {
	names  nameTable
	addrs  map[netip.Addr]int
	common nameTable // names of the default certificate: served, though no pair is named for them
}

// newSNITable makes the table. Patterns beat names that stand in certificates,
// and the earlier of equals counts. first is the number of pairs[0]; fallback,
// which may be nil, is the leaf of the default certificate, whose number is 0.
func newSNITable(pairs []pairNames, first int, fallback *x509.Certificate) *sniTable {
	t := &sniTable{addrs: map[netip.Addr]int{}}
	for i, p := range pairs {
		for _, pattern := range p.patterns {
			t.add(pattern, first+i)
		}
	}
	for i, p := range pairs {
		if len(p.patterns) > 0 {
			continue
		}
		for _, name := range namesOf(p.leaf) {
			t.add(name, first+i)
		}
		for _, ip := range p.leaf.IPAddresses {
			// The API server ignores addresses in certificates. Here they serve
			// clients without SNI where the default certificate would not.
			if fallback == nil || fallback.VerifyHostname(ip.String()) != nil {
				t.add(ip.String(), first+i)
			}
		}
	}
	if fallback != nil {
		for _, name := range namesOf(fallback) {
			if name, addr, ok := normalPattern(name); ok && !addr.IsValid() {
				t.common.add(name, 0)
			}
		}
	}
	return t
}

// add gives pattern to entry i unless an earlier one has it.
func (t *sniTable) add(pattern string, i int) {
	name, addr, ok := normalPattern(pattern)
	switch {
	case !ok:
	case addr.IsValid():
		if _, taken := t.addrs[addr]; !taken {
			t.addrs[addr] = i
		}
	default:
		t.names.add(name, i)
	}
}

// namesOf are the names that a certificate is chosen by.
func namesOf(leaf *x509.Certificate) []string {
	// An address as common name could take clients without SNI from the default.
	if cn := leaf.Subject.CommonName; net.ParseIP(cn) == nil {
		return append([]string{cn}, leaf.DNSNames...) // add drops what is no host name
	}
	return leaf.DNSNames
}

// byName is the entry for a name of normalName. Not known: it is the default one.
func (t *sniTable) byName(name []byte) (i int, known bool) {
	if i, ok := t.names.find(name); ok {
		return i, true
	}
	_, known = t.common.find(name)
	return 0, known
}

// byAddr is the entry for the server's address, where the client names none.
func (t *sniTable) byAddr(local net.Addr) int {
	if local == nil || len(t.addrs) == 0 {
		return 0
	}
	return t.addrs[addrOf(local)] // absent: 0, the default
}

// addrOf is the IP address in a net.Addr; invalid: there is none.
func addrOf(a net.Addr) netip.Addr {
	var ip netip.Addr
	switch a := a.(type) {
	case *net.TCPAddr:
		ip, _ = netip.AddrFromSlice(a.IP)
	case *net.UDPAddr:
		ip, _ = netip.AddrFromSlice(a.IP)
	}
	return ip.Unmap()
}
