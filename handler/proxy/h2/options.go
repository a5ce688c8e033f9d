package h2

import (
	"crypto/tls"
	"math/rand/v2"
	"time"
)

// Options say where the upstream is and what it may cost.
type Options struct {
	// Network and Address are what net.Dial takes: tcp or unix. If Network is
	// zero, tcp.
	Network, Address string
	// TLS is the configuration of a TLS connection; it is copied. ALPN must agree on
	// h2. Otherwise as h1.Options.TLS. If nil, the connection is clear, with prior
	// knowledge (RFC 9113 §3.3).
	TLS *tls.Config

	// ConnectTimeout bounds connecting. If zero, 3 s. If negative, none.
	ConnectTimeout time.Duration
	// HandshakeTimeout bounds the TLS handshake. If zero, 5 s. If negative, none.
	HandshakeTimeout time.Duration
	// ExpectTimeout is how long a body is held back for 100 (Continue). If zero, 1 s.
	// If negative, for ever.
	ExpectTimeout time.Duration
	// IdleTimeout is how long a connection without streams is kept, by Sweep. If
	// zero, 60 s. If negative, for ever.
	IdleTimeout time.Duration
	// MaxAge is how long new streams are opened on a connection, ±10 %. If zero, 1 h.
	// If negative, for ever.
	MaxAge time.Duration

	// MaxStreams are open on a connection at most; fewer if the upstream says so. If
	// zero or negative, 100.
	MaxStreams int
	// MaxConns are open for each home at most; beyond their streams requests wait. If
	// zero or negative, 8.
	MaxConns int
	// MaxHead bounds the heads of one answer in sum, informational ones included, in
	// bytes as HPACK counts them. If zero or negative, 64 KiB.
	MaxHead int

	// Opened and Closed: see h1.Options.
	Opened, Closed func()
}

const (
	defaultConnectTimeout   = 3 * time.Second  // fast fail-over
	defaultHandshakeTimeout = 5 * time.Second  // of TLS
	defaultExpectTimeout    = time.Second      // as in package h1 (TestExpect)
	defaultIdleTimeout      = 60 * time.Second // below what upstreams commonly keep
	defaultMaxAge           = time.Hour        // rebalances after scaling
	defaultMaxStreams       = 100
	defaultMaxConns         = 8
	defaultMaxHead          = 64 << 10 // U-2

	// maxInformational answers may come before the final one (U-2).
	maxInformational = 5
	// maxFields and hardFields are those of a head: more is too large, and far more
	// ends the connection (H2-4).
	maxFields  = 256
	hardFields = 1000
	// maxTrailers and maxTrailerBytes: H1-7, the same for all versions.
	maxTrailers     = 32
	maxTrailerBytes = 8 << 10
	// maxContinuations of one header block (H2-3).
	maxContinuations = 8
	// controlBudget is how many frames without any content a peer may send beyond
	// those with some (H2-6).
	controlBudget = 1000
	// maxControl frames of ours wait for a write that takes long (H2-6).
	maxControl = 1000

	// smallBody leaves with its head, as in package h1.
	smallBody = 16 << 10
	// pumpBytes is one DATA frame of the least size that every peer takes.
	pumpBytes = 16 << 10
	// readBytes is what the reader asks for: one frame of the largest size we take,
	// and more of small ones.
	readBytes = 32 << 10
	// streamWindow is what an upstream may send on a stream ahead of the client.
	streamWindow = 256 << 10
	// defaultWindow is RFC 9113 §6.9.2's.
	defaultWindow = 65535
	// connCredit is given back at a time: the connection's window is much larger.
	connCredit = 256 << 10
	// lastID ends a connection before its stream identifiers do.
	lastID = 1 << 30
	// writeTimeout bounds each write of the reader, which must not wait for long.
	writeTimeout = 10 * time.Second
	// maxTries are connections that end before a request is sent on them: more tell
	// that the upstream takes none.
	maxTries = 3
)

func (o Options) withDefaults() Options {
	set := func(v *time.Duration, d time.Duration) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = 0
		}
	}
	set(&o.ConnectTimeout, defaultConnectTimeout)
	set(&o.HandshakeTimeout, defaultHandshakeTimeout)
	set(&o.ExpectTimeout, defaultExpectTimeout)
	set(&o.IdleTimeout, defaultIdleTimeout)
	set(&o.MaxAge, defaultMaxAge)
	if o.MaxStreams <= 0 {
		o.MaxStreams = defaultMaxStreams
	}
	if o.MaxConns <= 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.MaxHead <= 0 {
		o.MaxHead = defaultMaxHead
	}
	if o.Network == "" {
		o.Network = "tcp"
	}
	return o
}

// jitteredAge spreads the ends of connections that began together: ±10 %.
func jitteredAge(age time.Duration) time.Duration { return age - age/10 + rand.N(age/5+1) }
