package upstream

import (
	"time"
)

// The defaults, which front.md section 2 and 3 explain, and the bounds of what
// may be asked for. Each has its test in options_test.go or the file it names.
const (
	defaultConnectTimeout = 3 * time.Second  // fast fail-over; also the wait in the queue (TestQueueTimeout)
	defaultHeadTimeout    = 60 * time.Second // what a failure counts as (TestFailureIsASampleOfTheTimeout)

	defaultHealthInterval  = 5 * time.Second
	defaultHealthTimeout   = 2 * time.Second // TestProbeTimeout
	defaultFall            = 3               // TestFallAndRise
	defaultRise            = 2
	defaultHealthBodyBytes = 64 << 10 // TestHTTPProber
	defaultExpect          = "200-399"

	defaultEjectAfter   = 5 // TestEjection
	defaultEjectFor     = 30 * time.Second
	defaultEjectMax     = 5 * time.Minute // TestEjectionGrows
	defaultEjectPercent = 50              // TestNeverMoreThanHalf

	defaultAttempts       = 2
	defaultBudgetPercent  = 20 // TestBudget
	defaultRetryPerSecond = 3

	defaultMaxConns  = 512
	defaultQueue     = 1024             // TestQueueFull
	defaultSlowStart = 10 * time.Second // TestSlowStart

	defaultResolveInterval = 10 * time.Second // TestResolveAgain
	minResolveInterval     = time.Second      // TestIntervalIsClamped
	maxResolveInterval     = time.Minute

	defaultHashLoad = 125 // TestBoundedLoad

	// MaxAttempts bounds the attempts of one request, the first and hedges
	// included: Tried has room for so many.
	MaxAttempts = 8
	// maxTargets and maxAddresses bound an endpoint list: each endpoint costs
	// half a KiB, and some policies look at all of them.
	maxTargets   = 256
	maxAddresses = 256 // of one name (TestTooManyAddresses)
	maxWeight    = 1000
)

// Balance names a policy that chooses among the endpoints that are up.
type Balance string

const (
	// P2C takes the better of two drawn at random, by
	// latency × (in flight + 1) / weight. The default.
	P2C Balance = "p2c"
	// RoundRobin takes them in turn, by weight.
	RoundRobin Balance = "round_robin"
	// LeastRequest takes the one with the least (in flight + 1) / weight.
	LeastRequest Balance = "least_request"
	// HashKey keeps a key on its endpoint while that has no more than its part
	// of the load.
	HashKey Balance = "hash"
)

// Options shape a Group: one named service. Every field: if zero, the default it
// names; if negative, none.
type Options struct {
	// Targets must have one at least, 256 at most.
	Targets []Target
	// Balance is P2C.
	Balance Balance
	// Hash is where the key of HashKey comes from.
	Hash Hash

	Health Health
	Eject  Eject
	Retry  Retry
	Hedge  Hedge
	Limits Limits

	// SlowStart is how long an endpoint that is new or has returned takes less
	// than its part: from a tenth, growing evenly. 10 s.
	SlowStart time.Duration
	Resolve   Resolve

	// ConnectTimeout is the proxy's for a connect, and how long a request waits in
	// the queue at most: there a negative one counts as zero, for no wait is without
	// bound. 3 s.
	ConnectTimeout time.Duration
	// HeadTimeout is the proxy's for the head of an answer, and what a failure counts
	// as among the latencies: there a negative one counts as zero. 60 s.
	HeadTimeout time.Duration
}

// Hash says what the proxy makes the key of HashKey from.
type Hash struct {
	// By is "client" (its address), "path", "header" or "cookie". "client".
	By string
	// Name is the header's or the cookie's.
	Name string
	// LoadPercent is how much of its even part of all requests in flight an
	// endpoint takes before its keys go to the next one: more than 100. Negative:
	// whatever comes. 125.
	LoadPercent int
}

// Health are the active checks. Without Path there are none.
type Health struct {
	// Path is what is asked for, with GET.
	Path string
	// Host is the Host field. The target's.
	Host string
	// Interval is the time between two checks of an endpoint, ±10 %. 5 s.
	Interval time.Duration
	// Timeout bounds a check; negative as zero, for no wait is without bound. 2 s.
	Timeout time.Duration
	// Fall is how many failed checks in a row take an endpoint down; negative as
	// zero. 3.
	Fall int
	// Rise is how many good checks in a row bring it up again; negative as zero. 2.
	Rise int
	// Expect lists the good statuses: "200-299,304". "200-399".
	Expect string
	// BodyBytes is how much of the answer is read. 64 KiB.
	BodyBytes int64
}

// Eject are the passive checks: what the answers to real requests tell.
type Eject struct {
	// After is how many gateway failures in a row eject an endpoint. 5.
	After int
	// For is how long, times how often it happened lately. 30 s; negative as zero.
	For time.Duration
	// Max bounds that time. 5 min; negative as zero.
	Max time.Duration
	// MaxPercent is the part of a group that may be ejected at a time. Negative:
	// all but the last. 50.
	MaxPercent int
}

// Retry are further attempts at a request that has failed.
type Retry struct {
	// Attempts is how many, each on another endpoint; 7 at most. 2.
	Attempts int
	// BudgetPercent is the part of the requests of the last 10 s that may be
	// tried again, hedges included. 20.
	BudgetPercent int
	// PerSecond may be tried again whatever the budget says. 3.
	PerSecond int
	// Methods are those of requests that an upstream may see twice: GET, HEAD,
	// OPTIONS, PUT, DELETE. GET, HEAD, OPTIONS.
	Methods []string
}

// Hedge is a second attempt at a request that is late, beside the first and at
// another endpoint; the first answer counts. It takes from the budget of retries, and
// only methods of Retry.Methods have one, without content or with as little as is
// kept for retries. A request has one at most, and it counts among its attempts.
type Hedge struct {
	// After is how long the first attempt may go without the head of an answer:
	// more than most answers take, say the 95th percentile. With it, each request
	// that may be repeated costs about 10 us of CPU more, late or not. None.
	After time.Duration
}

// Limits are the circuit breakers. An endpoint at its limit is passed over; when
// all are, requests wait in a queue.
type Limits struct {
	// MaxConns bounds the busy connections of an endpoint: with HTTP/1 the
	// requests in flight, with HTTP/2 that times the streams of a connection. 512.
	MaxConns int
	// MaxRequests bounds the requests in flight at an endpoint. None.
	MaxRequests int
	// Queue bounds the requests of the group that wait, at most ConnectTimeout.
	// 1024.
	Queue int
}

// Resolve is how names become addresses.
type Resolve struct {
	// Interval is the time between two look-ups of a name, within 1 s and 60 s.
	// Negative: each name is looked up until it is known, and then never. 10 s.
	Interval time.Duration
	// Network is "ip" (IPv4 and IPv6), "ip4" or "ip6". "ip".
	Network string
}

// complete is a copy with the defaults filled in. It is idempotent.
func (o Options) complete() Options {
	set(&o.Balance, P2C)
	set(&o.Hash.By, "client")
	set(&o.Hash.LoadPercent, defaultHashLoad)
	set(&o.SlowStart, defaultSlowStart)
	set(&o.ConnectTimeout, defaultConnectTimeout)
	set(&o.HeadTimeout, defaultHeadTimeout)

	h := &o.Health
	set(&h.Interval, defaultHealthInterval)
	setPositive(&h.Timeout, defaultHealthTimeout)
	setPositive(&h.Fall, defaultFall)
	setPositive(&h.Rise, defaultRise)
	set(&h.Expect, defaultExpect)
	set(&h.BodyBytes, defaultHealthBodyBytes)

	set(&o.Eject.After, defaultEjectAfter)
	setPositive(&o.Eject.For, defaultEjectFor)
	setPositive(&o.Eject.Max, defaultEjectMax)
	set(&o.Eject.MaxPercent, defaultEjectPercent)

	set(&o.Retry.Attempts, defaultAttempts)
	set(&o.Retry.BudgetPercent, defaultBudgetPercent)
	set(&o.Retry.PerSecond, defaultRetryPerSecond)
	if len(o.Retry.Methods) == 0 {
		o.Retry.Methods = []string{"GET", "HEAD", "OPTIONS"}
	}
	set(&o.Limits.MaxConns, defaultMaxConns)
	set(&o.Limits.MaxRequests, -1)
	set(&o.Limits.Queue, defaultQueue)
	set(&o.Resolve.Interval, defaultResolveInterval)
	set(&o.Resolve.Network, "ip")
	return o
}

func set[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

func setPositive[T int | time.Duration](v *T, byDefault T) {
	if *v <= 0 {
		*v = byDefault
	}
}

// expects tells whether a check's answer with this status is a good one.
func (h Health) expects(status int) bool {
	ranges, _ := parseStatuses(h.Expect)
	for _, r := range ranges {
		if r.from <= status && status <= r.to {
			return true
		}
	}
	return false
}

// enabled tells whether there are active checks.
func (h Health) enabled() bool { return h.Path != "" && h.Interval > 0 }
