package listener

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

func TestGateTotal(t *testing.T) {
	g := NewGate(GateConfig{Total: 3, PerClient: -1})
	a := netip.MustParseAddr("192.0.2.1")
	for range 3 {
		want(t, "below the ceiling", g.Admit(a), Admitted)
	}
	want(t, "at the ceiling", g.Admit(a), RefusedTotal)
	want(t, "a unix peer counts too", g.Admit(netip.Addr{}), RefusedTotal)
	g.Release(a)
	want(t, "after one has gone", g.Admit(netip.Addr{}), Admitted)
	want(t, "open", g.Open(), 3)
}

func TestGateDefaults(t *testing.T) {
	g := NewGate(GateConfig{})
	want(t, "total", g.Total(), ConnectionCeiling())
	a := netip.MustParseAddr("192.0.2.1")
	for range DefaultPerClient {
		want(t, "below the client's ceiling", g.Admit(a), Admitted)
	}
	want(t, "at the client's ceiling", g.Admit(a), RefusedClient)
	want(t, "a refusal does not count", g.Open(), DefaultPerClient)
	want(t, "another client", g.Admit(netip.MustParseAddr("192.0.2.2")), Admitted)
}

func TestGateClients(t *testing.T) {
	for _, c := range []struct {
		name, first, second string
		cfg                 GateConfig
		want                Verdict
	}{
		{"same address", "192.0.2.1", "192.0.2.1", GateConfig{}, RefusedClient},
		{"IPv4 in IPv6 is the same", "192.0.2.1", "::ffff:192.0.2.1", GateConfig{}, RefusedClient},
		{"neighbour by IPv4", "192.0.2.1", "192.0.2.2", GateConfig{}, Admitted},
		{"same /64", "2001:db8::1", "2001:db8::2:3", GateConfig{}, RefusedClient},
		{"next /64", "2001:db8::1", "2001:db8:0:1::1", GateConfig{}, Admitted},
		{"IPv6 with the bits of an IPv4 address", "0.0.0.1", "0:0:0:1::", GateConfig{}, Admitted},
		{"same link-local host", "fe80::1%2", "fe80::1%2", GateConfig{}, RefusedClient},
		{"link-local neighbour", "fe80::1%2", "fe80::2%2", GateConfig{}, Admitted},
		{"loopback", "127.0.0.1", "127.0.0.1", GateConfig{}, Admitted},
		{"loopback IPv6", "::1", "::1", GateConfig{}, Admitted},
		{"loopback if set", "127.0.0.1", "127.0.0.1", GateConfig{LimitLoopback: true}, RefusedClient},
		{
			"trusted proxy", "198.51.100.7", "198.51.100.7",
			GateConfig{Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
			Admitted,
		},
		{
			"beside the trusted proxies", "198.51.101.7", "198.51.101.7",
			GateConfig{Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
			RefusedClient,
		},
	} {
		c.cfg.PerClient = 1
		g := NewGate(c.cfg)
		want(t, c.name+": first", g.Admit(netip.MustParseAddr(c.first)), Admitted)
		want(t, c.name+": second", g.Admit(netip.MustParseAddr(c.second)), c.want)
	}
}

// What is counted is forgotten when it is released: a flood of addresses
// leaves nothing behind.
func TestGateForgets(t *testing.T) {
	g := NewGate(GateConfig{Total: 50, PerClient: 3})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				a := netip.AddrFrom4([4]byte{10, byte(w % 2), byte(i >> 8), byte(i)})
				if g.Admit(a) == Admitted {
					if n := g.Open(); n > 50+8 { // an attempt counts for a moment
						t.Errorf("%d open above the ceiling", n)
					}
					g.Release(a)
				}
			}
		})
	}
	wg.Wait()
	want(t, "open", g.Open(), 0)
	clients := 0
	for i := range g.shards {
		clients += len(g.shards[i].open)
	}
	want(t, "clients remembered", clients, 0)
}

func TestGateReleaseWithoutAdmit(t *testing.T) {
	defer func() { want(t, "panics", recover() != nil, true) }()
	NewGate(GateConfig{}).Release(netip.MustParseAddr("192.0.2.1"))
}

func TestGateAllocs(t *testing.T) {
	g := NewGate(GateConfig{})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	got := testing.AllocsPerRun(1000, func() {
		g.Admit(a)
		g.Admit(b)
		g.Release(a)
		g.Release(b)
	})
	want(t, "allocations", got, 0)
}

func BenchmarkGate(b *testing.B) {
	for _, s := range []string{"127.0.0.1", "192.0.2.1", "2001:db8::1"} {
		b.Run(fmt.Sprintf("Admit+Release/addr=%s", s), func(b *testing.B) {
			g, a := NewGate(GateConfig{}), netip.MustParseAddr(s)
			b.ReportAllocs()
			for b.Loop() {
				if g.Admit(a) != Admitted {
					b.Fatal("refused")
				}
				g.Release(a)
			}
		})
	}
}

// TestGateSet: other ceilings hold for what comes from now on, and every Release
// finds its Admit, whatever was set in between.
func TestGateSet(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	g := NewGate(GateConfig{Total: -1, PerClient: -1})
	want := func(why string, addr netip.Addr, v Verdict) {
		t.Helper()
		if got := g.Admit(addr); got != v {
			t.Fatalf("%s: %v, want %v", why, got, v)
		}
	}
	want("no ceiling", a, Admitted)
	want("no ceiling", a, Admitted)
	g.Set(GateConfig{Total: 4, PerClient: 2})
	want("what is open counts", a, RefusedClient)
	g.Set(GateConfig{Total: 4, PerClient: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	want("exempt", a, Admitted)
	want("another client", b, Admitted)
	want("all", b, RefusedTotal)
	g.Set(GateConfig{Total: -1, PerClient: 1})
	want("a lower ceiling", b, RefusedClient)
	for range 3 {
		g.Release(a)
	}
	g.Release(b)
	want("all are gone", b, Admitted)
	g.Release(b)
	if g.Open() != 0 {
		t.Errorf("%d are open", g.Open())
	}
}
