package qpack

import (
	"hash/maphash"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// Cache has the encoded octets of pairs that repeat. They do not depend on the
// connection: one Cache may serve a server's, or some of them. The zero value is
// ready; its memory, a few KiB, is made when the first pair comes twice, and is
// bounded by maxCached and cacheSets. One goroutine at a time may use it.
//
// A field is AppendHit, and if that has nothing, AppendMiss.
type Cache struct {
	sets *[cacheSets]cacheSet // nil: nothing came twice

	// seen are hashes of pairs that came once; lcg tells where the next one goes.
	seen [remembered]uint32
	lcg  uint32
}

// cacheSet is where the pairs of one hash are; old is the one to be replaced.
type cacheSet struct {
	pairs [2]cachedPair
	old   uint8
}

type cachedPair struct {
	name, value string // as the caller writes them
	block       string // empty: there is no pair
}

// slot spreads pairs well enough: their last octets tell lengths, tags and times
// apart. With a hash of all octets a hit takes half as long again (BenchmarkAnswer/cached).
func slot(name, value string) uint32 {
	n, m := len(name), len(value)
	if n == 0 || m == 0 {
		return 0
	}
	return (uint32(n)*37 + uint32(m)*11 + uint32(name[n>>1]) + uint32(value[m*3>>2])*7 + uint32(value[m-1])*19) % cacheSets
}

// AppendHit appends a field if it is in the cache, so that it was checked when it
// came there. ok false: nothing was appended.
func (c *Cache) AppendHit(dst []byte, name, value string) (out []byte, ok bool) {
	if c.sets == nil {
		return dst, false
	}
	s := &c.sets[slot(name, value)]
	for i := range s.pairs {
		if p := &s.pairs[i]; p.value == value && p.name == name && p.block != "" {
			s.old = uint8(1 - i)
			return append(dst, p.block...), true
		}
	}
	return dst, false
}

// AppendMiss is AppendField for what AppendHit has not found. A pair that comes
// the second time is kept, save what is secret: that is not for other requests,
// and its owner may want it gone.
func (c *Cache) AppendMiss(dst []byte, name, value string) []byte {
	number, secret := hpack.FindName(name)
	at := len(dst)
	dst = appendField(dst, number, name, value)
	if secret || len(name)+len(value) > maxCached {
		return dst
	}
	if c.seenBefore(name, value) {
		c.add(name, value, dst[at:])
	}
	return dst
}

// pairSeed makes the hashes of pairs unpredictable: nobody can make a value that
// passes for one seen before.
var pairSeed = maphash.MakeSeed()

// seenBefore tells whether the pair came lately, and remembers it. Which one it
// forgets is left to chance, so that of more pairs than there is room for some
// get through each time.
func (c *Cache) seenBefore(name, value string) bool {
	h := maphash.String(pairSeed, name)*31 + maphash.String(pairSeed, value)
	hash := uint32(h>>32) | 1 // not 0: that is an empty place
	for _, h := range c.seen {
		if h == hash {
			return true
		}
	}
	c.lcg = c.lcg*1664525 + 1013904223
	c.seen[c.lcg>>28] = hash
	return false
}

// add keeps a pair. The caller's strings may be parts of larger ones and are
// not kept; the three that are have one allocation.
func (c *Cache) add(name, value string, block []byte) {
	if c.sets == nil {
		c.sets = new([cacheSets]cacheSet)
	}
	text := name + value + string(block)
	mid, end := len(name), len(name)+len(value)
	s := &c.sets[slot(name, value)]
	s.pairs[s.old] = cachedPair{text[:mid], text[mid:end], text[end:]}
	s.old = 1 - s.old
}
