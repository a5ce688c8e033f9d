package h1

import "sync/atomic"

// Counters count what a shard's connections did. Read them at any time.
type Counters struct {
	Requests  atomic.Uint64 // handled
	Malformed atomic.Uint64 // heads refused (400, 417, 501, 505, 405)
	TooLarge  atomic.Uint64 // heads refused (414, 431)
	BadBody   atomic.Uint64 // chunked bodies refused
	TimedOut  atomic.Uint64 // 408: head or body too slow (S-1, S-2)
	Panics    atomic.Uint64 // in handlers, http.ErrAbortHandler not counted
	Sanitised atomic.Uint64 // fields changed or dropped when serialised (H1-16)
}
