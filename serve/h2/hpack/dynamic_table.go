package hpack

// dynamicTable is a decoder's (RFC 7541 §2.3.2). The zero value is an empty
// table of DefaultTableSize.
type dynamicTable struct {
	// entries is a ring whose length is a power of two. It is made at the first
	// insertion and grows with the number of entries: an idle connection that
	// inserted ten fields keeps 512 bytes of it, not 4096.
	entries    []entry
	inserted   uint32 // entries so far; the newest is number inserted-1
	generation uint32 // see Decoder.Generation
	size       uint16 // RFC 7541 §4.1
	below      uint16 // how far the maximum size is below DefaultTableSize
	live       uint8
}

type entry struct{ name, value string }

// minRing holds what a browser inserts at its first request.
const minRing = 16

func (t *dynamicTable) max() int { return DefaultTableSize - int(t.below) }

// at returns the entry of the given age: 1 is the newest. Age is at most live.
func (t *dynamicTable) at(age uint32) *entry {
	return &t.entries[(t.inserted-age)&uint32(len(t.entries)-1)]
}

// add inserts an entry of the given size, which is at most max. Entries are
// evicted until there is room for it (RFC 7541 §4.4).
func (t *dynamicTable) add(name, value string, size int) {
	t.evict(t.max() - size)
	if int(t.live) == len(t.entries) {
		t.grow()
	}
	t.inserted++
	t.generation++
	t.live++
	t.size += uint16(size)
	*t.at(1) = entry{name, value}
}

// evict drops the oldest entries until the others take up at most size.
func (t *dynamicTable) evict(size int) {
	for int(t.size) > size {
		e := t.at(uint32(t.live))
		t.size -= uint16(len(e.name) + len(e.value) + entryOverhead)
		t.live--
		t.generation++
		*e = entry{} // lets go of its string
	}
}

func (t *dynamicTable) grow() {
	old := t.entries
	t.entries = make([]entry, max(minRing, 2*len(old))) // ends at maxEntries: size bounds live
	for age := range uint32(t.live) {
		number := t.inserted - age - 1
		t.entries[number&uint32(len(t.entries)-1)] = old[number&uint32(len(old)-1)]
	}
}

// setMax obeys a size update to n, at most DefaultTableSize (RFC 7541 §4.3).
func (t *dynamicTable) setMax(n int) {
	if n == t.max() {
		return
	}
	t.below = uint16(DefaultTableSize - n)
	t.generation++
	t.evict(n)
	if n == 0 {
		t.entries = nil // such a peer does not mean to insert
	}
}
