package h1

import (
	"math/rand/v2"
	"time"
)

const (
	defaultReadHeadTimeout = 10 * time.Second // S-1 (TestHeadTimeout)
	defaultIdleTimeout     = 75 * time.Second // S-4 (TestIdleTimeout)
	defaultBodyIdleTimeout = 60 * time.Second // S-2 (TestBodyIdle)
	defaultBodyMinRate     = 240              // S-2, bytes a second (TestBodyRate)
	defaultNewConnGrace    = 5 * time.Second  // as net/http's Shutdown treats new connections (TestDrain)
	defaultMaxConnAge      = time.Hour        // H1-17 (TestConnAge)

	bodyRateGrace = 10 * time.Second // S-2: the rate counts from then on

	// An unread body is read to its end up to here, else the connection
	// closes (H1-13; net/http's figure). TestUnreadBody.
	maxDrainBytes = 256 << 10
	drainTimeout  = 5 * time.Second

	// A connection closed with bytes unread would reset, and the reset
	// overtakes the answer; so reading goes on for a while. TestLinger.
	maxLingerBytes = 64 << 10
	lingerTimeout  = time.Second

	readSize = 16 << 10 // of one read: a TLS record
	// maxSameHead: a head that is remembered, to be compared with the next one.
	maxSameHead = 2 << 10
	smallHead   = 4 << 10 // of an unfinished head that a connection holds between steps
	// gatherSize is up to where a body without Content-Length is kept back, so
	// that its length can be told (net/http: 2 KiB).
	gatherSize = 8 << 10
	// headRoom is what a head usually needs, and chunkBytes the most that
	// stands around a chunk; more only costs an allocation.
	headRoom   = 512
	chunkBytes = 24
	// flushSize is when gathered answers leave, though more requests wait.
	flushSize = 32 << 10
	copySize  = 64 << 10 // of one read of what is copied
	// copyLimit: up to here a body is copied behind its head and leaves with
	// it; above, the second system call is cheaper than the copy (BenchmarkWrite).
	copyLimit = 16 << 10
	// highWater is when a handler that writes faster than its peer reads waits,
	// and lowWater when it goes on.
	highWater = 64 << 10
	lowWater  = 32 << 10
	// sendfileMin: smaller files are read and copied, and leave with their head
	// in one write (TestSendFile).
	sendfileMin = 16 << 10
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
	set(&cfg.ReadHeadTimeout, defaultReadHeadTimeout)
	set(&cfg.IdleTimeout, defaultIdleTimeout)
	set(&cfg.BodyIdleTimeout, defaultBodyIdleTimeout)
	set(&cfg.NewConnGrace, defaultNewConnGrace)
	set(&cfg.MaxConnAge, defaultMaxConnAge)
	switch {
	case cfg.BodyMinRate == 0:
		cfg.BodyMinRate = defaultBodyMinRate
	case cfg.BodyMinRate < 0:
		cfg.BodyMinRate = 0
	}
	cfg.Limits = cfg.Limits.WithDefaults()
	return cfg
}

// jitteredAge spreads the ends of connections that began together: +-10 %.
func jitteredAge(age time.Duration) time.Duration {
	if age <= 0 {
		return 0
	}
	return age - age/10 + rand.N(age/5+1)
}
