package certs

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

const (
	// ticketKeyLifetime is how long one key seals new tickets (rule T-9).
	ticketKeyLifetime = 12 * time.Hour
	// ticketKeysKept is how many former keys still open tickets.
	ticketKeysKept = 3
)

// TicketKeys is one rotated set of session ticket keys for every listener of a
// process: a session begun on one is resumed on any other. The current key
// seals; the next one and the former three are accepted too.
//
// Keys are told apart by client-certificate policy: use one TicketKeys for
// each, or a ticket of a site without client certificates opens one that asks
// for them (rule T-6).
//
// Rotation needs no goroutine. A handshake that finds the current key 12 hours
// old moves the set on; age is monotonic time, so a wall clock that jumps
// neither burns keys nor keeps them (rule O-5).
type TicketKeys struct {
	// keeper is never used for a handshake: it holds the keys, and seals and
	// opens with them for all configurations, their clones included. Copies of
	// the keys in each configuration would fall out of step with its clones
	// (golang/go#77113).
	keeper tls.Config

	// mu guards the following.
	mu    sync.Mutex
	since time.Time // when keys[0] became current
	keys  [2 + ticketKeysKept]ticketKey
	held  int // how many of keys are real: the set starts without a past
}

// ticketKey is what tls.Config.SetSessionTicketKeys takes.
type ticketKey = [32]byte

// Places in TicketKeys.keys; SetSessionTicketKeys seals with the first.
const (
	currentKey = iota
	nextKey
	firstFormerKey
)

// NewTicketKeys makes a set of fresh random keys whose first one is current from now on.
func NewTicketKeys(now time.Time) *TicketKeys {
	k := &TicketKeys{}
	k.replaceLocked(now)
	return k
}

// Apply makes c seal and open its session tickets with the set. Call it before
// c is used; clones made of c afterwards share the set too. A configuration
// with SessionTicketsDisabled stays without tickets.
func (k *TicketKeys) Apply(c *tls.Config) {
	c.WrapSession = k.wrap
	c.UnwrapSession = k.unwrap
}

// Rotate moves the set on by as many lifetimes as have passed at now, and
// tells whether it did. Handshakes do it by themselves; a server without any
// traffic may call it so that no key outlives its time in memory.
func (k *TicketKeys) Rotate(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	steps := int(now.Sub(k.since) / ticketKeyLifetime)
	if steps <= 0 {
		return false
	}
	if steps > len(k.keys) {
		k.replaceLocked(now)
		return true
	}
	for range steps {
		k.stepLocked()
	}
	k.since = k.since.Add(time.Duration(steps) * ticketKeyLifetime)
	k.publishLocked()
	return true
}

// Replace forgets every key: no ticket given out so far is accepted again. It
// is for a change of the certificate authorities that clients are checked with.
func (k *TicketKeys) Replace(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replaceLocked(now)
}

func (k *TicketKeys) replaceLocked(now time.Time) {
	clear(k.keys[:])
	fill(&k.keys[currentKey])
	fill(&k.keys[nextKey])
	k.held = firstFormerKey
	k.since = now
	k.publishLocked()
}

// stepLocked makes next current and current the first of the former ones.
func (k *TicketKeys) stepLocked() {
	former := k.keys[currentKey]
	copy(k.keys[firstFormerKey+1:], k.keys[firstFormerKey:])
	k.keys[firstFormerKey] = former
	k.keys[currentKey] = k.keys[nextKey]
	fill(&k.keys[nextKey])
	k.held = min(k.held+1, len(k.keys))
}

func (k *TicketKeys) publishLocked() { k.keeper.SetSessionTicketKeys(k.keys[:k.held]) }

// fill cannot fail: crypto/rand.Read ends the process rather than return an error.
func fill(key *ticketKey) { _, _ = rand.Read(key[:]) }

func (k *TicketKeys) wrap(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
	k.Rotate(time.Now())
	return k.keeper.EncryptTicket(cs, ss)
}

// unwrap answers a nil state for a ticket it cannot open: a full handshake follows.
func (k *TicketKeys) unwrap(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	k.Rotate(time.Now())
	return k.keeper.DecryptTicket(identity, cs)
}
