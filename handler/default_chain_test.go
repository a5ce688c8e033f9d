package handler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// namesOf are the types of stages, in order.
func namesOf(stages []Stage) (names []string) {
	for _, s := range stages {
		names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", s), "*handler."))
	}
	return names
}

func TestDefaultStagesOrder(t *testing.T) {
	whole := []string{
		"RequestID", "Recovery", "RequestInfo", "RequestMetrics", "AccessLog", "LatencyObjective", "ProfileLabels",
		"RetryAfter", "SecurityHeaders", "CacheControl", "Goaway", "WaitGroup", "Deadline", "Timeout",
		"CORS", "RateLimit", "Authentication", "Audit", "MaxInFlight", "Authorization",
	}
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(whole), func(n string) bool { return slices.Contains(names, n) })
	}
	all := func(change func(*DefaultOptions)) DefaultOptions {
		o := auditOptions(t)
		change(&o)
		return o
	}
	for _, c := range []struct {
		name string
		o    DefaultOptions
		want []string
	}{
		{"zero", DefaultOptions{}, []string{"RequestID", "Recovery", "RequestInfo", "Deadline", "Timeout", "MaxInFlight"}},
		{"all", all(func(*DefaultOptions) {}), whole},
		{"no id", all(func(o *DefaultOptions) { o.NoRequestID = true }), without("RequestID")},
		{"no metrics", all(func(o *DefaultOptions) { o.Metrics = nil }), without("RequestMetrics")},
		{"no log", all(func(o *DefaultOptions) { o.AccessLog = nil }), without("AccessLog")},
		{"no objective", all(func(o *DefaultOptions) { o.Objective.Broken = nil }), without("LatencyObjective")},
		{"no labels", all(func(o *DefaultOptions) { o.ProfileLabels = nil }), without("ProfileLabels")},
		{"other drain mode", all(func(o *DefaultOptions) { o.Draining = nil }), without("RetryAfter")},
		{"no fields", all(func(o *DefaultOptions) { o.SecurityHeaders = SecurityHeadersOptions{} }), without("SecurityHeaders")},
		{"HSTS alone", all(func(o *DefaultOptions) { o.SecurityHeaders.NoSniff = false }), whole},
		{"no built-ins", all(func(o *DefaultOptions) { o.BuiltIn = nil }), without("CacheControl")},
		{"no goaway", all(func(o *DefaultOptions) { o.GoawayChance = 0 }), without("Goaway")},
		{"no drain", all(func(o *DefaultOptions) { o.WaitGroup = nil }), without("WaitGroup")},
		{"no limit of time", all(func(o *DefaultOptions) { o.Deadline.RequestTimeout = -1 }), whole},
		{"nor by the client", all(func(o *DefaultOptions) { o.Deadline = DeadlineOptions{RequestTimeout: -1, IgnoreQuery: true} }), without("Deadline", "Timeout")},
		{"one origin", all(func(o *DefaultOptions) { o.CORS.AllowedOrigins = nil }), without("CORS")},
		{"no rate", all(func(o *DefaultOptions) { o.RateLimit.Rate = 0 }), without("RateLimit")},
		{"open to all", all(func(o *DefaultOptions) { o.Authentication, o.Authorization = nil, nil }), without("Authentication", "Authorization")},
		{"no audit", all(func(o *DefaultOptions) { o.Audit = nil }), without("Audit")},
		{"no limit of number", all(func(o *DefaultOptions) { o.MaxReading, o.MaxMutating = -1, -1 }), without("MaxInFlight")},
		{"priorities", all(func(o *DefaultOptions) { o.Priority = onePriority }), func() []string {
			w := slices.Clone(whole)
			w[slices.Index(w, "MaxInFlight")] = "Priority"
			return w
		}()},
	} {
		if c.o.Metrics != nil {
			c.o.Metrics = prometheus.NewRegistry()
		}
		stages, err := DefaultStages(c.o)
		servetest.Must(t, c.name, err)
		servetest.Want(t, c.name, strings.Join(namesOf(stages), " "), strings.Join(c.want, " "))
	}
}

var onePriority = PriorityOptions{
	Levels:   []PriorityLevel{{Name: "all"}},
	Classify: func(*Exchange) (int, string) { return 0, "flow" },
}

// A chain that is wrong in several places says so at once.
func TestDefaultStagesErrors(t *testing.T) {
	reg := prometheus.NewRegistry()
	_, err := NewRequestMetrics(reg, MetricsOptions{})
	servetest.Must(t, "metrics", err)
	c, err := NewDefaultChain(NotFound{}, DefaultOptions{
		Metrics:         reg, // the names are taken
		SecurityHeaders: SecurityHeadersOptions{FrameOptions: "ALLOW"},
		GoawayChance:    1,
		CORS:            CORSOptions{AllowedOrigins: []string{`example\.com`}},
		RateLimit:       RateLimitOptions{Rate: -1},
		Authentication:  &AuthenticationOptions{Challenge: "a\nb"},
		Priority:        PriorityOptions{Levels: []PriorityLevel{{}}},
	})
	servetest.Want(t, "no chain", c == nil, true)
	for _, part := range []string{"request metrics: ", "security headers: ", "goaway chance", "CORS: ", "rate limit: ", "authentication: ", "priority: "} {
		servetest.Want(t, part+"is told of", strings.Contains(fmt.Sprint(err), part), true)
	}
}

// observed is a default chain with a log and metrics to look at.
type observed struct {
	chain  *Chain
	reg    *prometheus.Registry
	access *AccessLog
	out    lines
	log    bytes.Buffer
}

func newObserved(t *testing.T, h http.Handler, change func(*DefaultOptions)) *observed {
	t.Helper()
	o := &observed{reg: prometheus.NewRegistry()}
	o.access = newAccessLog(t, AccessLogOptions{Writer: &o.out})
	opts := DefaultOptions{ErrorLog: slog.New(slog.NewTextHandler(&o.log, nil)), Metrics: o.reg, AccessLog: o.access}
	change(&opts)
	var err error
	o.chain, err = NewDefaultChain(h, opts)
	servetest.Must(t, "chain", err)
	return o
}

// wantLogged closes the access log, and compares members of its last line.
func (o *observed) wantLogged(t *testing.T, members ...any) {
	t.Helper()
	closeLog(t, o.access)
	var got map[string]any
	for line := range strings.Lines(o.out.String()) {
		servetest.Must(t, "a line", json.Unmarshal([]byte(line), &got))
	}
	for i := 0; i < len(members); i += 2 {
		servetest.Want(t, fmt.Sprint("logged ", members[i]), got[members[i].(string)], members[i+1])
	}
}

// Whatever a stage refuses is in the log and in the metrics, once, with its id.
func TestDefaultChainRefusals(t *testing.T) {
	closed := NewWaitGroup(NewRegistry(), WaitGroupOptions{})
	servetest.Must(t, "wait", closed.Wait(t.Context()))
	for _, c := range []struct {
		name   string
		change func(*DefaultOptions)
		before func(*Chain)
		target string
		status int
	}{
		{"RetryAfter", func(o *DefaultOptions) { o.Draining = func() bool { return true } }, nil, "/", 429},
		{"WaitGroup", func(o *DefaultOptions) { o.WaitGroup = closed }, nil, "/", 503},
		{"Deadline", func(*DefaultOptions) {}, nil, "/?timeout=soon", 400},
		{"RateLimit", func(o *DefaultOptions) { o.RateLimit = RateLimitOptions{Rate: 1e-3} }, func(c *Chain) { get(c, "/") }, "/", 429},
		{"Authentication", func(o *DefaultOptions) { o.Authentication = &AuthenticationOptions{} }, nil, "/", 401},
		{"MaxInFlight", func(o *DefaultOptions) { o.MaxReading = 1 }, fill, "/", 429},
		{"Authorization", func(o *DefaultOptions) { o.Authorization = &AuthorizationOptions{} }, nil, "/", 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			ran := false
			o := newObserved(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true }), c.change)
			if c.before != nil {
				c.before(o.chain)
				ran = false
			}
			got := get(o.chain, c.target)
			servetest.Want(t, "status", got.Code, c.status)
			servetest.Want(t, "the handler has run", ran, false)
			id := got.Header().Get(defaultIDHeader)
			servetest.Want(t, "it has an id", uuid7.MatchString(id), true)
			wantMetrics(t, o.reg, fmt.Sprintf(`request_total{code="%dxx",method="GET",protocol="h1",route="other"} 1`, c.status/100))
			o.wantLogged(t, "id", id, "status", float64(c.status))
		})
	}
}

// fill takes all places of the stage that bounds what runs at once.
func fill(c *Chain) {
	for _, s := range c.stages {
		if m, ok := s.(*MaxInFlight); ok {
			m.semaphores[ClassRead].held.Store(m.semaphores[ClassRead].limit.Load())
		}
	}
}

// Probes pass whatever refuses others, by their exact paths; those that a public
// address does not have pass where the rules say so.
func TestDefaultChainExempt(t *testing.T) {
	closed := NewWaitGroup(NewRegistry(), WaitGroupOptions{})
	servetest.Must(t, "wait", closed.Wait(t.Context()))
	for _, c := range []struct {
		name   string
		change func(*DefaultOptions)
		before func(*Chain)
	}{
		{"RetryAfter", func(o *DefaultOptions) { o.Draining = func() bool { return true } }, nil},
		{"WaitGroup", func(o *DefaultOptions) { o.WaitGroup = closed }, nil},
		{"RateLimit", func(o *DefaultOptions) { o.RateLimit = RateLimitOptions{Rate: 1e-3} }, func(c *Chain) { get(c, "/") }},
		{"MaxInFlight", func(o *DefaultOptions) { o.MaxReading = 1 }, fill},
	} {
		for _, rules := range [][]PathRule{nil, ProbeRules()} {
			o := newObserved(t, NotFound{}, func(o *DefaultOptions) {
				c.change(o)
				if rules != nil {
					o.Resolve = newPathRules(t, rules...).Resolve
				}
			})
			if c.before != nil {
				c.before(o.chain)
			}
			for path, pass := range map[string]bool{
				"/healthz": true, "/livez": true, "/readyz": true, "/readyzfoo": false,
				"/livez/ping": rules != nil, "/metrics": rules != nil,
			} {
				why := fmt.Sprintf("%s, %d rules: %s passes", c.name, len(rules), path)
				servetest.Want(t, why, get(o.chain, path).Code == http.StatusNotFound, pass)
			}
		}
	}
}

func TestDefaultChainPanic(t *testing.T) {
	o := newObserved(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }), func(*DefaultOptions) {})
	got, failure := panicking(o.chain)
	servetest.Want(t, "nothing reaches the engine", failure, nil)
	servetest.Want(t, "status", got.Code, http.StatusInternalServerError)
	id := got.Header().Get(defaultIDHeader)
	for _, part := range []string{"handler panicked", "panic=boom", "id=" + id} {
		servetest.Want(t, "the log has "+part, strings.Count(o.log.String(), part), 1)
	}
	wantMetrics(t, o.reg, `request_total{code="5xx",method="GET",protocol="h1",route="other"} 1`,
		`current_inflight_requests{request_kind="readOnly"} 0`)
	o.wantLogged(t, "id", id, "status", 500.0)
}

// One request is one of everything.
func TestDefaultChainOnce(t *testing.T) {
	ran := 0
	registry := NewRegistry()
	var events lines
	audit := NewAudit(AuditOptions{Sink: &events, Policy: func(*Exchange) AuditLevel { return AuditResult }})
	o := newObserved(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ran++
		servetest.Want(t, "counted for the drain", registry.Counts(), RunningCounts{Read: 1})
		io.WriteString(w, "hello")
	}), func(opts *DefaultOptions) {
		opts.WaitGroup = NewWaitGroup(registry, WaitGroupOptions{})
		opts.Audit = audit
		opts.BuiltIn = AllRequests
		opts.SecurityHeaders.NoSniff = true
	})
	got := get(o.chain, "/")
	servetest.Want(t, "answer", got.Body.String(), "hello")
	servetest.Want(t, "the handler has run", ran, 1)
	servetest.Want(t, "nothing runs", registry.Counts(), RunningCounts{})
	for _, name := range []string{defaultIDHeader, "Cache-Control", "X-Content-Type-Options"} {
		servetest.Want(t, name, len(got.Header()[name]), 1)
	}
	wantMetrics(t, o.reg, `request_total{code="2xx",method="GET",protocol="h1",route="other"} 1`, `response_sizes_count{route="other"} 1`)
	servetest.Must(t, "audit", audit.Shutdown(t.Context()))
	servetest.Want(t, "audit events", strings.Count(events.String(), "\n"), 1)
	o.wantLogged(t, "status", 200.0, "bytes", 5.0)
	servetest.Want(t, "lines", strings.Count(o.out.String(), "\n"), 1)
}

func TestDefaultChainTimeout(t *testing.T) { synctest.Test(t, testDefaultChainTimeout) }

func testDefaultChainTimeout(t *testing.T) {
	o := newObserved(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), func(opts *DefaultOptions) {
		opts.Deadline.RequestTimeout = time.Second
		opts.SecurityHeaders.NoSniff = true
	})
	got := get(o.chain, "/")
	servetest.Want(t, "status", got.Code, http.StatusGatewayTimeout)
	id := got.Header().Get(defaultIDHeader)
	servetest.Want(t, "it has an id", uuid7.MatchString(id), true)
	o.wantLogged(t, "id", id, "status", 504.0)
}

// Ids outlive their requests: a recycling chain never writes to one again.
func TestDefaultChainKeepsIDs(t *testing.T) {
	c, err := NewDefaultChain(answer{make([]byte, 64)}, DefaultOptions{})
	servetest.Must(t, "chain", err)
	kept := make(map[string]bool)
	w := newStubWriter()
	for n := range 3 * idSlab {
		clear(w.header)
		c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		kept[w.header[defaultIDHeader][0]] = true
		servetest.Want(t, "ids that differ still", len(kept), n+1)
	}
	for id := range kept {
		servetest.Want(t, "a whole id: "+id, uuid7.MatchString(id), true)
	}
}
