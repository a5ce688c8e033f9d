package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/listener"
)

// Config is what a GenericServer is made of. It goes through Complete, which
// fills in the defaults, to New.
type Config struct {
	// SecureServing is a TLS listener, with HTTP/3 beside it, and the settings
	// of TLS and Options as the API server has them. TLSConfig and Options must
	// be unset then. The further listeners below are served with the same.
	SecureServing *SecureServingInfo
	// Plain, Secure and Packets are served in the clear, over TLS and over
	// HTTP/3. Those of package listener that are only bound begin to listen as
	// the last step of the start. Without any, nothing listens.
	Plain, Secure []net.Listener
	Packets       []*listener.PacketGroup
	// Endpoints are further addresses, each with TLS of its own. They are opened
	// at the start; GenericServer.Open takes more.
	Endpoints []*Endpoint
	// TLSConfig is for Secure and Packets.
	TLSConfig *tls.Config
	// Options tune the engines.
	Options ServerOptions

	// BuildHandlerChain puts the filters around the server's routes. If nil, none.
	BuildHandlerChain func(routes http.Handler, s *GenericServer) (http.Handler, error)
	// PrepareSteps are run by PrepareRun, in order, before the health groups are
	// installed: what lists routes, such as OpenAPI.
	PrepareSteps []func(*GenericServer) error
	// PublicHealth installs /healthz, /livez and /readyz, without reasons, in the
	// server's own routes. HealthGroups are there in any case.
	PublicHealth bool

	// HealthzChecks, LivezChecks and ReadyzChecks are the checks to begin with.
	// If nil, ping and log.
	HealthzChecks, LivezChecks, ReadyzChecks []handler.HealthChecker
	// LivezGracePeriod is how long livez takes checks of the boot sequence as
	// well. If zero, none.
	LivezGracePeriod time.Duration
	// FlushLog is tried every minute; the check "log" fails when it has not
	// returned without an error for two. If nil, ErrorLog of Options is given a
	// line for debugging instead.
	FlushLog func() error
	// PostStartHooks and PreShutdownHooks are added by name, in this order.
	PostStartHooks   []NamedPostStartHook
	PreShutdownHooks []NamedPreShutdownHook
	// DisabledPostStartHooks are left out when they are added.
	DisabledPostStartHooks []string
	// Sources are shared with the other servers of the chain.
	Sources []Source
	// PluginInitializers help Initialize.
	PluginInitializers []PluginInitializer

	// ShutdownTimeout bounds the whole stop: delay, hooks, drain. What is left
	// at its end is cut. If zero, 60 s. There is no stop without a bound.
	ShutdownTimeout time.Duration
	// ShutdownDelayDuration is how long all is served after the stop has begun,
	// for balancers to notice. It ends early by RequestShutdown, and when nothing
	// has been connected for a second. If zero, none.
	ShutdownDelayDuration time.Duration
	// ShutdownSendRetryAfter keeps listening until no request is under way; the
	// chain answers new ones with 429. If false, the listeners close first.
	ShutdownSendRetryAfter bool
	// LongRunningGrace is how long long-running requests may go on after the
	// stop has told them to end. If zero, they are cancelled.
	LongRunningGrace time.Duration
	// Requests and LongRunning count what is under way, as filters of the chain.
	// If nil, nothing is waited for but connections.
	Requests, LongRunning RequestGroup
	// InFlight tells DrainStatus how many handlers run, and what the drain waits
	// for (handler.Registry.InFlight). If nil, nothing is told.
	InFlight func() handler.InFlight
	// Audit takes events from before the start, and is stopped behind the last
	// request. If nil, there is none.
	Audit AuditBackend

	// OnSignal is called with the name of each lifecycle signal just before it
	// fires. It must not block.
	OnSignal func(name string)
	// SystemdNotify tells the service manager ($NOTIFY_SOCKET) of READY,
	// RELOADING, STOPPING and WATCHDOG. For one server of a process at most.
	SystemdNotify bool
}

// NamedPostStartHook and NamedPreShutdownHook are hooks of a Config.
type (
	NamedPostStartHook struct {
		Name string
		Run  PostStartHookFunc
	}
	NamedPreShutdownHook struct {
		Name string
		Run  PreShutdownHookFunc
	}
)

// A RequestGroup counts requests of one kind that are under way.
type RequestGroup interface {
	// Wait refuses new ones from now on, tells those under way to end if they
	// are of a kind that can be told, and returns when none is left. When ctx
	// ends first it cancels long-running ones and returns ctx's error; others it
	// leaves to the end of the stop.
	Wait(ctx context.Context) error
}

// An AuditBackend takes audit events.
type AuditBackend interface {
	// Shutdown writes what is held back, until ctx ends.
	Shutdown(ctx context.Context) error
}

const defaultShutdownTimeout = 60 * time.Second

// CompletedConfig is a Config with its defaults. Only Complete makes one that
// is of use.
type CompletedConfig struct{ *completedConfig }

type completedConfig struct {
	Config
	faults []error // told by New
}

// Complete fills in the defaults, on a copy.
func (c Config) Complete() CompletedConfig {
	done := &completedConfig{Config: c}
	done.completeServing()
	if done.ShutdownTimeout == 0 {
		done.ShutdownTimeout = defaultShutdownTimeout
	}
	return CompletedConfig{done}
}

// completeServing spreads SecureServing over the fields that New looks at.
func (c *completedConfig) completeServing() {
	info := c.SecureServing
	if info == nil {
		return
	}
	if c.TLSConfig != nil {
		c.faults = append(c.faults, errors.New("SecureServing and TLSConfig are both set; set one"))
	}
	if info.MinTLSVersion != 0 && info.MinTLSVersion < tls.VersionTLS12 {
		c.faults = append(c.faults, errTLSVersion)
	}
	c.Options = info.options()
	c.TLSConfig = &tls.Config{
		Certificates: info.Certificates, GetCertificate: info.GetCertificate,
		MinVersion: info.MinTLSVersion, CipherSuites: info.CipherSuites, CurvePreferences: info.CurvePreferences,
	}
	c.Secure = append(slices.Clip(c.Secure), info.Listener)
	if info.Packets != nil {
		c.Packets = append(slices.Clip(c.Packets), info.Packets)
	}
}

// listens tells whether there is anything to listen on.
func (c *completedConfig) listens() bool {
	return len(c.Plain)+len(c.Secure)+len(c.Packets)+len(c.Endpoints) > 0
}

// validate tells all that is wrong.
func (c *completedConfig) validate() error {
	errs := c.faults
	fault := func(wrong bool, err error) {
		if wrong {
			errs = append(errs, err)
		}
	}
	for _, l := range append(slices.Clip(c.Plain), c.Secure...) {
		fault(l == nil, errNilListener)
	}
	fault(slices.Contains(c.Packets, nil), errNilListener)
	fault(slices.Contains(c.Endpoints, nil), errNilListener)
	fault(len(c.Secure)+len(c.Packets) > 0 && !hasCertificate(c.TLSConfig), errNoCert)
	fault(c.ShutdownTimeout < 0, fmt.Errorf("ShutdownTimeout is %v; it must be positive, there is no stop without a bound", c.ShutdownTimeout))
	fault(c.ShutdownDelayDuration < 0, fmt.Errorf("ShutdownDelayDuration is %v; it must not be negative", c.ShutdownDelayDuration))
	fault(c.ShutdownTimeout > 0 && c.ShutdownDelayDuration >= c.ShutdownTimeout,
		fmt.Errorf("ShutdownDelayDuration (%v) must be less than ShutdownTimeout (%v), which bounds the whole stop", c.ShutdownDelayDuration, c.ShutdownTimeout))
	fault(c.LongRunningGrace < 0, fmt.Errorf("LongRunningGrace is %v; it must not be negative", c.LongRunningGrace))
	fault(c.LivezGracePeriod < 0, fmt.Errorf("LivezGracePeriod is %v; it must not be negative", c.LivezGracePeriod))
	return errors.Join(errs...)
}

func hasCertificate(c *tls.Config) bool {
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}

// New makes a server in front of delegate, whose hooks, checks, paths, sources
// and signals it takes over. Nothing listens and no goroutine runs yet. All
// that is wrong is told at once.
func (c CompletedConfig) New(name string, delegate DelegationTarget) (*GenericServer, error) {
	switch {
	case c.completedConfig == nil:
		return nil, errors.New("serve: this CompletedConfig does not come from Complete")
	case name == "":
		return nil, errors.New("serve: a server must have a name")
	case delegate == nil:
		return nil, fmt.Errorf("server %s: no delegate; NewEmptyDelegate is the end of a chain", name)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("server %s: %w", name, err)
	}
	s := c.newServer(name, delegate)
	if err := errors.Join(s.addConfigured(), s.inherit(), s.addHooks()); err != nil {
		return nil, fmt.Errorf("server %s: %w", name, err)
	}
	s.adopt()
	if err := s.buildHandler(); err != nil {
		return nil, err
	}
	return s, nil
}

func (c CompletedConfig) newServer(name string, delegate DelegationTarget) *GenericServer {
	s := &GenericServer{
		name: name, config: c.completedConfig, delegate: delegate, log: c.Options.log(),
		postStart:   &hooks[PostStartHookFunc]{kind: "post-start"},
		preShutdown: &hooks[PreShutdownHookFunc]{kind: "pre-shutdown"},
		health:      newHealth(), sources: new(sourceSet), muxSignals: map[string]<-chan struct{}{},
		requested: make(chan struct{}), hurried: make(chan struct{}), failed: make(chan struct{}),
	}
	s.signals = newLifecycleSignals(s.enter)
	s.logged = newLogCheck(c.FlushLog, s.log)
	notFound := delegate.UnprotectedHandler()
	if notFound == nil {
		notFound = s.endOfChain()
	}
	s.Mux = handler.NewPathRecorderMux(name, notFound)
	return s
}

// addConfigured adds checks and sources of the config; of checks the names here
// win over those of delegates.
func (s *GenericServer) addConfigured() error {
	defaults := []handler.HealthChecker{handler.PingCheck(), s.logged}
	or := func(checks []handler.HealthChecker) []handler.HealthChecker {
		if checks == nil {
			return defaults
		}
		return checks
	}
	errs := []error{
		s.health.healthz.add(0, or(s.config.HealthzChecks)),
		s.health.livez.add(0, or(s.config.LivezChecks)),
		s.health.readyz.add(0, or(s.config.ReadyzChecks)),
	}
	for _, src := range s.config.Sources {
		errs = append(errs, s.AddSource(src))
	}
	return errors.Join(errs...)
}

// addHooks adds the hooks of the config, behind those of delegates.
func (s *GenericServer) addHooks() error {
	var errs []error
	for _, h := range s.config.PostStartHooks {
		errs = append(errs, s.AddPostStartHook(h.Name, h.Run))
	}
	for _, h := range s.config.PreShutdownHooks {
		errs = append(errs, s.AddPreShutdownHook(h.Name, h.Run))
	}
	return errors.Join(errs...)
}

// adopt makes this server the outermost that its delegates know of.
func (s *GenericServer) adopt() {
	s.root.Store(s)
	for d := s.delegate; d != nil; d = d.NextDelegate() {
		if inner := genericOf(d); inner != nil {
			inner.root.Store(s)
		}
	}
}

func (s *GenericServer) buildHandler() error {
	s.chain = s.Mux
	if build := s.config.BuildHandlerChain; build != nil {
		chain, err := build(s.Mux, s)
		if err != nil {
			return fmt.Errorf("server %s: build the handler chain: %w", s.name, err)
		}
		if chain == nil {
			return fmt.Errorf("server %s: BuildHandlerChain has built nothing", s.name)
		}
		s.chain = chain
	}
	s.client = &http.Client{Transport: &localRoundTripper{s, s.log}}
	return nil
}
