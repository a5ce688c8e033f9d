package handler

import (
	"net/http"
	"time"
)

// An Exchange is the one record of a request that all stages of a Chain share,
// in place of a wrapped writer and a copied request for each. A handler behind
// a chain finds it by ExchangeOf. It ends with ServeHTTP: nobody may keep it.
type Exchange struct {
	// Request is what the next stage and the handler are given. A stage may
	// replace it; a copy costs, so the record is the better place for a value.
	Request *http.Request
	// Received is when the chain was entered.
	Received time.Time

	// Set by the stages named.
	ID       string    // RequestID: the id that answer and log carry; empty: none
	Info     Info      // RequestInfo: route and class of the request
	User     *User     // Authentication: who asks; nil: nobody was asked
	Deadline time.Time // Deadline: when the answer is due; zero: never

	// Set by the handler, for the log. Empty: there is nothing to tell.
	Upstream string // who has answered
	Reason   string // why there is no answer of it

	chain   *Chain
	w       writer
	entered int           // stages whose Begin was called
	ran     bool          // the handler has returned
	failure any           // what it has panicked with
	settled bool          // Recovery has dealt with that
	abort   bool          // the answer must show that it is not whole
	took    time.Duration // see Took
	ids     []idField     // RequestID: for this request and later ones
	slab    int           // fields that were made for ids the last time

	slots
	loadSlots
}

// slots is what stages of this package keep for a request.
type slots struct {
	idValue []string // RequestID: of the answer's field
	policySlots
	metricsSlots
}

// loadSlots is what the stages that bound load and time keep for a request. It
// must not be copied.
type loadSlots struct {
	running    running // Registry
	endContext func()  // WaitGroup: of a long-running request
	timeoutSlots
	endDeadline func()     // Deadline: of a context that was made
	inFlight    *semaphore // MaxInFlight: where it holds a place; nil: nowhere
	seat        *level     // Priority: likewise
}

// Writer is the answer's writer, for stages that answer themselves.
func (x *Exchange) Writer() http.ResponseWriter { return &x.w }

// Status is the final status that was sent; 0: none was.
func (x *Exchange) Status() int { return int(x.w.status.Load()) }

// Written is how many bytes of content were written.
func (x *Exchange) Written() int64 { return x.w.written.Load() }

// Hijacked tells whether the handler has taken the connection.
func (x *Exchange) Hijacked() bool { return x.w.hijacked }

// Panicked is what the handler has panicked with, for an End; nil: it has not.
func (x *Exchange) Panicked() any { return x.failure }

// Took is the time from Received to the end of the handler, for an End. The clock
// is read once, for all of them.
func (x *Exchange) Took() time.Duration {
	if x.took == 0 {
		x.took = max(1, time.Since(x.Received))
	}
	return x.took
}

// Abort lets the answer end visibly incomplete when the chain returns: a closed
// connection, a reset stream.
func (x *Exchange) Abort() { x.abort = true }

// Aborted tells an End whether the answer ends incomplete.
func (x *Exchange) Aborted() bool { return x.abort || x.failure != nil && !x.settled }

// Settle tells the chain, from a PanicStage, that the panic goes no further.
func (x *Exchange) Settle() { x.settled = true }

// Instead answers for a handler that has failed. False: nothing was written,
// because some of the handler's answer has been sent, or the connection is
// another's. True without a call of answer: it has expired, and whoever let it
// expire has answered or aborted.
func (x *Exchange) Instead(answer func(http.ResponseWriter)) bool { return x.w.instead(answer) }

// ExchangeOf is the record of the request that w answers, or nil behind no
// chain. It looks through writers that have an Unwrap method.
func ExchangeOf(w http.ResponseWriter) *Exchange {
	for {
		switch v := w.(type) {
		case *writer:
			return v.x
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
}

// begin readies x for a request.
func (x *Exchange) begin(c *Chain, w http.ResponseWriter, r *http.Request, now time.Time) {
	x.chain, x.Request, x.Received = c, r, now
	x.w.inner, x.w.x = w, x
}

// reset makes x new, for the next request of a recycling chain.
func (x *Exchange) reset() {
	x.Request, x.Received, x.ID, x.Info, x.User, x.Deadline = nil, time.Time{}, "", Info{}, nil, time.Time{}
	x.Upstream, x.Reason = "", ""
	x.entered, x.ran, x.failure, x.settled, x.abort = 0, false, nil, false, false
	x.took = 0
	x.slots, x.loadSlots = slots{}, loadSlots{}
	x.w.reset()
}

// Info is what a chain knows of a request before its handler does.
type Info struct {
	Route       string // pattern or name of the route, for metrics and logs; empty: unknown
	Class       Class
	LongRunning bool // watches, streams, upgrades: not waited for, not timed
	Exempt      bool // health and the like: no limit of load applies
	Target      any  // what a router behind the chain has found already (package route)
}

// Class tells reading requests from changing ones, whose limits differ.
type Class uint8

const (
	ClassRead     Class = iota // GET, HEAD, OPTIONS, TRACE (RFC 9110 §9.2.1: safe)
	ClassMutating              // all others
)

// User is who asks, as an Authenticator has found out.
type User struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
}
