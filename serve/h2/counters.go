package h2

import "sync/atomic"

// Counters count what a shard's connections did. Read them at any time.
type Counters struct {
	Requests  atomic.Uint64 // handled
	Malformed atomic.Uint64 // requests refused before their handler (H2-9)
	TooLarge  atomic.Uint64 // requests refused with 414 or 431
	TimedOut  atomic.Uint64 // heads, bodies and readers too slow (S-1, S-2, H2-5)
	Panics    atomic.Uint64 // in handlers, http.ErrAbortHandler not counted
	Sanitised atomic.Uint64 // fields changed or dropped when serialised (H1-16)
	Refused   atomic.Uint64 // streams answered REFUSED_STREAM
	Resets    atomic.Uint64 // streams the peer has reset
	Errors    atomic.Uint64 // connections ended for a violation of the protocol
	Withheld  atomic.Uint64 // streams reset since they kept their neighbours' credit

	Calmed [numReasons]atomic.Uint64 // connections ended with ENHANCE_YOUR_CALM, by Reason
}

// Reason is why a connection was ended with ENHANCE_YOUR_CALM.
type Reason uint8

const (
	ReasonResets        Reason = iota // rapid reset, in either direction (H2-1, H2-2)
	ReasonContinuations               // CONTINUATION flood (H2-3)
	ReasonHeaderList                  // more fields than anybody sends (H2-4)
	ReasonStalled                     // takes nothing of its answers (H2-5)
	ReasonControl                     // answers to PING and SETTINGS that it does not read (H2-6)
	ReasonSettings                    // too many entries in SETTINGS (H2-6)
	ReasonEmptyFrames                 // frames that carry nothing (H2-6)
	ReasonPriority                    // PRIORITY and PRIORITY_UPDATE (H2-6)
	ReasonWindowUpdates               // WINDOW_UPDATE (H2-6)
	ReasonOverhead                    // bytes that are neither head nor body (H2-6)
	ReasonTinyData                    // DATA of a few bytes each (H2-7)
	ReasonSlowHead                    // a header block or frame that does not end (S-1)
	numReasons
)

var reasonNames = [numReasons]string{
	"resets", "continuations", "header list", "stalled", "control frames", "settings", "empty frames",
	"priority", "window updates", "overhead", "tiny data", "slow head",
}

func (r Reason) String() string { return reasonNames[r] }
