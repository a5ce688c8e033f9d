package listener

import "time"

// The steps of Backoff (rule S-5).
const (
	backoffMin      = 5 * time.Millisecond
	backoffMax      = time.Second
	backoffLogEvery = time.Second

	// ShedAfter is how long accepting must have failed before a Spare is used.
	// Until then clients are left in the queue, where they are served as soon
	// as there is a descriptor again; after it most have given up, and the
	// rest are better told to go elsewhere.
	ShedAfter = 10 * time.Second
)

// Backoff spaces the attempts to accept while the system lacks descriptors or
// memory: 5 ms, doubling to 1 s. The zero value is ready. It belongs to one
// accept loop and is not safe for concurrent use.
type Backoff struct {
	delay      time.Duration
	since      time.Time // the first of the failures in a row
	nextLine   time.Time
	unlogged   int // failures since the last line
	suppressed int // failures between the last line and the one before
}

// Next returns how long to wait after an error of ClassBackOff met at now, and
// whether it is time for a log line: at most one a second, the first at once.
func (b *Backoff) Next(now time.Time, _ error) (delay time.Duration, log bool) {
	if b.delay == 0 {
		b.since = now
	}
	b.delay = min(max(2*b.delay, backoffMin), backoffMax)
	if now.Before(b.nextLine) {
		b.unlogged++
		return b.delay, false
	}
	b.nextLine = now.Add(backoffLogEvery)
	b.suppressed, b.unlogged = b.unlogged, 0
	return b.delay, true
}

// Suppressed is the number of failures without a line of their own that came
// before the one Next last gave a line to.
func (b *Backoff) Suppressed() int { return b.suppressed }

// Failing is how long accepting has failed without an accept between, 0 if it
// does not fail.
func (b *Backoff) Failing(now time.Time) time.Duration {
	if b.delay == 0 {
		return 0
	}
	return now.Sub(b.since)
}

// Reset starts the next wait at 5 ms again; call it when an accept went well
// or the queue was empty. It does not bring the next log line forward.
func (b *Backoff) Reset() { b.delay = 0 }
