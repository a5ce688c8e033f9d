package servetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// An Outcome counts what came of a Load. Each request begun is in exactly one
// of Answered, IdleClosed, Failed and NotConnected.
type Outcome struct {
	// Answered have a complete final answer, whatever its status.
	Answered int
	// IdleClosed were written to a kept connection that ended before a byte of
	// an answer: the server closed it as idle while the request was on its way, and
	// a real client sends it again (RFC 9112 §9.3.1). A client cannot tell this from
	// a request that was read and dropped: compare with what the handler counted.
	IdleClosed int
	// Failed broke any other way: cut, timed out, or not HTTP. A request that the
	// server had accepted and lost is one of these.
	Failed int
	// NotConnected could not dial (or end the handshake).
	NotConnected int

	// WrongAnswers are those of Answered that Check refused.
	WrongAnswers int
	// Connections were established.
	Connections int
	// Statuses counts the answers by status code.
	Statuses map[int]int
	// FirstErr is one error of Failed, NotConnected or WrongAnswers, if there was any.
	FirstErr error
	// Elapsed is the time of the whole run.
	Elapsed time.Duration
	// Slowest is the greatest latency, whether sampled or not.
	Slowest time.Duration

	latencies []time.Duration // sorted by finish
}

// Rate is the number of answers a second.
func (o *Outcome) Rate() float64 {
	if o.Elapsed <= 0 {
		return 0
	}
	return float64(o.Answered) / o.Elapsed.Seconds()
}

// Percentile is the latency that p percent of the sampled answers did not
// exceed (nearest rank); zero when nothing was answered.
func (o *Outcome) Percentile(p float64) time.Duration {
	n := len(o.latencies)
	if n == 0 {
		return 0
	}
	rank := int(math.Ceil(p/100*float64(n))) - 1
	return o.latencies[min(max(rank, 0), n-1)]
}

// String is one line for a test's log.
func (o *Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d answered on %d connections in %v (%.0f/s), p50 %v p99 %v max %v",
		o.Answered, o.Connections, o.Elapsed.Round(time.Millisecond), o.Rate(),
		o.Percentile(50), o.Percentile(99), o.Slowest)
	fmt.Fprintf(&b, "; %d idle-closed, %d failed, %d not connected, %d wrong",
		o.IdleClosed, o.Failed, o.NotConnected, o.WrongAnswers)
	if o.FirstErr != nil {
		fmt.Fprintf(&b, "; first error: %v", o.FirstErr)
	}
	return b.String()
}

func (o *Outcome) count(status int) {
	if o.Statuses == nil {
		o.Statuses = map[int]int{}
	}
	o.Statuses[status]++
}

func (o *Outcome) note(err error) {
	if o.FirstErr == nil {
		o.FirstErr = err
	}
}

// add merges one worker's counts.
func (o *Outcome) add(w *Outcome) {
	o.Answered += w.Answered
	o.IdleClosed += w.IdleClosed
	o.Failed += w.Failed
	o.NotConnected += w.NotConnected
	o.WrongAnswers += w.WrongAnswers
	o.Connections += w.Connections
	for status, n := range w.Statuses {
		if o.Statuses == nil {
			o.Statuses = map[int]int{}
		}
		o.Statuses[status] += n
	}
	o.note(w.FirstErr)
	o.Slowest = max(o.Slowest, w.Slowest)
	o.latencies = append(o.latencies, w.latencies...)
}

func (o *Outcome) finish(elapsed time.Duration) {
	o.Elapsed = elapsed
	slices.Sort(o.latencies)
}
