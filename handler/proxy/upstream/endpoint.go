package upstream

import (
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"
)

// Endpoint is one address of a target. The proxy keeps its connections to it in
// Pool. Its methods are for any goroutine.
//
// A request holds a place from Pick, Wait or Begin on until End. In between the
// proxy calls Observe once an attempt, when the head of the answer is here or the
// attempt has failed.
type Endpoint struct {
	// Immutable after New.

	// Scheme is http, https or h2c.
	Scheme string
	// Network and Address are what net.Dial takes: tcp and IP:PORT, or unix and a
	// path.
	Network, Address string
	// Authority is the target's Host: a name, with the port where it is no default.
	Authority string
	// Target is the URL of the configuration that the endpoint came from.
	Target string
	// Pool is the proxy's: Hooks.OnNew may set it, nobody later.
	Pool any

	group  *Group
	id     endpointID
	hash   uint64 // of id, the same in every process
	stripe int    // of the budget

	// Atomic; read by every Pick, written seldom.
	limit   atomic.Int64 // of inFlight
	streams atomic.Int64 // requests that a connection carries
	gone    atomic.Bool
	ramp    atomic.Int64 // when its slow start began; 0: it has none
	outside atomic.Bool  // it is ejected

	_ [cacheLine]byte // a request's writes stay off the lines above
	// Atomic; written by every request.
	inFlight atomic.Int64
	picks    atomic.Uint64
	latency  latency
	inRow    atomic.Int64 // failures
	failures atomic.Uint64
	_        [cacheLine]byte

	// group.mu guards the following.
	check    check
	ejection ejection
	shown    state
	since    time.Time // of the state that is shown
	weight   float64   // of the target and the SRV record
	priority uint16    // of the SRV record; the least comes first
	draining bool
}

// cacheLine is at least the length of one.
const cacheLine = 64

// endpointID is what makes two endpoints the same one, over reloads and look-ups.
type endpointID struct{ target, authority, address string }

func newEndpoint(g *Group, t *target, id endpointID) *Endpoint {
	e := &Endpoint{
		Scheme: t.scheme, Network: "tcp", Address: id.address, Authority: id.authority, Target: t.url,
		group: g, id: id,
		hash: hashID(id),
	}
	if t.path != "" {
		e.Network = "unix"
	}
	e.streams.Store(1)
	return e
}

// Begin takes a place. False: the endpoint is at its limit. Pick and Wait have
// taken one already; Begin alone is for who must come back to the same endpoint.
func (e *Endpoint) Begin() bool {
	for {
		n := e.inFlight.Load()
		if n >= e.limit.Load() {
			return false
		}
		// Not Add, and back if that was too many: what others refuse meanwhile would
		// wait for a place that nobody gives back (BenchmarkPick).
		if e.inFlight.CompareAndSwap(n, n+1) {
			e.picks.Add(1)
			return true
		}
	}
}

// End gives a place back, and the first in the queue has it.
func (e *Endpoint) End(now time.Time) {
	if e.inFlight.Add(-1) < 0 {
		panic("BUG: End without a place")
	}
	if e.group.waiting.Load() > 0 {
		e.group.dispatch(e.group.since(now))
	}
}

// SetStreams tells how many requests one connection carries at a time: 1 until
// then, which is right for HTTP/1.1. With HTTP/2 it is the SETTINGS_MAX_CONCURRENT_STREAMS
// of the newest connection.
func (e *Endpoint) SetStreams(n int) {
	n = max(1, n)
	if e.streams.Load() == int64(n) {
		return
	}
	g := e.group
	g.mu.Lock()
	defer g.mu.Unlock()
	e.streams.Store(int64(n))
	e.limit.Store(limitOf(&g.set.Limits, int64(n)))
	g.dispatchLocked(g.since(time.Now()), nil)
}

// limitOf is how many requests an endpoint has in flight at most.
func limitOf(l *Limits, streams int64) int64 {
	limit := int64(math.MaxInt64)
	if l.MaxConns > 0 && int64(l.MaxConns) < limit/streams {
		limit = int64(l.MaxConns) * streams
	}
	if l.MaxRequests > 0 {
		limit = min(limit, int64(l.MaxRequests))
	}
	return limit
}

// Gone tells that the address is no longer of the group: requests on its
// connections finish, and none is reused.
func (e *Endpoint) Gone() bool { return e.gone.Load() }

// InFlight is how many requests hold a place.
func (e *Endpoint) InFlight() int { return int(e.inFlight.Load()) }

// String names the endpoint for logs.
func (e *Endpoint) String() string {
	if e.Network == "unix" {
		return e.Target
	}
	return e.Scheme + "://" + e.Address
}

// share is the part of its weight that the endpoint has now: less than 1 in its
// slow start.
func (e *Endpoint) share(t int64, slowStart time.Duration) float64 {
	began := e.ramp.Load()
	if began == 0 {
		return 1
	}
	if passed := t - began; passed < int64(slowStart) {
		return max(rampFloor, float64(passed)/float64(slowStart))
	}
	// Another one may have begun since.
	e.ramp.CompareAndSwap(began, 0)
	return 1
}

// rampFloor is where a slow start begins: with nothing it would never be tried.
const rampFloor = 0.1

// Kind is what became of an attempt.
type Kind uint8

const (
	// Answered: a head came, and its status is no gateway's failure.
	Answered Kind = iota
	// Streaming: the same, and the time says nothing since the answer is an event
	// stream or a tunnel.
	Streaming
	// Abandoned: nobody waits any more; the client has left, or another attempt
	// was faster. Latency is how long there was no answer; zero if that was not
	// the endpoint's fault.
	Abandoned
	// ConnectFailed: refused, unreachable, no connection in time, or no TLS.
	ConnectFailed
	// BrokeOff: the connection ended, or broke the protocol, before the head.
	BrokeOff
	// TimedOut: no head in time.
	TimedOut
	// GatewayStatus: the answer is 502, 503 or 504.
	GatewayStatus
)

var kinds = [...]string{
	Answered: "answered", Streaming: "streaming", Abandoned: "abandoned", ConnectFailed: "connect failed",
	BrokeOff: "broke off", TimedOut: "timed out", GatewayStatus: "gateway status",
}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%s)", strconv.Itoa(int(k)))
}

// KindOf is the kind of an answer by its status.
func KindOf(status int) Kind {
	if 502 <= status && status <= 504 {
		return GatewayStatus
	}
	return Answered
}

// Outcome is what an attempt tells about its endpoint.
type Outcome struct {
	Kind Kind
	// Latency is the time from when the request was sent to the head of its answer.
	Latency time.Duration
}

// Observe feeds latency and passive checks.
func (e *Endpoint) Observe(now time.Time, o Outcome) {
	g := e.group
	t := g.since(now)
	set := g.view.Load().set
	switch o.Kind {
	case Answered:
		e.latency.add(t, float64(o.Latency))
		e.succeeded(t)
	case Streaming:
		e.succeeded(t)
	case Abandoned:
		e.latency.addAtLeast(t, float64(o.Latency))
	default:
		// However fast it failed: else who refuses all would be the fastest.
		e.latency.add(t, float64(set.failureLatency))
		e.failed(t, set)
	}
	g.updateMedian(t)
}

func (e *Endpoint) succeeded(t int64) {
	if e.outside.Load() {
		g := e.group
		g.mu.Lock()
		if e.ejection.until != 0 {
			g.forgive(e, t)
		}
		g.mu.Unlock()
	}
	if e.inRow.Load() != 0 { // a store would take the line from other cores
		e.inRow.Store(0)
	}
}

func (e *Endpoint) failed(t int64, set *settings) {
	e.failures.Add(1)
	if n := e.inRow.Add(1); set.Eject.After > 0 && n >= int64(set.Eject.After) {
		e.group.eject(e, t)
	}
}
