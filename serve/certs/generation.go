package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// extQUIC is quic_transport_parameters: every ClientHello over QUIC carries it
// (RFC 9001 §8.2).
const extQUIC = 57

// A way is what a handshake goes over; each has ALPN names of its own.
type way int

const (
	overTCP way = iota
	overQUIC
	ways // their number
)

// generation is what handshakes are answered with between two changes of a
// file. Connections that were begun under a former one keep that: its policies,
// and its ticket keys.
type generation struct {
	// Immutable after newGeneration.
	d       *Dynamic
	entries []entry
	access  []access // by the number of the policy
	sni     *sniTable
	refused [ways]*tls.Config // answers with the alert unrecognized_name

	// Atomic; filled by the first handshake that needs one. By way, policy, entry.
	configs []atomic.Pointer[tls.Config]
}

// entry is one certificate.
type entry struct {
	pair   *tls.Certificate
	source *SelfSignedSource // or this, which renews by itself
}

func (e entry) leaf() *x509.Certificate {
	if e.source != nil {
		return e.source.Certificate().Leaf
	}
	return e.pair.Leaf
}

// access is a policy as it stands now.
type access struct {
	policy Policy
	pool   *x509.CertPool
	keys   *TicketKeys
}

// newGeneration is made of what d has loaded; of former, which may be nil, it
// takes over all that is the same.
func newGeneration(d *Dynamic, former *generation) *generation {
	g := &generation{d: d}
	if d.cfg.SelfSigned != nil {
		g.entries = append(g.entries, entry{source: d.cfg.SelfSigned})
	}
	for _, pair := range d.pairs {
		g.entries = append(g.entries, entry{pair: pair.Certificate()})
	}
	for i, p := range d.policies.list {
		g.access = append(g.access, d.newAccess(i, p, former))
	}
	g.configs = make([]atomic.Pointer[tls.Config], int(ways)*len(g.access)*len(g.entries))
	if former == nil {
		g.sni = g.newSNITable()
		for w := range ways {
			g.refused[w] = g.newRefused(w)
		}
		return g
	}
	g.refused = former.refused
	if g.sni = former.sni; !slices.Equal(g.entries, former.entries) {
		g.sni = g.newSNITable()
	}
	for w := range ways {
		for p := range g.access {
			for e := range g.entries {
				if g.access[p] == former.access[p] && g.entries[e] == former.entries[e] {
					i := g.index(w, p, e)
					g.configs[i].Store(former.configs[i].Load())
				}
			}
		}
	}
	return g
}

// newAccess gives a policy fresh ticket keys with each new client CA: a ticket
// carries what was verified when it was made (CVE-2025-68121). They are another
// set, not the old one with other keys: a handshake that still runs under the
// former CA must not seal with the new keys.
func (d *Dynamic) newAccess(i int, p Policy, former *generation) access {
	a := access{policy: p}
	if ca := d.cas[p.ClientCAFile]; ca != nil {
		a.pool = ca.Pool()
	}
	switch {
	case former != nil && former.access[i].pool == a.pool:
		a.keys = former.access[i].keys
	case i == 0 && p.ClientAuth == ClientAuthNone:
		a.keys = d.cfg.Keys
	case former == nil && d.cfg.Former != nil:
		a.keys = d.cfg.Former.keysFor(a)
	}
	if a.keys == nil {
		a.keys = NewTicketKeys(time.Now())
	}
	return a
}

// keysFor are the ticket keys of the policy that asks the same as a does; nil: there
// is none. What stands in the files counts, not their names.
func (d *Dynamic) keysFor(a access) *TicketKeys {
	for _, mine := range d.current.Load().access {
		p := mine.policy
		p.ClientCAFile = a.policy.ClientCAFile
		if p == a.policy && (mine.pool == nil) == (a.pool == nil) && (a.pool == nil || a.pool.Equal(mine.pool)) {
			return mine.keys
		}
	}
	return nil
}

// newSNITable is made of the certificates' names and the patterns of flags.
func (g *generation) newSNITable() *sniTable {
	first := len(g.entries) - len(g.d.cfg.SNI)
	var fallback *x509.Certificate
	if first > 0 {
		fallback = g.entries[0].leaf()
	}
	pairs := make([]pairNames, len(g.d.cfg.SNI))
	for i, named := range g.d.cfg.SNI {
		pairs[i] = pairNames{patterns: named.Patterns, leaf: g.entries[first+i].leaf()}
	}
	return newSNITable(pairs, first, fallback)
}

// configForClient is for tls.Config.GetConfigForClient.
func (d *Dynamic) configForClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	return d.current.Load().choose(hello), nil
}

// choose finds the configuration of a handshake.
func (g *generation) choose(hello *tls.ClientHelloInfo) *tls.Config {
	w := wayOf(hello)
	if hello.ServerName == "" {
		e := 0
		if hello.Conn != nil && len(g.sni.addrs) > 0 {
			e = g.sni.byAddr(hello.Conn.LocalAddr())
		}
		return g.config(w, 0, e)
	}
	var buf [maxNameBytes]byte
	name, ok := normalName(&buf, hello.ServerName)
	if !ok { // rule T-3
		return g.refused[w]
	}
	e, known := g.sni.byName(name)
	if !known && g.d.cfg.RejectUnknown {
		return g.refused[w]
	}
	p, _ := g.d.policies.names.findDeep(name)
	return g.config(w, p, e)
}

// wayOf tells what a hello came over: of those with QUIC's extension, which
// anybody may send over TCP too, by the connection.
func wayOf(hello *tls.ClientHelloInfo) way {
	if !slices.Contains(hello.Extensions, extQUIC) || hello.Conn == nil {
		return overTCP
	}
	if _, packets := hello.Conn.LocalAddr().(*net.UDPAddr); packets {
		return overQUIC
	}
	return overTCP
}

func (g *generation) index(w way, p, e int) int {
	return (int(w)*len(g.access)+p)*len(g.entries) + e
}

// config is made by the first handshake that needs it; nobody changes it later.
func (g *generation) config(w way, p, e int) *tls.Config {
	slot := &g.configs[g.index(w, p, e)]
	if c := slot.Load(); c != nil {
		return c
	}
	slot.CompareAndSwap(nil, g.newConfig(w, g.access[p], g.entries[e]))
	return slot.Load()
}

func (g *generation) newConfig(w way, a access, e entry) *tls.Config {
	c := g.base(w)
	c.MinVersion = max(c.MinVersion, a.policy.MinVersion)
	c.ClientAuth, c.ClientCAs = a.policy.ClientAuth.tls(), a.pool
	if e.source != nil {
		c.GetCertificate = e.source.GetCertificate
	} else {
		c.Certificates = []tls.Certificate{*e.pair}
	}
	a.keys.Apply(c)
	return c
}

// newRefused has no certificate, which crypto/tls says as unrecognized_name; nor
// a way around one.
func (g *generation) newRefused(w way) *tls.Config {
	c := g.base(w)
	c.SessionTicketsDisabled = true
	return c
}

func (g *generation) base(w way) *tls.Config {
	cfg := &g.d.cfg
	c := &tls.Config{MinVersion: cfg.MinVersion, CipherSuites: cfg.CipherSuites, CurvePreferences: cfg.Curves, NextProtos: cfg.NextProtos}
	if w == overQUIC {
		c.MinVersion, c.NextProtos = tls.VersionTLS13, []string{"h3"}
	}
	return c
}
