package handler

import (
	"net/http"
	"sync/atomic"
)

// The limits of a server that is given no others (--max-requests-inflight,
// --max-mutating-requests-inflight).
const (
	DefaultMaxInFlight         = 400
	DefaultMaxMutatingInFlight = 200
)

// MaxInFlightOptions shapes MaxInFlight.
type MaxInFlightOptions struct {
	// Retry has the Retry-After of refusals: Busy.
	Retry RetryOptions
	// Refused, if set, is called with each refusal, from any goroutine.
	Refused func(info Info)
}

// MaxInFlight bounds the requests that run at once, reading and mutating ones
// apart; one too many is answered 429. Exempt and long-running requests are not
// counted.
type MaxInFlight struct {
	semaphores [2]semaphore // by Class
	full       *refusal
	refused    func(Info)
}

// A semaphore takes no lock. With limit 0 it is not asked. It fills a cache line.
type semaphore struct {
	limit atomic.Int64
	held  atomic.Int64
	_     [48]byte
}

// NewMaxInFlight makes the stage of the two limits, of which 0 is none; with
// neither it is nil.
func NewMaxInFlight(reading, mutating int, opts MaxInFlightOptions) Stage {
	if reading <= 0 && mutating <= 0 {
		return nil
	}
	return NewAdjustableMaxInFlight(reading, mutating, opts)
}

// NewAdjustableMaxInFlight makes the stage in any case: SetLimits may give it limits
// later.
func NewAdjustableMaxInFlight(reading, mutating int, opts MaxInFlightOptions) *MaxInFlight {
	m := &MaxInFlight{refused: opts.Refused, full: tooManyRequests(opts.Retry.busy())}
	m.SetLimits(reading, mutating)
	return m
}

// SetLimits changes the limits, of which 0 is none, for requests from now on. Any
// goroutine may call it. Requests that came without a limit do not count for one.
func (m *MaxInFlight) SetLimits(reading, mutating int) {
	m.semaphores[ClassRead].limit.Store(int64(max(0, reading)))
	m.semaphores[ClassMutating].limit.Store(int64(max(0, mutating)))
}

// tooManyRequests is the refusal of a server that is full.
func tooManyRequests(retry []string) *refusal {
	return newRefusal(http.StatusTooManyRequests, "TooManyRequests", "Too many requests, please try again later.", retry)
}

// Begin takes a place for x.
func (m *MaxInFlight) Begin(x *Exchange) bool {
	s := &m.semaphores[x.Info.Class&1]
	limit := s.limit.Load()
	if limit == 0 || x.Info.Exempt || x.Info.LongRunning {
		return true
	}
	if s.held.Add(1) > limit {
		s.held.Add(-1)
		if m.refused != nil {
			m.refused(x.Info)
		}
		return m.full.serve(x)
	}
	x.inFlight = s
	return true
}

// End gives it back.
func (m *MaxInFlight) End(x *Exchange) {
	if x.inFlight != nil {
		x.inFlight.held.Add(-1)
	}
}

// InFlight is how many requests of each class hold a place.
func (m *MaxInFlight) InFlight() (reading, mutating int) {
	return int(m.semaphores[ClassRead].held.Load()), int(m.semaphores[ClassMutating].held.Load())
}
