package h2

import "time"

// Allowances that refill. Work is counted, not open streams: a stream that was
// reset is closed, and what it cost is not (H2-1, RFC 9113 §10.5).
const (
	// RST_STREAM, the peer's and those that the peer's violations make us send
	// (H2-1, H2-2; CVE-2023-44487, CVE-2025-8671). TestRapidReset, TestMadeYouReset.
	resetBurst   = 200
	resetsPerSec = 33

	// DATA frames smaller than tinyData that lie unread cost the difference; who
	// reads them earns it back (H2-7). A burst is no attack as long as its reader had
	// no time to take it: a window holds thousands of a peer's small messages, and a
	// step takes them all before a handler may read one. TestTinyData, TestGoodClients.
	tinyData       = 256
	tinyDataBudget = 1000 * tinyData
	tinyGrace      = time.Second // without a read

	// PRIORITY and PRIORITY_UPDATE: so many, and so many more for each stream (H2-6).
	// TestPriorityFlood.
	priorityPerStream = 100
	// WINDOW_UPDATE: so many, two for each stream and each tenth of a DATA frame
	// that we sent, with both doubled (H2-6, CVE-2019-9517). TestWindowUpdateFlood.
	windowUpdatesFree    = 5
	windowUpdatesPerUnit = 2
	dataWeight           = 10
	// Frames without content and without END_STREAM in a row (H2-6, CVE-2019-9518).
	// TestEmptyFrames.
	maxEmptyInRow = 1
	// Bytes that are not payload of HEADERS and DATA (either direction): an eighth
	// of all may be payload's, and a megabyte more (H2-6; nginx's rule). TestOverhead.
	overheadShare = 8
	overheadFree  = 1 << 20
)

// bucket is a token bucket. The zero value is full.
type bucket struct {
	spent float64
	at    time.Time
}

// take takes one token of a bucket of burst that refills at rate a second.
// False: it is empty.
func (b *bucket) take(now time.Time, burst, rate float64) bool {
	if b.spent > 0 {
		b.spent = max(0, b.spent-rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	b.spent++
	return b.spent <= burst
}

// budget is what a connection has used up.
type budget struct {
	resets        bucket
	tiny          int    // spent of tinyDataBudget; see body.put
	priorities    uint64 // frames
	windowUpdates uint64 // frames
	streams       uint64 // requests so far
	dataSent      uint64 // DATA frames
	bytes         uint64 // received
	payload       uint64 // of HEADERS and DATA, both directions
	empty         int    // in a row
}

// spendReset notes a reset. False: the budget is spent.
func (b *budget) spendReset(now time.Time) bool {
	return b.resets.take(now, resetBurst, resetsPerSec)
}

// spendPriority notes a PRIORITY or PRIORITY_UPDATE frame.
func (b *budget) spendPriority() bool {
	b.priorities++
	return b.priorities <= priorityPerStream*(1+b.streams)
}

// spendWindowUpdate notes a WINDOW_UPDATE frame.
func (b *budget) spendWindowUpdate() bool {
	b.windowUpdates++
	return b.windowUpdates <= windowUpdatesFree+windowUpdatesPerUnit*(b.streams+dataWeight*b.dataSent)
}

// spendBytes notes n bytes received.
func (b *budget) spendBytes(n int) bool {
	b.bytes += uint64(n)
	return b.bytes/overheadShare <= b.payload+overheadFree
}
