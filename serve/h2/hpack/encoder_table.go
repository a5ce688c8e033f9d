package hpack

import (
	"hash/maphash"
	"strings"
)

const (
	// maxEncoderEntries keep every index in one octet (61+32 < 127) and a search
	// short. The peer's table may hold older entries than ours: they are the
	// first that it evicts, so the ages of ours are right.
	maxEncoderEntries = 32
	minEncoderEntries = 8
	// maxInserted is the largest entry: 16 of them fill the table.
	maxInserted = 256
	// maxUnused entries of one name that nobody has used since they were
	// inserted: from then on a pair of that name has to be seen twice.
	maxUnused = 2
	// remembered pairs that were seen once: as many as one look costs less than
	// a literal for (BenchmarkAppendField/request_id).
	remembered = 16
)

// encoderTable is the encoder's side of the dynamic table (RFC 7541 §2.3.2).
type encoderTable struct {
	entries  []encoded // a ring whose length is a power of two
	inserted uint32    // entries so far; the newest is number inserted-1
	size     uint16    // RFC 7541 §4.1
	live     uint8
	evicted  bool // by this block: see room

	// slots has, by hash, the low octet of the number of the entry to look at
	// first. It is a hint: whoever follows it compares.
	slots [64]uint8

	// seen are hashes of pairs that came once; lcg tells where the next one goes.
	seen [remembered]uint32
	lcg  uint32
}

type encoded struct {
	name, value string // name as the caller writes it
	hash        uint32 // hashName(name)
	used        bool   // by a field after the one that inserted it
}

// at returns the entry of the given age: 1 is the newest. Age is at most live.
func (t *encoderTable) at(age uint8) *encoded {
	return &t.entries[(t.inserted-uint32(age))&uint32(len(t.entries)-1)]
}

// slot spreads the pairs of a connection well enough; reading more of them would
// cost more than it saves (BenchmarkAppendField/hit).
func slot(name, value string) uint32 {
	n := len(name)
	if n == 0 {
		return 0
	}
	return (uint32(n)*37 + uint32(len(value))*11 + uint32(name[n>>1]&0x1f)) & 63
}

// found is what a search tells; ages of 0 are none.
type found struct {
	age     uint8 // of the pair
	nameAge uint8 // of the newest entry with the name
	unused  int   // entries with the name that nobody used
}

func (t *encoderTable) search(name, value string, hash uint32) (f found) {
	for age := uint8(1); age <= t.live; age++ {
		e := t.at(age)
		if e.hash != hash || !equalFold(e.name, name) {
			continue
		}
		if e.value == value {
			return found{age: age}
		}
		if f.nameAge == 0 {
			f.nameAge = age
		}
		if !e.used {
			f.unused++
		}
	}
	return f
}

// room tells whether to insert an entry of the given size. One in a block may
// evict others: answers with more repeating fields than there is room for would
// else insert all of them each time, and find none.
func (t *encoderTable) room(size, limit int) bool {
	if t.live < maxEncoderEntries && int(t.size)+size <= limit {
		return true
	}
	first := !t.evicted
	t.evicted = true
	return first
}

// add inserts an entry, which fits in limit. The name is kept as the caller
// writes it, because that is what the next one is compared with; it costs nothing
// if it is a constant of ours. The caller's strings may be parts of larger ones
// and are not kept.
func (t *encoderTable) add(known *knownName, name, value string, hash uint32, limit int) {
	size := len(name) + len(value) + entryOverhead
	t.evict(limit - size)
	if t.live == maxEncoderEntries {
		t.drop()
	}
	if int(t.live) == len(t.entries) {
		t.grow()
	}
	switch name {
	case known.canonical:
		name, value = known.canonical, strings.Clone(value)
	case known.lower:
		name, value = known.lower, strings.Clone(value)
	default:
		both := name + value
		name, value = both[:len(name)], both[len(name):]
	}
	t.inserted++
	t.live++
	t.size += uint16(size)
	*t.at(1) = encoded{name: name, value: value, hash: hash}
	t.slots[slot(name, value)] = uint8(t.inserted) - 1
}

// evict drops the oldest entries until the others take up at most size.
func (t *encoderTable) evict(size int) {
	for int(t.size) > size {
		t.drop()
	}
}

func (t *encoderTable) drop() {
	e := t.at(t.live)
	t.size -= uint16(len(e.name) + len(e.value) + entryOverhead)
	t.live--
	*e = encoded{}
}

func (t *encoderTable) grow() {
	old := t.entries
	t.entries = make([]encoded, max(minEncoderEntries, 2*len(old)))
	for age := range uint32(t.live) {
		number := t.inserted - age - 1
		t.entries[number&uint32(len(t.entries)-1)] = old[number&uint32(len(old)-1)]
	}
}

// pairSeed makes the hashes of pairs unpredictable: nobody can make a value that
// passes for one seen before.
var pairSeed = maphash.MakeSeed()

// seenBefore tells whether the pair came lately, and remembers it. Which one it
// forgets is left to chance, so that of more pairs than there is room for some
// get through each time.
func (t *encoderTable) seenBefore(hash uint32, value string) bool {
	pair := uint32(maphash.String(pairSeed, value))*0x9e3779b1 ^ hash | 1 // not 0: that is an empty place
	for _, p := range t.seen {
		if p == pair {
			return true
		}
	}
	t.lcg = t.lcg*1664525 + 1013904223
	t.seen[t.lcg>>28] = pair
	return false
}
