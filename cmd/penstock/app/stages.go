package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve"
)

// stages are what is between the engines and the routes of a run.
type stages struct {
	opts     CompletedOptions
	own      *resources
	log      *slog.Logger
	labels   *handler.ProfileLabels // nil: none
	metrics  *prometheus.Registry
	registry *handler.Registry
	group    *handler.WaitGroup // nil: the drain waits for connections alone
	// upstreams are snapshots of the services that requests are passed on to. If
	// nil, there are none.
	upstreams func(now time.Time) []proxy.ServiceStatus
	// inFlight is what a configuration file may change. If nil, there is no file.
	inFlight *handler.MaxInFlight
}

func newStages(c CompletedOptions, own *resources, log *slog.Logger) *stages {
	s := &stages{opts: c, own: own, log: log, metrics: prometheus.NewRegistry()}
	if c.defaults.chain || c.SendRetryAfter || c.WatchGrace > 0 {
		s.registry = handler.NewRegistry()
		s.group = handler.NewWaitGroup(s.registry, handler.WaitGroupOptions{LongRunningGrace: c.WatchGrace})
	}
	if c.defaults.chain && c.Profiling && c.Admin != adminOff {
		s.labels = handler.NewProfileLabels()
	}
	return s
}

// build puts the stages around h. rules tell routes by their paths, builtIn are
// paths whose answers no cache may keep.
func (s *stages) build(h http.Handler, server *serve.GenericServer, rules []handler.PathRule, builtIn []string) (http.Handler, error) {
	resolve, err := handler.NewPathRules(rules...)
	if err != nil {
		return nil, err
	}
	return s.buildResolved(h, server, resolve.Resolve, builtIn)
}

// buildResolved is build where a router tells routes.
func (s *stages) buildResolved(h http.Handler, server *serve.GenericServer, resolve func(*http.Request) handler.Info, builtIn []string) (http.Handler, error) {
	c := s.opts
	o := handler.DefaultOptions{
		ErrorLog: s.log, NoRequestID: !c.defaults.chain && !c.logs(), Resolve: resolve,
		AccessLog: s.own.access, Audit: s.own.audit, WaitGroup: s.group, ProfileLabels: s.labels,
		SecurityHeaders: handler.SecurityHeadersOptions{HSTS: c.HSTS}, CORS: handler.CORSOptions{AllowedOrigins: c.CORSOrigins},
		GoawayChance: c.GoawayChance, MaxReading: orNone(c.MaxReading), MaxMutating: orNone(c.MaxMutating),
		Deadline: handler.DeadlineOptions{RequestTimeout: orNone(c.RequestTimeout), IgnoreQuery: !c.defaults.chain || c.RequestTimeout == 0},
	}
	if c.file != nil {
		s.inFlight = handler.NewAdjustableMaxInFlight(c.MaxReading, c.MaxMutating, handler.MaxInFlightOptions{})
		o.InFlight = s.inFlight
	}
	o.Deadline.MinLongRunning = c.MinLongRunning
	if c.RateLimit > 0 {
		o.RateLimit = handler.RateLimitOptions{Rate: c.RateLimit, Burst: c.RateBurst}
	}
	if s.own.recorder != nil {
		o.Objective = handler.LatencyObjectiveOptions{Default: c.Objective, Broken: s.own.recorder.LatencyObjective}
	}
	if err := s.admit(&o); err != nil {
		return nil, err
	}
	if c.defaults.chain && c.Admin != adminOff {
		o.Metrics = s.metrics
	}
	if c.SendRetryAfter {
		o.Draining = server.Signals().NotAcceptingNewRequest.HasSignaled
	}
	if len(builtIn) > 0 {
		o.BuiltIn = handler.ExactPaths(builtIn...)
	}
	return handler.NewDefaultChain(h, o)
}

// orNone is a flag's value as the options of handlers have it, where zero is a
// default and negative none.
func orNone[N int | time.Duration](n N) N {
	if n == 0 {
		return -1
	}
	return n
}

// admit sets who may ask what, and who waits for whom.
func (s *stages) admit(o *handler.DefaultOptions) (err error) {
	c := s.opts
	if o.Authentication, err = s.authentication(); err != nil {
		return err
	}
	if s.own.policy != nil {
		o.Authorization = &handler.AuthorizationOptions{Authorizer: handler.UnionAuthorizer(handler.AuthorizerFunc(allowProbes), s.own.policy)}
	}
	o.Priority, err = c.priority(c.MaxReading+c.MaxMutating, c.RequestTimeout)
	return err
}

// allowProbes lets health checks pass where they are exempt from all limits.
func allowProbes(x *handler.Exchange) (handler.Decision, string, error) {
	if x.Info.Exempt {
		return handler.DecisionAllow, "", nil
	}
	return handler.DecisionNoOpinion, "", nil
}

// authentication is by certificate, then by token. With either required, nobody
// but probes passes without.
func (s *stages) authentication() (*handler.AuthenticationOptions, error) {
	var known []handler.Authenticator
	switch s.opts.ClientAuth {
	case clientAuthRequire: // verified in the handshake
		known = append(known, handler.NewClientCertificates(nil))
	case clientAuthRequest:
		known = append(known, handler.NewClientCertificates(s.own.certs.clients.Pool))
	}
	var tokens []handler.TokenAuthenticator
	if s.own.tokens != nil {
		tokens = append(tokens, s.own.tokens)
	}
	if s.own.keys != nil {
		jwt, err := handler.NewJWT(s.opts.jwt(s.own.keys.Keys))
		if err != nil {
			return nil, fmt.Errorf("--jwt-issuer: %w", err)
		}
		tokens = append(tokens, jwt)
	}
	if len(tokens) > 0 {
		known = append(known, handler.BearerToken(tokens...))
	}
	if len(known) == 0 {
		return nil, nil
	}
	o := &handler.AuthenticationOptions{Authenticator: handler.UnionAuthenticator(known...)}
	switch {
	case len(tokens) > 0:
		o.Anonymous = func(x *handler.Exchange) bool { return x.Info.Exempt }
	case s.opts.ClientAuth == clientAuthRequest:
		o.Anonymous, o.KeepConnections = handler.AllRequests, true
	default:
		o.Anonymous, o.KeepConnections = exemptOrVerified, true
	}
	return o, nil
}

// exemptOrVerified picks probes, and clients whose certificate is good but names
// nobody. It does not pick those of --listen, who have none.
func exemptOrVerified(x *handler.Exchange) bool {
	state := x.Request.TLS
	return x.Info.Exempt || state != nil && len(state.VerifiedChains) > 0
}
