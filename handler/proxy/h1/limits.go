package h1

import (
	"math/rand/v2"
	"time"
)

const (
	defaultConnectTimeout   = 3 * time.Second  // fast fail-over (TestConnectTimeout)
	defaultHandshakeTimeout = 5 * time.Second  // of TLS (TestHandshakeTimeout)
	defaultExpectTimeout    = time.Second      // net/http's ExpectContinueTimeout (TestExpect)
	defaultMaxIdle          = 64               // for each home (TestIdleBound)
	defaultIdleTimeout      = 60 * time.Second // below what upstreams commonly keep (TestIdleTimeout)
	defaultMaxAge           = time.Hour        // rebalances after scaling; H1-17 (TestMaxAge)
	defaultMaxHead          = 64 << 10         // U-2: all heads of one answer in sum (TestHeadBytes)

	// maxInformational answers may come before the final one (U-2, TestInformational).
	maxInformational = 5

	// smallBody is up to where a body of known length is read first and leaves
	// with its head (TestSmallBody): one read of the server engines.
	smallBody = 16 << 10
	// pumpBytes is what the pump holds: the engines give no more at one Read, and
	// it fits one TLS record.
	pumpBytes = 16 << 10
	// readBytes is the first read of an answer, head and small body together;
	// bodyBytes that of a body which has shown to be larger (BenchmarkExchange).
	readBytes = 16 << 10
	bodyBytes = 64 << 10
	// freeWrite never waits on a connection that was idle: its send buffer is
	// empty, and has 4 KiB at the least (tcp_wmem). It needs no deadline.
	freeWrite = 4 << 10
	// maxSurplus connections are kept for a moment beyond MaxIdle, surplusTime: what
	// comes in waves, as the streams of an HTTP/2 client do, would else connect anew
	// with each (p_h2m32 of the referee).
	maxSurplus  = 1024
	surplusTime = time.Second
	// slabHandles are made at a time (TestAllocs).
	slabHandles = 128
)

// withDefaults returns o with its zero fields set; negative means none.
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
	switch {
	case o.MaxIdle == 0:
		o.MaxIdle = defaultMaxIdle
	case o.MaxIdle < 0:
		o.MaxIdle = 0
	}
	if o.MaxHead <= 0 {
		o.MaxHead = defaultMaxHead
	}
	if o.Network == "" {
		o.Network = "tcp"
	}
	o.Limits = o.Limits.WithDefaults()
	o.Limits.FieldBytes = min(o.Limits.FieldBytes, o.MaxHead)
	return o
}

// jitteredAge spreads the ends of connections that began together: +-10 %.
func jitteredAge(age time.Duration) time.Duration { return age - age/10 + rand.N(age/5+1) }
