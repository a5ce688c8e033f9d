package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultOptions switches the stages of the default chain. With the zero value
// requests are named, recovered, bounded in time and number, and nothing else:
// nobody is asked who they are, nothing is logged or counted.
type DefaultOptions struct {
	// ErrorLog gets panics. If nil, slog.Default().
	ErrorLog *slog.Logger
	// Retry are the values of Retry-After of all stages that refuse.
	Retry RetryOptions

	// RequestID shapes the stage, unless NoRequestID leaves it out.
	RequestID   RequestIDOptions
	NoRequestID bool
	// Resolve tells route and class of a request. If nil, PublicProbeRules alone.
	Resolve func(r *http.Request) Info

	// Metrics is where RequestMetrics registers its numbers. If nil, none.
	Metrics        prometheus.Registerer
	MetricsOptions MetricsOptions
	// AccessLog is the log of requests; its owner closes it. If nil, none.
	AccessLog *AccessLog
	// Objective watches latencies. If its Broken is nil, none.
	Objective LatencyObjectiveOptions
	// ProfileLabels labels goroutines while somebody profiles. If nil, none.
	ProfileLabels *ProfileLabels

	// Draining is RetryAfter's question, for servers that listen while they drain.
	// If nil, none.
	Draining func() bool
	// SecurityHeaders are added to answers. If zero, none.
	SecurityHeaders SecurityHeadersOptions
	// BuiltIn picks the requests whose answers CacheControl keeps out of caches.
	// If nil, none.
	BuiltIn Predicate
	// GoawayChance is that of Goaway. If zero, none.
	GoawayChance float64
	// WaitGroup counts requests for the drain; its owner waits. Timeout uses its
	// registry. If nil, requests are not counted.
	WaitGroup *WaitGroup
	// Deadline and Timeout end requests: after 60 s with the zero value. Both are
	// left out if Deadline has no limit and does not look at ?timeout=.
	Deadline DeadlineOptions
	Timeout  TimeoutOptions
	// CORS allows pages of other origins. Without AllowedOrigins, none.
	CORS CORSOptions
	// RateLimit bounds each client. If its Rate is zero, none.
	RateLimit RateLimitOptions

	// Authentication finds out who asks. If nil, nobody is asked.
	Authentication *AuthenticationOptions
	// Audit writes events; its owner shuts it down. It is told of refusals too,
	// unless the options of Authentication or Authorization have a hook of their
	// own. If nil, none.
	Audit *Audit
	// MaxReading and MaxMutating bound what runs at once. If zero, 400 and 200. If
	// negative, none.
	MaxReading, MaxMutating int
	MaxInFlight             MaxInFlightOptions
	// InFlight takes the place of these three: its owner may change its limits. If
	// nil, it does not.
	InFlight *MaxInFlight
	// Priority takes the place of MaxInFlight. If it has no levels, it does not.
	Priority PriorityOptions
	// Authorization decides. If nil, all may do all.
	Authorization *AuthorizationOptions
}

// NewDefaultChain makes the default chain around h.
func NewDefaultChain(h http.Handler, o DefaultOptions) (*Chain, error) {
	stages, err := DefaultStages(o)
	if err != nil {
		return nil, err
	}
	return NewChain(h, stages...), nil
}

// DefaultStages makes the stages of the default chain. All errors are reported
// together. The order, outermost first, is upstream's (DefaultBuildHandlerChain),
// whose numbers stand in front:
//
//	 1  RequestID        all others may log the id
//	 2  Recovery         whatever panics behind it is answered; all Ends see the 500
//	 5  RequestInfo      metrics, log and limits go by route and class
//	 7  RequestMetrics   counts what any stage behind answers, refusals too
//	 8  AccessLog        likewise, one line for each; its End runs before metrics'
//	    LatencyObjective judges as metrics count
//	    ProfileLabels    what comes from here on is the route's work
//	 9  RetryAfter       a draining server refuses before anything is counted
//	10  SecurityHeaders  also on refusals, but those of RetryAfter
//	11  CacheControl     likewise
//	12  Goaway           a connection is ended by chance, whoever uses it
//	14  WaitGroup        from here on the drain waits; and it counts what can expire
//	15  Deadline         set before the time is spent; a bad ?timeout= is logged
//	16  Timeout          what is late behind it is answered 504 with the fields of all above
//	18  CORS             preflights carry no credentials; pages may read refusals
//	    RateLimit        wrong credentials cost a token too, before they cost work
//	19  Authentication   the user is known to audit, limits and authorization
//	21  Audit            sees what a known user asks, served or refused
//	23  Priority or MaxInFlight   those who wait or are refused are audited
//	24  Authorization    asked last: it may be another server, and has a place by then
//
// Of upstream's rows: 3 and 4 are Exchange.Received and MarkEarly. 6 (a goroutine
// that frees the stack) has no use where idle connections hold none. 13 (watches)
// is part of WaitGroup. 17 (warnings), 20 (tracing) and 22 (impersonation) are not
// there. 25 and 26 are the handler.
func DefaultStages(o DefaultOptions) ([]Stage, error) {
	b := stageBuilder{o: o}
	b.observing()
	b.answering()
	b.timing()
	b.admitting()
	return b.stages, errors.Join(b.errs...)
}

// stageBuilder gathers stages in their order, and all their errors.
type stageBuilder struct {
	o      DefaultOptions
	stages []Stage
	errs   []error
}

// add appends a stage that was made without an error.
func (b *stageBuilder) add(on bool, s Stage) {
	if on && s != nil {
		b.stages = append(b.stages, s)
	}
}

// try appends what a constructor has made, or notes its error.
func (b *stageBuilder) try(s Stage, err error) {
	if err != nil {
		b.errs = append(b.errs, err)
		return
	}
	b.add(true, s)
}

// in says of which stage an error tells that does not say so itself.
func in[S Stage](stage string, s S, err error) (Stage, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stage, err)
	}
	return s, nil
}

// observing are the stages that see all requests and all answers.
func (b *stageBuilder) observing() {
	o := &b.o
	if o.Resolve == nil {
		rules, err := NewPathRules(PublicProbeRules()...)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		o.Resolve = rules.Resolve
	}
	b.add(!o.NoRequestID, NewRequestID(o.RequestID))
	b.add(true, NewRecovery(o.ErrorLog))
	b.add(true, NewRequestInfo(o.Resolve))
	if o.Metrics != nil {
		s, err := NewRequestMetrics(o.Metrics, o.MetricsOptions)
		b.try(in("request metrics", s, err))
	}
	b.add(o.AccessLog != nil, o.AccessLog)
	b.add(o.Objective.Broken != nil, NewLatencyObjective(o.Objective))
	b.add(o.ProfileLabels != nil, o.ProfileLabels)
}

// answering are the stages that shape answers and connections.
func (b *stageBuilder) answering() {
	o := &b.o
	b.add(o.Draining != nil, NewRetryAfter(o.Draining, o.Retry))
	if s, err := NewSecurityHeaders(o.SecurityHeaders); err != nil || s.hsts != nil || len(s.fields) > 0 {
		b.try(in("security headers", s, err))
	}
	b.add(o.BuiltIn != nil, NewCacheControl(o.BuiltIn))
	b.try(NewGoaway(o.GoawayChance))
}

// timing are the stages that know what runs, and for how long it may.
func (b *stageBuilder) timing() {
	o := &b.o
	b.add(o.WaitGroup != nil, o.WaitGroup)
	if o.Deadline.RequestTimeout < 0 && o.Deadline.IgnoreQuery && o.Deadline.MinLongRunning <= 0 {
		return
	}
	registry := NewRegistry()
	if o.WaitGroup != nil {
		registry = o.WaitGroup.registry
	}
	b.add(true, NewDeadline(o.Deadline))
	b.add(true, NewTimeout(registry, o.Timeout))
}

// admitting are the stages that decide whether the handler runs.
func (b *stageBuilder) admitting() {
	o := &b.o
	if len(o.CORS.AllowedOrigins) > 0 {
		s, err := NewCORS(o.CORS)
		b.try(in("CORS", s, err))
	}
	if o.RateLimit.Rate != 0 {
		b.try(NewRateLimit(o.RateLimit))
	}
	if o.Authentication != nil {
		a := *o.Authentication
		if a.Refused == nil && o.Audit != nil {
			a.Refused = o.Audit.Refused
		}
		s, err := NewAuthentication(a)
		b.try(in("authentication", s, err))
	}
	b.add(o.Audit != nil, o.Audit)
	b.bounding()
	if o.Authorization != nil {
		a := *o.Authorization
		if a.Refused == nil && o.Audit != nil {
			a.Refused = o.Audit.Refused
		}
		b.add(true, NewAuthorization(a))
	}
}

// bounding is Priority or MaxInFlight.
func (b *stageBuilder) bounding() {
	o := &b.o
	if len(o.Priority.Levels) > 0 {
		p := o.Priority
		if p.Retry == (RetryOptions{}) {
			p.Retry = o.Retry
		}
		if p.RequestTimeout == 0 {
			p.RequestTimeout = max(0, o.Deadline.RequestTimeout)
		}
		b.try(NewPriority(p))
		return
	}
	if o.InFlight != nil {
		b.add(true, o.InFlight)
		return
	}
	m := o.MaxInFlight
	if m.Retry == (RetryOptions{}) {
		m.Retry = o.Retry
	}
	b.add(true, NewMaxInFlight(orDefault(o.MaxReading, DefaultMaxInFlight), orDefault(o.MaxMutating, DefaultMaxMutatingInFlight), m))
}

// orDefault is n, or byDefault for zero; negative: none.
func orDefault(n, byDefault int) int {
	if n == 0 {
		return byDefault
	}
	return max(0, n)
}
