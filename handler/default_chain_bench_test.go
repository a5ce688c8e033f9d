package handler

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// answer is the trivial handler: 64 bytes of text. bench/targets/apiserver has the
// same, and the same request and writer.
type answer struct{ body []byte }

var answerLength = []string{"64"}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"] = textPlain
	h["Content-Length"] = answerLength
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(a.body)
}

func (answer) RecycleRequests() bool { return true }

// upstreamsOptions are the stages that upstream's server has with its NewConfig,
// and RequestMetrics, which it has around each handler.
func upstreamsOptions(tb testing.TB) DefaultOptions {
	return DefaultOptions{
		RequestID: RequestIDOptions{Header: "Audit-Id"},
		Resolve:   newPathRules(tb, append(ProbeRules(), PathRule{Pattern: "/", Name: "site"})...).Resolve,
		Metrics:   prometheus.NewRegistry(),
		BuiltIn:   AllRequests,
		WaitGroup: NewWaitGroup(NewRegistry(), WaitGroupOptions{}),
		Authentication: &AuthenticationOptions{Authenticator: AuthenticatorFunc(func(*Exchange) (*User, bool, error) {
			return knownUser, true, nil
		})},
		Authorization: &AuthorizationOptions{Authorizer: AuthorizerFunc(func(*Exchange) (Decision, string, error) {
			return DecisionAllow, "", nil
		})},
	}
}

var knownUser = &User{Name: "ann", Groups: []string{"system:authenticated"}}

// allOptions add what upstream's server has switched off then, but audit.
func allOptions(tb testing.TB) DefaultOptions {
	o := upstreamsOptions(tb)
	o.AccessLog = newAccessLog(tb, AccessLogOptions{Writer: io.Discard, FlushInterval: time.Millisecond})
	o.Objective = LatencyObjectiveOptions{Default: time.Minute, Broken: func(string, time.Duration) {}}
	o.ProfileLabels = NewProfileLabels()
	o.Draining = func() bool { return false }
	o.SecurityHeaders = SecurityHeadersOptions{HSTS: []string{"max-age=31536000"}, NoSniff: true}
	o.GoawayChance = 0.001
	o.CORS = CORSOptions{AllowedOrigins: []string{`^https://example\.com$`}}
	o.RateLimit = RateLimitOptions{Rate: 1e9}
	return o
}

func auditOptions(tb testing.TB) DefaultOptions {
	o := allOptions(tb)
	o.Audit = NewAudit(AuditOptions{Sink: io.Discard})
	tb.Cleanup(func() { servetest.Must(tb, "audit", o.Audit.Shutdown(context.WithoutCancel(tb.Context()))) })
	return o
}

// defaultChains are what is measured.
var defaultChains = []struct {
	name    string
	options func(tb testing.TB) DefaultOptions // nil: no chain
}{
	{"bare", nil},
	{"zero", func(testing.TB) DefaultOptions { return DefaultOptions{} }},
	{"chain", upstreamsOptions},
	{"all", allOptions},
	{"all+audit", auditOptions},
}

func defaultChain(tb testing.TB, options func(testing.TB) DefaultOptions) http.Handler {
	tb.Helper()
	h := answer{make([]byte, 64)}
	if options == nil {
		return h
	}
	c, err := NewDefaultChain(h, options(tb))
	servetest.Must(tb, "chain", err)
	return c
}

// plainGet is a request as an engine gives it: over TLS and HTTP/2, with a context
// that takes a deadline.
func plainGet(tb testing.TB) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://a.example/assets/app/main.css", http.NoBody)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	r.Proto, r.ProtoMajor, r.ProtoMinor, r.TLS = "HTTP/2.0", 2, 0, &tls.ConnectionState{}
	return r.WithContext(settable{tb.Context()})
}

// The whole default chain makes no allocation behind an engine that recycles. The
// id is text that may outlive its request: one allocation in idSlab requests makes
// room for them, which AllocsPerRun rounds to none.
func TestDefaultChainAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range defaultChains {
		servetest.Want(t, c.name+": allocations", allocations(defaultChain(t, c.options), plainGet(t)), 0)
	}
}

func BenchmarkDefaultChain(b *testing.B) {
	for _, c := range defaultChains {
		b.Run(c.name, func(b *testing.B) {
			h, r, w := defaultChain(b, c.options), plainGet(b), &detachingWriter{stubWriter{header: make(http.Header)}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.status = 0
				h.ServeHTTP(w, r)
			}
			if w.status != http.StatusOK || w.bytes%64 != 0 || w.bytes == 0 {
				b.Fatal("no whole answer:", w.status, w.bytes)
			}
		})
	}
}
