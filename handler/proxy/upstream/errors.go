package upstream

import "errors"

// What a request that finds no place is told. The proxy answers 503 to each but
// ErrFull and ErrTried, and a retry that meets one lets its first error go out.
var (
	// ErrNoneUp: every endpoint is down by its active check or drains, or there is
	// none.
	ErrNoneUp = errors.New("upstream: no endpoint is up")
	// ErrFull: all that are up are at their limit, or others wait already, or no
	// name was looked up yet. Wait waits for a place.
	ErrFull = errors.New("upstream: every endpoint is at its limit")
	// ErrTried: all that are up were tried by this request.
	ErrTried = errors.New("upstream: every endpoint was tried")
	// ErrBudget: the budget of retries has nothing left for a hedge.
	ErrBudget = errors.New("upstream: the budget of retries is empty")
	// ErrQueueFull: as many as may wait do so already.
	ErrQueueFull = errors.New("upstream: the queue is full")
	// ErrQueueTimeout: no place came free in time.
	ErrQueueTimeout = errors.New("upstream: waited too long in the queue")
)
