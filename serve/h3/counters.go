package h3

import "sync/atomic"

// Counters count what a server's connections did. Read them at any time.
type Counters struct {
	Open            atomic.Int64  // connections, their handshakes done
	Accepted        atomic.Uint64 // connections since the start
	Refused         atomic.Uint64 // connections and handshakes above a ceiling (S-4, Q-2)
	Retries         atomic.Uint64 // handshakes that had to prove their address
	Handshakes      atomic.Uint64 // completed
	HandshakeErrors atomic.Uint64
	Requests        atomic.Uint64 // handled
	Malformed       atomic.Uint64 // requests refused before their handler (Q-6, H2-9)
	TooLarge        atomic.Uint64 // requests refused with 414 or 431
	TooEarly        atomic.Uint64 // requests of 0-RTT refused with 425
	TimedOut        atomic.Uint64 // heads, bodies and readers too slow (S-1, S-2, S-3)
	Panics          atomic.Uint64 // in handlers, http.ErrAbortHandler not counted
	Sanitised       atomic.Uint64 // fields changed or dropped when serialised (H1-16)
	Rejected        atomic.Uint64 // requests above the last of a GOAWAY: nothing of them was done
	Resets          atomic.Uint64 // requests the peer has cancelled
	Errors          atomic.Uint64 // connections ended for a violation of the protocol
	HandOffs        atomic.Uint64 // known waits of handlers
	Overtaken       atomic.Uint64 // handlers that lost leadership
	Cut             atomic.Int64  // connections with a request under way that Cut closed
}
