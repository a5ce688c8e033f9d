package h3

import (
	"math/rand/v2"
	"time"
)

// What one peer may make us hold, do and wait for. Each has its reason and the
// test that crosses it.
const (
	// Requests at one time, and handlers that run: what comes above waits in the
	// transport until one ends (TestMaxStreams).
	defaultMaxStreams = 100
	// creditBatch is how many finished streams give their credit back at a time,
	// with an answer that is sent anyway: a frame of its own for each is a packet
	// of its own (BenchmarkServe). Twice as many are kept, and the peer is
	// allowed that many streams more.
	creditBatch = 16
	// Unidirectional streams: three that must be (RFC 9114 §6.2), and those of
	// unknown types, which are refused one by one (TestUniStreams).
	maxUniStreams = 16

	// What a peer may send before a handler reads. TestWindows.
	defaultStreamWindow    = 256 << 10
	defaultMaxStreamWindow = 1 << 20
	defaultConnWindow      = 2 << 20

	// A field section: its lines, their number, and the number at which decoding
	// itself stops. TestFieldSectionLimits.
	defaultFieldBytes  = 64 << 10
	defaultFields      = 100
	hardFields         = 1000
	defaultTargetBytes = 16 << 10
	// A trailer section (H1-7, Q-5). TestTrailerLimits.
	maxTrailerBytes = 8 << 10
	maxTrailers     = 32
	// Frames of unknown types on a request stream: their bytes and their number
	// before the message goes on (RFC 9114 §9). TestUnknownFrames.
	maxUnknownBytes  = 64 << 10
	maxUnknownFrames = 32
	// A frame of the control stream: the longest we read is PRIORITY_UPDATE.
	maxControlFrame = 1 << 10
	// Control frames of a connection that ask for work; they refill with each
	// request. TestControlFlood.
	maxControlFrames = 1000

	defaultHandshakeTimeout = 5 * time.Second  // Q-2 (TestHandshakeTimeout)
	defaultQUICIdleTimeout  = 30 * time.Second // TestQUICIdle
	defaultIdleTimeout      = 75 * time.Second // S-4 (TestIdleTimeout)
	defaultReadHeadTimeout  = 10 * time.Second // S-1 (TestSlowHead)
	defaultBodyIdleTimeout  = 60 * time.Second // S-2 (TestBodyIdle)
	defaultBodyMinRate      = 240              // S-2, bytes a second (TestBodyRate)
	defaultWriteIdleTimeout = 60 * time.Second // S-3 (TestStalledReader)
	defaultWriteMinRate     = 240              // S-3, bytes a second
	defaultMaxConnAge       = time.Hour        // H1-17 (TestConnAge)
	settingsTimeout         = 10 * time.Second // of the peer's control stream (TestNoControlStream)

	bodyRateGrace = 10 * time.Second // S-2: the rate counts from then on

	defaultRetryAbove    = 256  // Q-1 (TestRetry)
	defaultRetryRate     = 1000
	defaultMaxHandshakes = 4096 // S-6 (TestQ2Handshakes)

	// drainGrace bounds how long the first GOAWAY of a drain stands alone: a
	// round trip, so that requests on their way are still served. TestDrain.
	drainGrace = 5 * time.Second
	// lingerTime bounds how long a drained connection waits for its last answers
	// to arrive: as long as a peer may take nothing of one (S-3). TestDrainLossy.
	lingerTime = 60 * time.Second
	// handshakeGrace is what handshakes under way have when a stop begins.
	handshakeGrace = time.Second

	// headBuffer is what is lent for a request's first read: a head and a small
	// body. gatherSize is up to where a body without Content-Length is kept back,
	// so that its length can be told.
	headBuffer = 4 << 10
	gatherSize = 8 << 10
	headRoom   = 512
	// queueSize is the longest piece that is handed to the transport as a copy,
	// so that the handler need not wait for its packets (BenchmarkServe100KB).
	queueSize = 64 << 10
	copyBelow = 4 << 10  // content that is sent in one piece with what is before it
	copySize  = 32 << 10 // of one read of a file or stream that is copied
	// memoBlock: a field section that is remembered, to be compared with the next.
	memoBlock = 512
	// sweepInterval is how often idle connections are looked at.
	sweepInterval = time.Second
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
	set(&cfg.HandshakeTimeout, defaultHandshakeTimeout)
	set(&cfg.QUICIdleTimeout, defaultQUICIdleTimeout)
	set(&cfg.IdleTimeout, defaultIdleTimeout)
	set(&cfg.ReadHeadTimeout, defaultReadHeadTimeout)
	set(&cfg.BodyIdleTimeout, defaultBodyIdleTimeout)
	set(&cfg.WriteIdleTimeout, defaultWriteIdleTimeout)
	set(&cfg.MaxConnAge, defaultMaxConnAge)
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
	const large = 1<<31 - 1
	setSize(&cfg.MaxStreams, defaultMaxStreams, 1<<16)
	setSize(&cfg.FieldBytes, defaultFieldBytes, large)
	setSize(&cfg.Fields, defaultFields, large)
	setSize(&cfg.TargetBytes, defaultTargetBytes, large)
	setSize(&cfg.StreamWindow, defaultStreamWindow, large)
	setSize(&cfg.MaxStreamWindow, max(defaultMaxStreamWindow, cfg.StreamWindow), large)
	setSize(&cfg.ConnWindow, max(defaultConnWindow, cfg.StreamWindow), large)
	setSize(&cfg.RetryAbove, defaultRetryAbove, large)
	setSize(&cfg.RetryRate, defaultRetryRate, large)
	setSize(&cfg.MaxHandshakes, defaultMaxHandshakes, large)
	return cfg
}

// jittered spreads the ends of connections that began together: +-10 %.
func jittered[T int | time.Duration](n T) T {
	if n <= 0 {
		return 0
	}
	return n - n/10 + rand.N(n/5+1)
}
