package upstream

import (
	"math"
	"math/bits"
	"time"
)

// twoChoices draws two different members and takes the better one: nearly as even
// as the best of all, without every request going to the same one (Mitzenmacher,
// "The power of two choices").
func (v *view) twoChoices(g *Group, t int64, tried *Tried) *member {
	r := g.random.next()
	i, j := pair(r, len(v.members))
	a, b := &v.members[i], &v.members[j]
	freeA, freeB := a.free(tried), b.free(tried)
	switch {
	case freeA && freeB:
		median := g.medianLatency()
		if b.cost(t, v.set.SlowStart, median) < a.cost(t, v.set.SlowStart, median) {
			return b
		}
		return a
	case freeA:
		return a
	case freeB:
		return b
	}
	return v.least(t, tried, r, max(unknownLatency, g.medianLatency()))
}

// pair makes two different indexes below n of one random number. Which comes first
// is random too, so that of two equal ones either wins.
func pair(r uint64, n int) (i, j int) {
	i = scale(uint32(r>>32), n)
	j = scale(uint32(r), n-1)
	if j >= i {
		j++
	}
	return i, j
}

// scale makes an index below n of a random number.
func scale(r uint32, n int) int {
	high, _ := bits.Mul64(uint64(r)<<32, uint64(n))
	return int(high)
}

// cost is what the next request would wait at m, roughly.
func (m *member) cost(t int64, slowStart time.Duration, median float64) float64 {
	return m.latency.estimate(t, median) * m.load(t, slowStart)
}

// load is how full m is, compared with others.
func (m *member) load(t int64, slowStart time.Duration) float64 {
	return float64(m.inFlight.Load()+1) / (m.weight * m.share(t, slowStart))
}

// least looks at all members, from a random one on so that of equal ones each may
// win: the least loaded, or with a median the one of the least cost.
func (v *view) least(t int64, tried *Tried, r uint64, median float64) (best *member) {
	n := len(v.members)
	var least float64
	for i, at := 0, scale(uint32(r>>32), n); i < n; i, at = i+1, at+1 {
		if at == n {
			at = 0
		}
		m := &v.members[at]
		if !m.free(tried) {
			continue
		}
		var x float64
		if median > 0 {
			x = m.cost(t, v.set.SlowStart, median)
		} else {
			x = m.load(t, v.set.SlowStart)
		}
		if best == nil || x < least {
			best, least = m, x
		}
	}
	return best
}

// inTurn takes members by turns, with one counter and no list: in each round a
// member lets as many turns pass as its weight is behind the heaviest (static
// stride scheduling, as gRPC's weighted round robin). Where all weights are equal
// it is plain round robin.
func (v *view) inTurn(g *Group, t int64, tried *Tried) *member {
	n := uint64(len(v.members))
	var turn uint64
	// The heaviest passes in no round; only who is full, tried or starts slowly does.
	for range 2 * n {
		turn = g.turn.Add(1) - 1
		m := &v.members[turn%n]
		stride := max(1, uint64(float64(m.stride)*m.share(t, v.set.SlowStart)))
		// The half sets members apart whose weights are alike.
		if place := stride*(turn/n) + turn%n*(maxStride/2); place%maxStride < maxStride-stride {
			continue
		}
		if m.free(tried) {
			return m
		}
	}
	for i := range n {
		if m := &v.members[(turn+i)%n]; m.free(tried) {
			return m
		}
	}
	return nil
}

// byKey takes the member that the key ranks first among those that have no more
// than their part of the load (Mirrokni, Thorup and Zadimoghaddam, "Consistent
// hashing with bounded loads"). The ranks are by rendezvous and not by a ring: exact
// by weight, no table to make when health changes, and a member that leaves moves
// its own keys and no other.
func (v *view) byKey(t int64, key uint64, tried *Tried) *member {
	all := int64(1) // this request
	var weights float64
	for i := range v.members {
		m := &v.members[i]
		all += m.inFlight.Load()
		weights += m.weight * m.share(t, v.set.SlowStart)
	}
	even := math.Inf(1)
	if p := v.set.Hash.LoadPercent; p > 0 {
		even = float64(p) / 100 * float64(all) / weights
	}
	var best, spare *member
	var bestRank, spareRank float64
	for i := range v.members {
		m := &v.members[i]
		if !m.free(tried) {
			continue
		}
		rank := v.rank(m, key)
		if spare == nil || rank > spareRank {
			spare, spareRank = m, rank
		}
		bound := even * m.weight * m.share(t, v.set.SlowStart)
		if n := m.inFlight.Load(); n > 0 && float64(n) >= bound {
			continue
		}
		if best == nil || rank > bestRank {
			best, bestRank = m, rank
		}
	}
	if best == nil { // who could take more was tried or is at its limit
		return spare
	}
	return best
}

// rank is how far in front m is for a key: the key's own random number, which a
// weight of w makes as good as the best of w numbers.
func (v *view) rank(m *member, key uint64) float64 {
	h := mix(key ^ m.hash)
	if v.equal {
		return float64(h)
	}
	// Within 0 and 1, both excluded.
	u := (float64(h>>11) + 0.5) / (1 << 53)
	return -m.weight / math.Log(u)
}

func (g *Group) medianLatency() float64 { return math.Float64frombits(g.median.Load()) }
