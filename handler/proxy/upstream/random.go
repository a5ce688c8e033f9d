package upstream

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// random is a group's source of random numbers. With a seed it is SplitMix64 over
// one counter, the same numbers in every run; without, the runtime's source of the
// thread, which no two cores share.
type random struct {
	_      [cacheLine]byte
	seeded bool // immutable
	state  atomic.Uint64
	_      [cacheLine]byte
}

// seed is called before any use. Groups of one seed differ by their names.
func (r *random) seed(seed uint64, name string) {
	if seed != 0 {
		r.seeded = true
		r.state.Store(mix(seed ^ hashString(name)))
	}
}

func (r *random) next() uint64 {
	if !r.seeded {
		return rand.Uint64()
	}
	return mix(r.state.Add(0x9e3779b97f4a7c15))
}

// within is a random time from low to high.
func (r *random) within(low, high time.Duration) time.Duration {
	return low + time.Duration(float64(high-low)*float64(r.next()>>11)/(1<<53))
}

// jitter is d ±10 %, so that what began together does not stay together.
func (r *random) jitter(d time.Duration) time.Duration { return r.within(d-d/10, d+d/10) }

// mix is the finish of SplitMix64: each bit of the result depends on each of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Key makes the key of HashKey of s: never zero, and the same in every process, so
// that fronts side by side agree. It is no secret: who can choose the text can
// choose the endpoint, up to the bound of its load.
func Key(s string) uint64 { return max(1, mix(hashString(s))) }

// hashString is FNV-1a. hash/fnv would allocate.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func hashID(id endpointID) uint64 {
	return mix(hashString(id.target + "\n" + id.authority + "\n" + id.address))
}
