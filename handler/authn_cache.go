package handler

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// defaultRememberedUsers is how many credentials a verifier remembers: two times
// about 300 bytes each. TestRecentBounded crosses it.
const defaultRememberedUsers = 1024

// recent remembers the last results of something dear: at least size/2 of those
// used last, at most size. Two halves take turns: what is used moves to the new
// one, and a full new one makes the old one go, so that nothing is ever searched.
type recent[K comparable] struct {
	size int // Immutable. 0: nothing is remembered.

	// mu guards the following.
	mu       sync.Mutex
	now, old map[K]verified
}

// verified is a user, as what has proved it, and how long that holds.
type verified struct {
	user  *User
	by    any // the pool or the keys that vouch; another one ends it
	until time.Time
}

func newRecent[K comparable](size int) *recent[K] {
	return &recent[K]{size: size, now: make(map[K]verified), old: make(map[K]verified)}
}

// get finds what k was, if that still holds.
func (c *recent[K]) get(k K, by any, now time.Time) (*User, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.now[k]
	if !ok {
		if v, ok = c.old[k]; !ok {
			return nil, false
		}
		delete(c.old, k)
		c.put(k, v)
	}
	if v.by != by || !now.Before(v.until) {
		delete(c.now, k)
		return nil, false
	}
	return v.user, true
}

// add remembers v for k.
func (c *recent[K]) add(k K, v verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(k, v)
}

// put is called with mu held.
func (c *recent[K]) put(k K, v verified) {
	half := c.size / 2
	if half == 0 {
		return
	}
	if _, ok := c.now[k]; !ok && len(c.now) >= half {
		c.now, c.old = c.old, c.now
		clear(c.now)
	}
	c.now[k] = v
}

// secretHash makes keys of secrets for maps: neither the time of a look-up nor the
// memory of the process tells of a secret that is not known already.
type secretHash struct{ key [32]byte }

func newSecretHash() *secretHash {
	h := &secretHash{}
	_, _ = rand.Read(h.key[:]) // never fails: crypto/rand
	return h
}

func (h *secretHash) sum(secret string) [sha256.Size]byte {
	var room [1024]byte
	return sha256.Sum256(append(append(room[:0], h.key[:]...), secret...))
}
