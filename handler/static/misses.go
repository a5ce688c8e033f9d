package static

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"
)

// maxMissBytes is the longest path whose absence is remembered: with 1024 places
// a quarter of a megabyte, whatever is asked for.
const maxMissBytes = 256

// misses remembers paths where no file is. It is apart from the cache, so that
// made-up names push no file out of it: they only push out each other. Each path
// has one place, which the last one to come takes. The zero value remembers none.
type misses struct {
	// Immutable after init.
	seed   maphash.Seed
	trust  time.Duration
	places []atomic.Pointer[miss]
}

type miss struct {
	key string
	at  int64 // Handler.now
}

func (m *misses) init(places int, trust time.Duration) {
	m.seed, m.trust = maphash.MakeSeed(), trust
	m.places = make([]atomic.Pointer[miss], places)
}

func (m *misses) place(key string) *atomic.Pointer[miss] {
	return &m.places[maphash.String(m.seed, key)%uint64(len(m.places))]
}

// has tells whether nothing was under key a moment ago.
func (m *misses) has(key string, now int64) bool {
	if len(m.places) == 0 || len(key) > maxMissBytes {
		return false
	}
	found := m.place(key).Load()
	return found != nil && found.key == key && now-found.at < int64(m.trust)
}

func (m *misses) add(key string, now int64) {
	if len(m.places) == 0 || len(key) > maxMissBytes {
		return
	}
	m.place(key).Store(&miss{strings.Clone(key), now}) // the request's memory may be recycled
}
