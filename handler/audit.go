package handler

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// AuditLevel is how much is written of a request.
type AuditLevel uint8

const (
	AuditNone     AuditLevel = iota // nothing, but refusals that a hook tells of
	AuditResult                     // ResponseComplete or Panic
	AuditMetadata                   // all events
)

// AuditMode is what happens to a request while the queue of events is full.
type AuditMode uint8

const (
	AuditBatch    AuditMode = iota // its event is dropped and counted: the request never waits (rule O-4)
	AuditBlocking                  // it waits for room, up to AuditOptions.BlockTimeout; then the event is dropped and counted
)

// AuditOptions shapes the stage and its queue.
type AuditOptions struct {
	// Sink is written to by one goroutine, whole lines at a time. An error loses the
	// lines of that write, counted, and the next is tried. The owner closes it, after
	// Shutdown; a pipe should be opened in a process that ignores SIGPIPE. Required.
	Sink io.Writer
	// Policy picks the level of a request, in Begin. If nil, AuditMetadata for all.
	Policy func(x *Exchange) AuditLevel
	// Mode says what happens when the queue is full. The zero value drops.
	Mode AuditMode
	// MaxEvents and MaxBytes bound the queue, with what is being written. If zero,
	// 10 000 and 4 MiB. If negative, none: memory is the bound.
	MaxEvents, MaxBytes int
	// BlockTimeout bounds the wait of AuditBlocking. If zero, 5 s. If negative, none.
	BlockTimeout time.Duration
}

// Audit writes who did what as JSON lines: RequestReceived when a request reaches
// the stage, ResponseStarted at the head of a long-running answer, ResponseComplete
// or Panic at the end. Names of the members are those of audit.k8s.io.
//
// What a client has sent is cut and escaped; of the target only the path is
// written, because queries carry secrets, and no other field but User-Agent. It
// allocates nothing of its own.
//
// Behind Authentication all events name the user; in front of it only the last.
// Refused is the hook by which 401 and 403 come into the log.
type Audit struct {
	policy func(*Exchange) AuditLevel
	queue  *auditQueue
	now    func() time.Time
}

// AuditStats counts events since the start.
type AuditStats struct {
	Written uint64 // handed to the sink without an error
	Dropped uint64 // the queue was full, or Shutdown was called
	Failed  uint64 // the sink answered with an error
}

// NewAudit makes the stage and starts the goroutine that writes; Shutdown ends it.
func NewAudit(o AuditOptions) *Audit {
	if o.Sink == nil {
		panic("BUG: an audit without a sink")
	}
	a := &Audit{policy: o.Policy, queue: newAuditQueue(o), now: time.Now}
	if a.policy == nil {
		a.policy = func(*Exchange) AuditLevel { return AuditMetadata }
	}
	a.queue.start()
	return a
}

// Shutdown takes no more events, and waits until those before are written or ctx
// ends: its error then, and a sink that is stuck keeps the goroutine until it is
// closed. It may be called twice, by any goroutine.
func (a *Audit) Shutdown(ctx context.Context) error { return a.queue.shutdown(ctx) }

// Stats counts events.
func (a *Audit) Stats() AuditStats { return a.queue.stats() }

// The stages of a request that have an event.
const (
	auditReceived = "RequestReceived"
	auditStarted  = "ResponseStarted"
	auditComplete = "ResponseComplete"
	auditPanic    = "Panic"
)

// Begin asks the policy and writes RequestReceived.
func (a *Audit) Begin(x *Exchange) bool {
	x.auditLevel = a.policy(x)
	if x.auditLevel >= AuditMetadata {
		a.emit(x, auditReceived, 0, x.Received)
	}
	return true
}

// Head writes ResponseStarted for requests whose end may be far.
func (a *Audit) Head(x *Exchange, status int) {
	if x.Info.LongRunning && x.auditLevel >= AuditMetadata {
		a.emit(x, auditStarted, status, a.now())
	}
}

// End writes ResponseComplete or Panic.
func (a *Audit) End(x *Exchange) {
	switch {
	case x.auditLevel == AuditNone:
	case x.Panicked() != nil:
		a.emit(x, auditPanic, http.StatusInternalServerError, a.now())
	default:
		a.emit(x, auditComplete, x.Status(), a.now())
	}
}

// Refused is the hook for AuthenticationOptions and AuthorizationOptions. The
// reason goes into the last event of the request, or, where the stage refuses
// before Audit has seen the request, into one event of its own.
func (a *Audit) Refused(x *Exchange, status int, reason string, err error) {
	if x.auditReason = reason; err != nil {
		x.auditReason = err.Error()
	}
	if x.auditLevel == AuditNone {
		a.emit(x, auditStarted, status, a.now())
	}
}

func (a *Audit) emit(x *Exchange, stage string, status int, now time.Time) {
	b := bufpool.Get(0)
	b.B = appendAuditEvent(b.B, x, stage, status, now)
	a.queue.add(x.Request.Context(), b.B)
	b.Release()
}
