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
type cache struct {
	// Immutable after init.
	seed       maphash.Seed
	maxEntries int
	maxBytes   int64

	shards [cacheShards]atomic.Pointer[map[string]*entry]

	// mu guards the following, and every change of shards.
	mu    sync.Mutex
	ring  []*entry
	hand  int
	bytes int64
}

func (c *cache) init(maxEntries int, maxBytes int64) {
	c.seed = maphash.MakeSeed()
	c.maxEntries, c.maxBytes = maxEntries, maxBytes
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
	size := int64(len(e.body))
	if c.maxEntries <= 0 || size > max(c.maxBytes, 0) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.current(e.key); old != nil {
		c.removeLocked(old)
	}
	for len(c.ring) >= c.maxEntries || c.bytes+size > max(c.maxBytes, 0) {
		c.evictLocked()
	}
	e.slot = len(c.ring)
	c.ring = append(c.ring, e)
	c.bytes += size
	c.replace(e.key, func(m map[string]*entry) { m[e.key] = e })
}

// remove forgets e, unless a newer entry has taken its place already.
func (c *cache) remove(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current(e.key) == e {
		c.removeLocked(e)
	}
}

func (c *cache) current(key string) *entry {
	if m := c.shard(key).Load(); m != nil {
		return (*m)[key]
	}
	return nil
}

// evictLocked ends: the second round finds what the first one spared.
func (c *cache) evictLocked() {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		if e := c.ring[c.hand]; !e.used.Swap(false) {
			c.removeLocked(e)
			return
		}
		c.hand++
	}
}

func (c *cache) removeLocked(e *entry) {
	last := c.ring[len(c.ring)-1]
	c.ring[e.slot], last.slot = last, e.slot
	c.ring[len(c.ring)-1] = nil
	c.ring = c.ring[:len(c.ring)-1]
	c.bytes -= int64(len(e.body))
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
