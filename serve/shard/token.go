package shard

import "sync/atomic"

// token is the one word that decides who leads a shard.
//
//	 63        32 31            1 0
//	+------------+---------------+-+
//	|   epoch    |   sequence    |s|    s = 0 engine, 1 handler
//	+------------+---------------+-+
//
// The leader alone moves engine -> handler (enter) and back (leave). Anybody
// may move handler -> engine of the next epoch (take): a standby, the watchdog,
// or the handler's own call that is about to wait. Exactly one CAS wins, so at
// most one goroutine leads, and epochs only grow. Never is leadership taken
// out of engine.
//
// All that the leader owns (batch, conn table, wheel, counters) is handed over
// by the word: the CAS that takes it happens after the store that released it.
// The sequence tells two handlers of one leader apart, so that "the same
// handler still runs" can be seen without a clock. It wraps after 2^31 handlers
// of one epoch; a standby would have to sleep through exactly that many to be
// deceived, and would then merely take over early.
type token struct{ word atomic.Uint64 }

const (
	inHandler  = 1
	oneRequest = 2
	oneEpoch   = 1 << 32
	epochMask  = ^uint64(oneEpoch - 1)
)

// epoch counts the leaders so far.
func (t *token) epoch() uint64 { return t.word.Load() >> 32 }

// enter is called by the leader before a handler; it returns the word that
// leave and take must find.
func (t *token) enter() uint64 {
	w := t.word.Load()
	w = w&epochMask | (w+oneRequest)&(oneEpoch-1) | inHandler
	t.word.Store(w)
	return w
}

// leave is called by the goroutine that called enter, after the handler. False:
// it was overtaken, and touches nothing of the shard any more.
func (t *token) leave(w uint64) bool { return t.word.CompareAndSwap(w, w&^inHandler) }

// take ends the leadership of the goroutine inside the handler that entered
// with w. True: the caller, or the goroutine it starts, leads the next epoch.
func (t *token) take(w uint64) bool {
	if w&inHandler == 0 {
		return false
	}
	return t.word.CompareAndSwap(w, w&epochMask+oneEpoch)
}
