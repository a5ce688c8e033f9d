package app

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
)

// maxStragglers bounds the requests that are looked at to tell what a drain
// waits for.
const maxStragglers = 100

// stages are what is between the engines and the routes of a run.
type stages struct {
	opts     CompletedOptions
	own      *resources
	log      *slog.Logger
	labels   *handler.ProfileLabels // nil: none
	metrics  *prometheus.Registry
	registry *handler.Registry
	group    *handler.WaitGroup // nil: the drain waits for connections alone
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
	c := s.opts
	o := handler.DefaultOptions{
		ErrorLog: s.log, NoRequestID: !c.defaults.chain && !c.logs(), Resolve: resolve.Resolve,
		AccessLog: s.own.access, Audit: s.own.audit, WaitGroup: s.group, ProfileLabels: s.labels,
		SecurityHeaders: handler.SecurityHeadersOptions{HSTS: c.HSTS}, CORS: handler.CORSOptions{AllowedOrigins: c.CORSOrigins},
		GoawayChance: c.GoawayChance, MaxReading: orNone(c.MaxReading), MaxMutating: orNone(c.MaxMutating),
		Deadline:       handler.DeadlineOptions{RequestTimeout: orNone(c.RequestTimeout), IgnoreQuery: !c.defaults.chain || c.RequestTimeout == 0},
		Authentication: s.authentication(),
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

// authentication is by certificate, then by token. With either required, nobody
// but probes passes without.
func (s *stages) authentication() *handler.AuthenticationOptions {
	var known []handler.Authenticator
	switch s.opts.ClientAuth {
	case clientAuthRequire: // verified in the handshake
		known = append(known, handler.NewClientCertificates(nil))
	case clientAuthRequest:
		known = append(known, handler.NewClientCertificates(s.own.certs.clients.Pool))
	}
	if s.own.tokens != nil {
		known = append(known, handler.BearerToken(s.own.tokens))
	}
	if len(known) == 0 {
		return nil
	}
	o := &handler.AuthenticationOptions{Authenticator: handler.UnionAuthenticator(known...)}
	switch {
	case s.own.tokens != nil:
		o.Anonymous = func(x *handler.Exchange) bool { return x.Info.Exempt }
	case s.opts.ClientAuth == clientAuthRequest:
		o.Anonymous, o.KeepConnections = handler.AllRequests, true
	default:
		o.Anonymous, o.KeepConnections = exemptOrVerified, true
	}
	return o
}

// exemptOrVerified picks probes, and clients whose certificate is good but names
// nobody. It does not pick those of --listen, who have none.
func exemptOrVerified(x *handler.Exchange) bool {
	state := x.Request.TLS
	return x.Info.Exempt || state != nil && len(state.VerifiedChains) > 0
}

// inFlight tells how many handlers run, and of which paths.
func (s *stages) inFlight() (running int, stragglers []handler.Straggler) {
	n := s.registry.Counts()
	byPath := map[string]int{} // place in stragglers
	now := time.Now()
	for _, r := range s.registry.Oldest(maxStragglers) {
		i, known := byPath[r.Path]
		if !known {
			i = len(stragglers)
			byPath[r.Path] = i
			stragglers = append(stragglers, handler.Straggler{Path: r.Path, Oldest: now.Sub(r.Received)}) // the oldest come first
		}
		stragglers[i].Count++
	}
	return n.Read + n.Mutating + n.LongRunning + n.Exempt, stragglers
}
