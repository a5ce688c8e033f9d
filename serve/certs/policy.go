package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ClientAuth says what is asked of clients in the handshake.
type ClientAuth int

const (
	// ClientAuthNone asks for no certificate.
	ClientAuthNone ClientAuth = iota
	// ClientAuthRequest asks for one and takes whatever comes: the handler finds
	// it in Request.TLS, unverified, and judges.
	ClientAuthRequest
	// ClientAuthRequire refuses the handshake without a certificate of the client
	// CA.
	ClientAuthRequire
)

// String is the word that ParseClientAuth takes.
func (a ClientAuth) String() string {
	switch a {
	case ClientAuthNone:
		return "none"
	case ClientAuthRequest:
		return "request"
	case ClientAuthRequire:
		return "require"
	}
	return fmt.Sprintf("ClientAuth(%d)", int(a))
}

// ParseClientAuth reads "none", "request" or "require".
func ParseClientAuth(word string) (ClientAuth, error) {
	for _, a := range []ClientAuth{ClientAuthNone, ClientAuthRequest, ClientAuthRequire} {
		if a.String() == word {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%q is no client authentication: want none, request or require", word)
}

// tls is the same in crypto/tls's words.
func (a ClientAuth) tls() tls.ClientAuthType {
	switch a {
	case ClientAuthRequest:
		return tls.RequestClientCert
	case ClientAuthRequire:
		return tls.RequireAndVerifyClientCert
	default: // checked by complete
		return tls.NoClientCert
	}
}

// Policy is what a server name asks of its clients. Names with equal policies
// share sessions and connections; between others a request that came under one
// name and asks for the other is misdirected (rule T-5), and no session goes on
// (rule T-6).
type Policy struct {
	ClientAuth ClientAuth
	// ClientCAFile is a PEM bundle; ClientAuthRequire needs it, and with
	// ClientAuthRequest it only tells clients which certificates are of use.
	ClientCAFile string
	// MinVersion is tls.VersionTLS12 if zero. A lower one is an error (T-4).
	MinVersion uint16
}

// NamedPolicy is a policy for the server names that match Patterns: host names,
// and wildcards such as *.example.com, here for any number of labels.
type NamedPolicy struct {
	Patterns []string
	Policy
}

var (
	errNoClientCA  = errors.New("client certificates are required, but there is no client CA to check them with")
	errUnusedCA    = errors.New("there is a client CA, but client certificates are not asked for")
	errPolicyNames = errors.New("a policy by name needs host names")
)

// complete sets what is zero. least is the version below which nobody goes.
func (p Policy) complete(least uint16) (Policy, error) {
	if err := checkVersion(p.MinVersion); err != nil {
		return p, err
	}
	p.MinVersion = max(p.MinVersion, least)
	switch {
	case p.ClientAuth < ClientAuthNone || p.ClientAuth > ClientAuthRequire:
		return p, fmt.Errorf("unknown %v", p.ClientAuth)
	case p.ClientAuth == ClientAuthRequire && p.ClientCAFile == "":
		return p, errNoClientCA
	case p.ClientAuth == ClientAuthNone && p.ClientCAFile != "":
		return p, errUnusedCA
	}
	return p, nil
}

// policies finds a policy's number by server name. It is immutable.
type policies struct {
	list  []Policy // [0] is that of all other names, and of clients that name none
	names nameTable
}

func newPolicies(fallback Policy, named []NamedPolicy, least uint16) (*policies, error) {
	first, err := fallback.complete(least)
	if err != nil {
		return nil, err
	}
	t := &policies{list: []Policy{first}}
	for _, n := range named {
		p, err := n.complete(least)
		if err != nil {
			return nil, fmt.Errorf("policy of %q: %w", n.Patterns, err)
		}
		if len(n.Patterns) == 0 {
			return nil, errPolicyNames
		}
		for _, pattern := range n.Patterns {
			name, addr, ok := normalPattern(pattern)
			if !ok || addr.IsValid() {
				return nil, fmt.Errorf("policy of %q: %w", pattern, errPolicyNames)
			}
			t.names.add(name, t.number(p))
		}
	}
	return t, nil
}

// number is that of a policy, which joins the list if it is a new one.
func (t *policies) number(p Policy) int {
	for i, known := range t.list {
		if known == p {
			return i
		}
	}
	t.list = append(t.list, p)
	return len(t.list) - 1
}

// of is the number of a name's policy; negative: host is neither a name nor an
// address, and nobody knows what a router takes it for.
func (t *policies) of(host string) int {
	if host == "" {
		return 0
	}
	var buf [maxNameBytes]byte
	name, ok := normalName(&buf, host)
	if !ok {
		if !strings.Contains(host, ":") {
			return -1
		}
		if _, err := netip.ParseAddr(host); err != nil {
			return -1
		}
		return 0 // IPv6; IPv4 looks like a name that nobody has a policy for
	}
	i, _ := t.names.findDeep(name)
	return i
}

// same tells whether a request for host may come under the server name sni.
func (t *policies) same(sni, host string) bool {
	if len(t.list) == 1 || sni == host {
		return true
	}
	i := t.of(withoutPort(host))
	return i >= 0 && i == t.of(sni)
}
