package h3

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// admission is what stands between strangers and a handshake.
type admission struct {
	cfg      *Config
	open     atomic.Int64 // handshakes under way
	stopping atomic.Bool

	mu       sync.Mutex
	second   int64 // of begun
	begun    int   // handshakes of that second
	prefixes map[netip.Prefix]int
}

// mustProve tells whether a client has to prove its address by a Retry first:
// too many handshakes are open, or begin. The address may be forged.
func (a *admission) mustProve(net.Addr) bool {
	prove := a.open.Load() >= int64(a.cfg.RetryAbove) || a.rate(time.Now()) > a.cfg.RetryRate
	if prove {
		a.cfg.Counters.Retries.Add(1)
	}
	return prove
}

// rate counts a beginning handshake, and tells how many this second has seen.
func (a *admission) rate(now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := now.Unix(); s != a.second {
		a.second, a.begun = s, 0
	}
	a.begun++
	return a.begun
}

// handshake is one that is under way. It ends once: done or failed.
type handshake struct {
	a      *admission
	prefix netip.Prefix
	over   atomic.Bool
}

// handshakeKey finds a connection's handshake in its context.
type handshakeKey struct{}

// begin lets a handshake begin, or refuses it: with CONNECTION_REFUSED, which
// costs nothing more.
func (a *admission) begin(ctx context.Context, remote net.Addr) (context.Context, error) {
	if a.stopping.Load() {
		return nil, errRefused
	}
	h := &handshake{a: a, prefix: prefixOf(remote)}
	if a.open.Add(1) > int64(a.cfg.MaxHandshakes) || !a.enter(h.prefix) {
		a.open.Add(-1)
		a.cfg.Counters.Refused.Add(1)
		return nil, errRefused
	}
	context.AfterFunc(ctx, func() {
		if h.end() {
			a.cfg.Counters.HandshakeErrors.Add(1)
		}
	})
	return context.WithValue(ctx, handshakeKey{}, h), nil
}

// end ends the handshake; true for the first call.
func (h *handshake) end() bool {
	if h.over.Swap(true) {
		return false
	}
	h.a.open.Add(-1)
	h.a.leave(h.prefix)
	return true
}

// prefixOf is the IPv4 /24 or IPv6 /48 of an address.
func prefixOf(addr net.Addr) netip.Prefix {
	ip := addrOf(addr)
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	p, _ := ip.Prefix(bits)
	return p
}

// addrOf is the IP address of addr, IPv4 as such; invalid for what has none.
func addrOf(addr net.Addr) netip.Addr {
	if u, ok := addr.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func (a *admission) enter(p netip.Prefix) bool {
	if a.cfg.MaxHandshakesPerPrefix <= 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prefixes[p] >= a.cfg.MaxHandshakesPerPrefix {
		return false
	}
	if a.prefixes == nil {
		a.prefixes = make(map[netip.Prefix]int)
	}
	a.prefixes[p]++ // at most MaxHandshakes entries
	return true
}

func (a *admission) leave(p netip.Prefix) {
	if a.cfg.MaxHandshakesPerPrefix <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prefixes[p]--; a.prefixes[p] <= 0 {
		delete(a.prefixes, p)
	}
}
