package listener

import (
	"hash/maphash"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// DefaultPerClient is the ceiling of connections per client (rule S-4).
const DefaultPerClient = 256

// gateShards spreads the clients over locks, so that cores that accept at the
// same time seldom meet.
const gateShards = 64

// Verdict is a Gate's answer.
type Verdict int

// The verdicts.
const (
	// Admitted: the connection counts until Release.
	Admitted Verdict = iota
	// RefusedTotal: the ceiling of all connections is reached.
	RefusedTotal
	// RefusedClient: the client's own ceiling is reached.
	RefusedClient
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case Admitted:
		return "admitted"
	case RefusedTotal:
		return "refused: total"
	case RefusedClient:
		return "refused: client"
	default:
		return "unknown verdict"
	}
}

// GateConfig sets the ceilings of a Gate.
type GateConfig struct {
	// Total bounds all connections; each costs a descriptor and the memory of
	// an idle connection. If zero, ConnectionCeiling(). If negative, none.
	Total int
	// PerClient bounds the connections of one client: an IPv4 address, an IPv6
	// /64, or a single link-local address. If zero, 256. If negative, none.
	PerClient int
	// LimitLoopback applies PerClient to loopback addresses too, which are
	// exempt otherwise: behind a local proxy all clients share one.
	LimitLoopback bool
	// Exempt are the prefixes PerClient does not apply to: trusted proxies.
	Exempt []netip.Prefix
}

// Gate counts connections and refuses those above the ceilings, before any
// work is done for them. One gate may serve several groups. All methods may be
// called by any goroutine; none allocates in the steady state. Its memory is
// bounded by the most clients that were connected at one time, which Total bounds.
type Gate struct {
	// Immutable after NewGate.
	loopback bool
	seed     maphash.Seed

	// Atomic; written by any goroutine.
	open     atomic.Int64
	ceilings atomic.Pointer[ceilings]

	shards [gateShards]gateShard
}

// ceilings are what Set changes. They are not changed in place.
type ceilings struct {
	total     int64 // negative: none
	perClient int32 // negative: none
	exempt    []netip.Prefix
}

// gateShard counts the connections of some clients.
type gateShard struct {
	mu sync.Mutex
	// mu guards the following. Entries at 0 are deleted.
	open map[client]int32
	_    [64 - 16]byte // one cache line each
}

// client is what PerClient counts by.
type client struct {
	bits uint64
	kind uint8 // 4: IPv4 address; 6: upper half of an IPv6 address; 10: lower half of a link-local one
}

// NewGate makes a gate.
func NewGate(cfg GateConfig) *Gate {
	g := &Gate{loopback: cfg.LimitLoopback, seed: maphash.MakeSeed()}
	g.Set(cfg)
	for i := range g.shards {
		g.shards[i].open = make(map[client]int32)
	}
	return g
}

// Set changes the ceilings for connections from now on; those that are open stay,
// and count. LimitLoopback remains as it was. Any goroutine may call it.
func (g *Gate) Set(cfg GateConfig) {
	c := &ceilings{total: int64(cfg.Total), perClient: int32(min(cfg.PerClient, 1<<30)), exempt: slices.Clone(cfg.Exempt)}
	if cfg.Total == 0 {
		c.total = int64(ConnectionCeiling())
	}
	if cfg.PerClient == 0 {
		c.perClient = DefaultPerClient
	}
	g.ceilings.Store(c)
}

// Admit counts a connection from addr, unless a ceiling is reached. The zero
// Addr (a unix socket, or a client not known yet) has no ceiling of its own. Every
// Admitted needs one Release with the same address.
func (g *Gate) Admit(addr netip.Addr) Verdict {
	c := g.ceilings.Load()
	if n := g.open.Add(1); c.total >= 0 && n > c.total {
		g.open.Add(-1)
		return RefusedTotal
	}
	v := g.identify(c, addr)
	if v != Admitted {
		g.open.Add(-1)
	}
	return v
}

// Identify tells whose a connection is that was admitted under the zero Addr: from
// here on it is addr's, and so is its Release. RefusedClient: addr has as many as
// it may, and the connection is nobody's still.
func (g *Gate) Identify(addr netip.Addr) Verdict { return g.identify(g.ceilings.Load(), addr) }

func (g *Gate) identify(c *ceilings, addr netip.Addr) Verdict {
	if !g.counts(addr) {
		return Admitted
	}
	most := c.perClient
	if most < 0 || c.exempts(addr) {
		most = math.MaxInt32
	}
	if !g.admitClient(clientOf(addr), most) {
		return RefusedClient
	}
	return Admitted
}

// Release takes back an Admitted.
func (g *Gate) Release(addr netip.Addr) {
	if g.open.Add(-1) < 0 {
		panic("BUG: listener.Gate: Release without Admit")
	}
	if !g.counts(addr) {
		return
	}
	c := clientOf(addr)
	s := g.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := s.open[c]; n {
	case 0:
		panic("BUG: listener.Gate: Release of another address than Admit's")
	case 1:
		delete(s.open, c)
	default:
		s.open[c] = n - 1
	}
}

// Open is the number of connections that count now.
func (g *Gate) Open() int { return int(g.open.Load()) }

// Total is the ceiling of all connections, negative if there is none.
func (g *Gate) Total() int { return int(g.ceilings.Load().total) }

func (g *Gate) admitClient(c client, most int32) bool {
	s := g.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.open[c]
	if n >= most {
		return false
	}
	s.open[c] = n + 1
	return true
}

// counts reports whether addr is counted by itself. That must not depend on what
// Set changes: a Release finds what its Admit has counted.
func (g *Gate) counts(addr netip.Addr) bool {
	return addr.IsValid() && (g.loopback || !addr.Unmap().IsLoopback())
}

// exempts reports whether addr has no ceiling of its own.
func (c *ceilings) exempts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(c.exempt, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (g *Gate) shard(c client) *gateShard {
	return &g.shards[maphash.Comparable(g.seed, c)%gateShards]
}

// clientOf cuts an address to what one client has. A /64 is one IPv6 host's
// (RFC 4291 §2.5.1), except for link-local addresses, where all hosts of a
// link share fe80::/64.
func clientOf(addr netip.Addr) client {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return client{bits: bigEndian(b[:]), kind: 4}
	}
	b := addr.As16()
	if addr.IsLinkLocalUnicast() {
		return client{bits: bigEndian(b[8:]), kind: 10}
	}
	return client{bits: bigEndian(b[:8]), kind: 6}
}

func bigEndian(b []byte) (v uint64) {
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
