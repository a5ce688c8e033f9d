package h2

import (
	"math/rand/v2"
	"time"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// What one peer may make us hold, do and wait for. Each has its reason and the
// test that crosses it. Budgets, which refill, are in budget.go.
const (
	// MAX_CONCURRENT_STREAMS; also the bound of running handlers, which a reset
	// stream still counts in; as many requests may wait for one to end (H2-1,
	// CVE-2023-44487). TestRapidReset, TestWaitingRequests.
	defaultMaxStreams = 100

	// Receive windows: of a stream until its handler reads, of a stream whose
	// handler keeps up, and of the connection. The last also bounds the unread
	// bytes of all streams: above it no credit is given, and what was given before
	// may double them. TestConnectionCredit.
	defaultStreamWindow    = 64 << 10
	defaultMaxStreamWindow = 1 << 20
	defaultConnWindow      = 1 << 20
	// A stream that keeps its neighbours' credit and reads nothing for that long
	// is reset. TestSlowReaderIsReset.
	withholdTimeout = 10 * time.Second

	// A header block: field lines, their number, and the number at which
	// decoding itself stops (H2-4, CVE-2016-6581). TestHeaderListLimits.
	defaultFieldBytes  = 64 << 10
	defaultFields      = 100
	hardFields         = 1000
	defaultTargetBytes = 16 << 10
	maxMethodBytes     = 32
	// CONTINUATION frames of a block (H2-3, CVE-2024-28182). TestContinuationFlood.
	maxContinuations = 8
	// A trailer section (H1-7). TestTrailerLimits.
	maxTrailerBytes = 8 << 10
	maxTrailers     = 32

	// Control frames queued for a peer that does not read (H2-6, CVE-2019-9512):
	// at most 17 bytes each. TestControlFlood.
	maxQueuedControl = 1000
	// Entries of one SETTINGS frame (H2-6, CVE-2019-9515). TestSettingsFlood.
	maxSettings = 32

	// Output kept for a stream whose peer gives no window, and for all of them
	// (H2-5). TestStalledOutput.
	maxStreamOutput = 64 << 10
	maxConnOutput   = 1 << 20
	minStreamOutput = 4 << 10 // of a stream, however full its neighbours are
	// highWater is when answers stop being framed since the socket is behind, and
	// lowWater when they go on: what is framed can no longer be reprioritised.
	highWater = 128 << 10
	lowWater  = 64 << 10
	// maxUnsent is when reading stops: a peer that asks and does not read.
	// TestReadingStops.
	maxUnsent = 512 << 10

	prefaceTimeout  = 10 * time.Second // H2-11, from accept (TestPrefaceTimeout)
	settingsTimeout = 2 * time.Second  // H2-11, from the preface (TestPrefaceTimeout)
	ackTimeout      = 10 * time.Second // H2-11, of our SETTINGS (TestSettingsAckTimeout)

	defaultReadHeadTimeout  = 10 * time.Second // S-1: a begun header block or frame (TestSlowHeaders)
	defaultIdleTimeout      = 75 * time.Second // S-4 (TestIdleTimeout)
	defaultBodyIdleTimeout  = 60 * time.Second // S-2 (TestBodyIdle)
	defaultBodyMinRate      = 240              // S-2, bytes a second (TestBodyRate)
	defaultWriteIdleTimeout = 60 * time.Second // H2-5 (TestStalledOutput)
	defaultWriteMinRate     = 240              // H2-5, bytes a second (TestDripDoesNotExtend)
	defaultMaxConnAge       = time.Hour        // H1-17 (TestConnAge)
	defaultPingTimeout      = 15 * time.Second // as net/http's (TestPingKeepAlive)

	bodyRateGrace = 10 * time.Second // S-2: the rate counts from then on

	// drainGrace is how long the first GOAWAY of a drain is left standing for a
	// round trip to complete (H2-12). TestDrain.
	drainGrace = 5 * time.Second
	// A connection closed with bytes unread would reset, and the reset
	// overtakes the GOAWAY. TestLinger.
	maxLingerBytes = 64 << 10
	lingerTimeout  = time.Second

	readSize   = 16 << 10 // of one read: a TLS record
	smallInput = 4 << 10  // of a begun frame that a connection holds between steps
	// gatherSize is up to where a body without Content-Length is kept back, so
	// that its length can be told.
	gatherSize = 8 << 10
	// headRoom is what a HEADERS frame usually needs.
	headRoom = 512
	// writeSize is the most that is gathered for one Host.Write, though more
	// requests wait: three full TLS records. dataSize is the content of the DATA
	// frame that fills one.
	outSize   = 16 << 10 // of the first output buffer of a step
	writeSize = 3 * frame.DefaultMaxSize
	dataSize  = frame.DefaultMaxSize - frame.HeaderSize
	copySize  = 3 * dataSize // of one read of a file or stream that is copied
	// smallTable is how many streams a table of an idle connection may have held
	// to be kept for the next request; a larger one is given up.
	smallTable = 8
	// maxMemoBlock: a header block that is remembered, to be compared with the next.
	maxMemoBlock = 512
	// maxMemoText of decoded strings may stay with a connection that is idle.
	maxMemoText = 2 << 10
	// Twice MAX_CONCURRENT_STREAMS of our resets are remembered, within these
	// bounds: frames on those streams may be on their way (RFC 9113 §5.1, closed).
	// TestRFC9113Section8Messages.
	minResets = 64
	maxResets = 4096
)

// withDefaults returns cfg with its zero fields set; negative means none.
func (cfg Config) withDefaults() Config {
	set := func(v *time.Duration, d time.Duration) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = 0
		}
	}
	setInt := func(v *int, d int) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = 0
		}
	}
	set(&cfg.ReadHeadTimeout, defaultReadHeadTimeout)
	set(&cfg.IdleTimeout, defaultIdleTimeout)
	set(&cfg.BodyIdleTimeout, defaultBodyIdleTimeout)
	set(&cfg.WriteIdleTimeout, defaultWriteIdleTimeout)
	set(&cfg.MaxConnAge, defaultMaxConnAge)
	set(&cfg.PingTimeout, defaultPingTimeout)
	setInt(&cfg.BodyMinRate, defaultBodyMinRate)
	setInt(&cfg.WriteMinRate, defaultWriteMinRate)
	setSize := func(v *int, d, most int) { // no size is without a bound
		switch {
		case *v == 0:
			*v = d
		case *v < 0 || *v > most:
			*v = most
		}
	}
	setSize(&cfg.MaxStreams, defaultMaxStreams, 1<<16)
	setSize(&cfg.FieldBytes, defaultFieldBytes, frame.MaxWindow)
	setSize(&cfg.Fields, defaultFields, frame.MaxWindow)
	setSize(&cfg.TargetBytes, defaultTargetBytes, frame.MaxWindow)
	setSize(&cfg.StreamWindow, defaultStreamWindow, frame.MaxWindow)
	setSize(&cfg.MaxStreamWindow, max(defaultMaxStreamWindow, cfg.StreamWindow), frame.MaxWindow)
	setSize(&cfg.ConnWindow, defaultConnWindow, frame.MaxWindow)
	return cfg
}

// jitteredAge spreads the ends of connections that began together: +-10 %.
func jitteredAge(age time.Duration) time.Duration {
	if age <= 0 {
		return 0
	}
	return age - age/10 + rand.N(age/5+1)
}
