package shard

import "sync/atomic"

// Counters are one shard's; read them from any goroutine. Nothing here is
// touched once a request.
type Counters struct {
	Open      atomic.Int64  // connections now, hijacked ones not counted
	Accepted  atomic.Uint64 // by accept4
	Refused   atomic.Uint64 // closed at once: above a ceiling (S-4)
	Evicted   atomic.Uint64 // idle ones closed to make room (S-4)
	Stalled   atomic.Uint64 // cut by the write progress rule (S-3)
	Hijacked  atomic.Uint64 // left with a handler
	HandOffs  atomic.Uint64 // known waits that passed leadership on
	Overtaken atomic.Uint64 // handlers that lost leadership unknowingly
	Clients   atomic.Int64  // connections to upstreams now
	Draining  atomic.Bool
}

// Counters returns the shard's counters.
func (sh *Shard) Counters() *Counters { return &sh.counters }
