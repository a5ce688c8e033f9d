package qpack

// Sections are bounded by hpack.Limits. Here is what bounds the rest.
const (
	// maxInteger is the largest that has to be understood (RFC 9204 §4.1.1).
	maxInteger = 1<<62 - 1
	// maxContinuation octets of an integer carry 63 bits: enough for the largest.
	// More could only be leading zeros (TestDecodeRefused/4.1.1 ten continuation octets).
	maxContinuation = 9
	// maxCapacityUpdates on the encoder stream of a connection: such a peer MUST
	// NOT send any (RFC 9204 §3.2.3), and none has a reason to go on
	// (TestEncoderStream/capacity too often).
	maxCapacityUpdates = 16

	// cacheSets of two pairs each: more than the answers of most sites repeat at
	// a time, in 3 KiB and their strings (TestCacheBounds).
	cacheSets = 32
	// maxCached is the largest pair in the Cache: with cacheSets it bounds the
	// whole (TestCacheBounds).
	maxCached = 256
	// remembered pairs that were seen once, as in serve/h2/hpack (TestCacheRequestIDs).
	remembered = 16
	// maxFolded is the longest unknown name that is coded in Huffman: folded, it
	// stays on the stack (TestEncodeAllocs).
	maxFolded = 32
)
