package handler

import (
	"errors"
	"net/http"
)

// TimeoutOptions shapes a Timeout.
type TimeoutOptions struct {
	// Expired, if set, is called for each request that expires, from any
	// goroutine. cut: some of its answer was sent, so that it ends incomplete.
	Expired func(info Info, cut bool)
}

// Timeout ends answers that are not complete at Exchange.Deadline, which the
// stage Deadline sets before it:
//
//	nothing was sent   504, complete at once, though the handler still runs
//	some of it was     the rest is cut off: the connection of HTTP/1 is closed,
//	                   the stream of later versions reset
//
// The handler may live on; its writes return http.ErrHandlerTimeout, its reads of
// the request fail, and its context has ended. There is no goroutine and no copied
// request for each: a timer of the Registry expires what is late, up to 20 ms
// after it is due. A handler that returns without an answer after the deadline is
// answered for in the same way.
//
// Long-running requests, and those whose connection was hijacked, do not expire.
//
// # Limitations
//
// An answer that is cut ends for the client when the handler has returned, which
// the end of its context and of its reads and writes is to bring about. Where the
// engine does not end a stream at its declared length (HTTP/3; HTTP/2 behind
// net/http), a client that waits for the end of the stream behind a whole 504
// waits for the same.
type Timeout struct {
	registry *Registry
	expired  func(Info, bool)
	late     *refusal
}

// NewTimeout makes the stage. It goes behind WaitGroup, with the same registry,
// and behind Deadline.
func NewTimeout(registry *Registry, opts TimeoutOptions) *Timeout {
	return &Timeout{
		registry, opts.Expired,
		newRefusal(http.StatusGatewayTimeout, "Timeout", "Timeout: request did not complete within the allotted timeout", nil),
	}
}

// timeoutSlots is what Timeout keeps of a request: what its answer is made of, as
// the handler cannot change it.
type timeoutSlots struct {
	timeout *Timeout
	due     int64
	entered int           // stages whose Head the answer passes
	form    form          // of the answer
	request *http.Request // as it was given to the stage
	before  slots         // of the stages outside
	thrown  any           // what a Head has panicked with
}

// Begin lets x expire.
func (t *Timeout) Begin(x *Exchange) bool {
	if x.Deadline.IsZero() || x.Info.LongRunning {
		return true
	}
	t.registry.join(x, false)
	x.w.isolate()
	due := t.registry.since(x.Deadline)
	x.timeoutSlots = timeoutSlots{t, due, x.entered, formOf(x.Request), x.Request, x.slots, nil}
	x.running.due.Store(due) // last: from now on it may expire
	t.registry.expires(due)
	return true
}

// End lets go of a request that no stage outside has listed.
func (t *Timeout) End(x *Exchange) { t.registry.leave(x) }

// settle ends the time of x when its handler has returned or panicked, before
// the chain completes the answer.
func (t *Timeout) settle(x *Exchange) {
	failure, _ := x.failure.(error)
	gaveUp := errors.Is(failure, http.ErrAbortHandler)
	if !x.running.letGo(x.due) {
		// The timer has answered. A handler that gives up then has nothing to abort,
		// unless its own answer was cut.
		switch {
		case gaveUp && !x.abort:
			x.ran, x.failure = true, x.thrown
		case x.failure == nil:
			x.failure = x.thrown
		}
		return
	}
	// The end of the context may have made the handler give up before the timer
	// came: its half an answer must not pass for a whole one, and where it has said
	// nothing there is still something to say.
	gaveUp = gaveUp && x.w.status.Load() == 0
	if (x.ran && x.failure == nil || gaveUp) && x.Took() >= x.Deadline.Sub(x.Received) {
		x.ran, x.failure = true, nil
		t.end(x)
	}
}

// expire is the timer's end of x, which has claimed it.
func (t *Timeout) expire(x *Exchange, s *registryShard) {
	defer s.unclaim(x)
	defer func() { x.thrown = recover() }() // a Head's: it is for the goroutine of the request
	t.end(x)
}

func (t *Timeout) end(x *Exchange) {
	expired, cut := x.w.expire(t)
	if !expired {
		return
	}
	if cut {
		x.abort = true
	}
	if t.expired != nil {
		t.expired(x.Info, cut)
	}
}

// answer sends the 504 for x, by a record of its own: the handler may be using x
// and its header map at this moment.
func (t *Timeout) answer(x *Exchange) (written int64) {
	late := &Exchange{Request: x.request, Received: x.Received, ID: x.ID, Info: x.Info, Deadline: x.Deadline}
	late.chain, late.entered, late.slots = x.chain, x.timeoutSlots.entered, x.before
	late.w.inner, late.w.x = x.w.inner, late
	h := late.w.Header()
	if x.form&formH1 != 0 {
		h["Connection"] = closeConn
	}
	t.late.write(&late.w, x.form, nil)
	late.w.Flush()
	return late.w.written.Load()
}
