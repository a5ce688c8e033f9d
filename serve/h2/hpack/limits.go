package hpack

// DefaultTableSize is the dynamic table size that both sides begin with (RFC
// 9113 §6.5.2). It is also the most we use in either direction, whatever the peer
// allows (rule H2-4): it is what a connection may cost us.
const DefaultTableSize = 4096

const (
	// entryOverhead is what an entry counts beyond its octets (RFC 7541 §4.1).
	entryOverhead = 32
	// maxEntries follows: empty names and values fill a table at this count.
	maxEntries = DefaultTableSize / entryOverhead
	// maxSizeUpdates at the beginning of a block; see block.sizeUpdate
	// (TestDecodeRefused/4.2 three size updates).
	maxSizeUpdates = 2
	// maxScratch is the largest scratch that goes back to its pool: cookies of
	// the common sizes fit, and a peer cannot make the pool hold much. Likewise
	// the literals in it (TestScratch).
	maxScratch = 16 << 10
	maxPending = 256
)

// Limits bound one header block while it is being decoded. A zero field means
// its default. The defaults are those of rule H2-4.
type Limits struct {
	Fields     int // fields kept; more are decoded (the table stays right) but not kept. Default 100 (TestLimits/fields)
	Bytes      int // sum of name+value+32 over kept fields; likewise. Default 64 KiB (TestLimits/bytes)
	HardFields int // decoding stops with ErrTooManyFields above it. Default 1000 (TestLimits/hard)
}

// Default limits; see Limits.
const (
	DefaultFields     = 100
	DefaultBytes      = 64 << 10
	DefaultHardFields = 1000
)

// WithDefaults returns l with its zero fields set. Decode does so by itself.
func (l Limits) WithDefaults() Limits {
	if l.Fields == 0 {
		l.Fields = DefaultFields
	}
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.HardFields == 0 {
		l.HardFields = DefaultHardFields
	}
	return l
}
