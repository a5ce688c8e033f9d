package static

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

// cacheShards bounds what one change copies: a 64th of the entries.
const cacheShards = 64

// cache remembers entries by URL path. Reading takes no lock: a shard is a map
// that is never changed, only replaced. Room is made by the CLOCK rule: a hand
// goes round, spares once what was used since it last passed, and takes the rest.
// The cache holds one reference of each entry.
type cache struct {
	// Immutable after init.
	seed       maphash.Seed
	maxEntries int
	maxBytes   int64
	maxOpen    int

	shards [cacheShards]atomic.Pointer[map[string]*entry]

	// mu guards the following, and every change of shards.
	mu     sync.Mutex
	ring   []*entry
	hand   int
	bytes  int64
	open   int // files
	closed bool
}

func (c *cache) init(maxEntries int, maxBytes int64, maxOpen int) {
	c.seed = maphash.MakeSeed()
	c.maxEntries, c.maxBytes, c.maxOpen = max(maxEntries, 0), max(maxBytes, 0), max(maxOpen, 0)
}

func (c *cache) shard(key string) *atomic.Pointer[map[string]*entry] {
	return &c.shards[maphash.String(c.seed, key)%cacheShards]
}

// get gives the entry of a path, or nil.
func (c *cache) get(key string) *entry {
	m := c.shard(key).Load()
	if m == nil {
		return nil
	}
	e := (*m)[key]
	if e != nil && !e.used.Load() { // a store on each hit would bounce the line between cores
		e.used.Store(true)
	}
	return e
}

// put adds e, in place of an older entry of its path. An entry that is larger
// than the whole cache is not kept.
func (c *cache) put(e *entry) {
	if c.maxEntries == 0 || e.bytes > c.maxBytes || e.open > c.maxOpen {
		return
	}
	c.mu.Lock()
	gone := c.putLocked(e)
	c.mu.Unlock()
	releaseAll(gone)
}

// putLocked gives the entries that had to go.
func (c *cache) putLocked(e *entry) (gone []*entry) {
	if c.closed || !e.acquire() {
		return nil
	}
	if old := c.current(e.key); old != nil {
		c.removeLocked(old)
		gone = append(gone, old)
	}
	for len(c.ring) >= c.maxEntries || c.bytes+e.bytes > c.maxBytes {
		gone = append(gone, c.evictLocked(func(*entry) bool { return true }))
	}
	for c.open+e.open > c.maxOpen {
		gone = append(gone, c.evictLocked(func(e *entry) bool { return e.open > 0 }))
	}
	e.slot = len(c.ring)
	c.ring = append(c.ring, e)
	c.bytes += e.bytes
	c.open += e.open
	c.replace(e.key, func(m map[string]*entry) { m[e.key] = e })
	return gone
}

// releaseAll is called without the lock: closing a file may take its time.
func releaseAll(entries []*entry) {
	for _, e := range entries {
		e.release()
	}
}

// remove forgets e, unless a newer entry has taken its place already.
func (c *cache) remove(e *entry) {
	c.mu.Lock()
	mine := c.current(e.key) == e
	if mine {
		c.removeLocked(e)
	}
	c.mu.Unlock()
	if mine {
		e.release()
	}
}

// close forgets all, for ever.
func (c *cache) close() {
	c.mu.Lock()
	gone := c.ring
	c.closed, c.ring, c.bytes, c.open = true, nil, 0, 0
	for i := range c.shards {
		c.shards[i].Store(nil)
	}
	c.mu.Unlock()
	releaseAll(gone)
}

func (c *cache) current(key string) *entry {
	if m := c.shard(key).Load(); m != nil {
		return (*m)[key]
	}
	return nil
}

// evictLocked takes the next entry of a kind, of which there must be one. It ends:
// the second round finds what the first one spared.
func (c *cache) evictLocked(kind func(*entry) bool) *entry {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		gone := kind(e) && !e.used.Swap(false)
		if gone {
			c.removeLocked(e) // the newest takes its place, and is passed by for a whole round
		}
		c.hand++
		if gone {
			return e
		}
	}
}

func (c *cache) removeLocked(e *entry) {
	last := c.ring[len(c.ring)-1]
	c.ring[e.slot], last.slot = last, e.slot
	c.ring[len(c.ring)-1] = nil
	c.ring = c.ring[:len(c.ring)-1]
	c.bytes -= e.bytes
	c.open -= e.open
	c.replace(e.key, func(m map[string]*entry) { delete(m, e.key) })
}

// replace changes a copy of key's shard and puts it in place.
func (c *cache) replace(key string, change func(map[string]*entry)) {
	p := c.shard(key)
	m := map[string]*entry{}
	if old := p.Load(); old != nil {
		m = maps.Clone(*old)
	}
	change(m)
	p.Store(&m)
}
