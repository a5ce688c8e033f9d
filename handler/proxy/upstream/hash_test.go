package upstream

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// owners tells whose each of n keys is while there is no load.
func (g *Group) owners(tb testing.TB, n int) []string {
	tb.Helper()
	now := time.Now()
	list := make([]string, n)
	for i := range list {
		e, err := g.Pick(now, Key(fmt.Sprint("client ", i)), nil)
		servetest.Must(tb, "pick", err)
		list[i] = e.Address
		e.End(now)
	}
	return list
}

func TestKey(t *testing.T) {
	servetest.Want(t, "the same in every process and version", Key("192.0.2.1"), 0x4d0e1bc6845259f5)
	servetest.Want(t, "never zero", Key("") != 0, true)
}

func TestHashByWeight(t *testing.T) {
	list := targets(3)
	list[1].Weight, list[2].Weight = 2, 5
	g := newGroup(t, Options{Targets: list, Balance: HashKey}, Hooks{})
	const n = 8000
	parts := make(map[string]int)
	for _, o := range g.owners(t, n) {
		parts[o]++
	}
	for i, weight := range []float64{1, 2, 5} {
		near(t, g.at(i).Address, float64(parts[g.at(i).Address]), n*weight/8, 0.1)
	}
}

// Of any group, an endpoint that leaves moves its own keys and no other, and one
// that comes takes some and moves none between others. Fronts with other orders of
// targets agree.
func TestHashMovesFewKeys(t *testing.T) {
	const keys = 2000
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		list := targets(2 + r.IntN(9))
		for i := range list {
			list[i].Weight = 1 + r.IntN(3)*(round%2)
		}
		g := newGroup(t, Options{Targets: list, Balance: HashKey}, Hooks{})
		before := g.owners(t, keys)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		left := g.endpoints[0].Address
		for i := range list {
			if list[i].URL == "http://"+left[:len(left)-3] {
				list = append(list[:i], list[i+1:]...)
				break
			}
		}
		_, err := g.Update(Options{Targets: list, Balance: HashKey})
		servetest.Must(t, "one leaves", err)
		for i, owner := range g.owners(t, keys) {
			if owner != before[i] && before[i] != left {
				t.Fatalf("of %d endpoints, key %d moved from %s to %s as %s left", len(list)+1, i, before[i], owner, left)
			}
			if owner == left {
				t.Fatalf("key %d went to %s, which has left", i, left)
			}
		}
	}
}

// An endpoint that is down gives its keys away and gets the same ones back.
func TestHashSurvivesEjection(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4), Balance: HashKey, SlowStart: -1}, Hooks{})
	before := g.owners(t, 500)
	now := time.Now()
	fail(g.at(0), now, 5)
	for i, owner := range g.owners(t, 500) {
		servetest.Want(t, "only its own keys move", owner != before[i], before[i] == g.at(0).Address)
	}
	g.refresh(g.since(now.Add(time.Minute)))
	for i, owner := range g.owners(t, 500) {
		servetest.Want(t, "all are back", owner, before[i])
	}
}

// However few keys there are, no endpoint has more than its part and a quarter.
func TestBoundedLoad(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		n := 2 + r.IntN(7)
		list := targets(n)
		var weights float64
		for i := range list {
			list[i].Weight = 1 + r.IntN(4)
			weights += float64(list[i].Weight)
		}
		g := newGroup(t, Options{Targets: list, Balance: HashKey, Limits: Limits{MaxConns: -1}}, Hooks{})
		now := time.Now()
		for i := range 1000 {
			_, err := g.Pick(now, Key("the only client"), nil)
			servetest.Must(t, "pick", err)
			for k := range n {
				in := float64(g.at(k).InFlight())
				if bound := 1.25 * float64(i+1) * float64(list[k].Weight) / weights; in > bound+1 {
					t.Fatalf("%v of %d requests are at one of weight %d of %v", in, i+1, list[k].Weight, weights)
				}
			}
		}
	}
}

// Under load a key stays where it was as long as its endpoint is not too full: a
// few that are hot move the few that come behind them.
func TestBoundedLoadKeepsMostKeys(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(8), Balance: HashKey, Limits: Limits{MaxConns: -1}}, Hooks{})
	free := g.owners(t, 4000)
	now := time.Now()
	moved := 0
	for i, owner := range free {
		e, err := g.Pick(now, Key(fmt.Sprint("client ", i)), nil)
		servetest.Must(t, "pick", err)
		if e.Address != owner {
			moved++
		}
	}
	servetest.Want(t, "at most one in twenty has moved", moved <= len(free)/20, true)
}

func TestLoadWithoutBound(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4), Balance: HashKey, Hash: Hash{LoadPercent: -1}}, Hooks{})
	now := time.Now()
	first, err := g.Pick(now, 7, nil)
	servetest.Must(t, "pick", err)
	for range 100 {
		e, err := g.Pick(now, 7, nil)
		servetest.Must(t, "pick", err)
		servetest.Want(t, "all at one", e, first)
	}
}

// Without a key there is nothing to stay by.
func TestHashWithoutKey(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4), Balance: HashKey}, Hooks{})
	for _, c := range g.counts(t, time.Now(), 4000) {
		near(t, "they spread", float64(c), 1000, 0.15)
	}
}
