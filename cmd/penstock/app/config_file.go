package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/cmd/penstock/front"
	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
)

// configFile is the file of serve -c, and what serves by it.
type configFile struct {
	// Immutable once the servers are made.
	name    string
	log     *slog.Logger
	front   *front.Front
	prepare *Prepared
	keys    *certs.TicketKeys // of all listeners
	given   func(flag string) bool
	flags   ServingOptions // as the flags alone say
	memory  int64          // limit without the file's

	current atomic.Pointer[config.File] // the last good one
	special atomic.Int32                // listeners that resolve has to look at
	tasks   atomic.Bool                 // there are upstreams, and handlers wait for them

	// Reload's lock guards the following.
	changes []config.Change // of the last one
	closed  bool            // there is none any more

	first    *listenerChange // of the start; nil: it has no listeners
	draining sync.WaitGroup  // addresses that a reload has taken away

	// mu guards the following beside Reload's lock, for who only looks.
	mu   sync.Mutex
	live map[string]*fileListener // by listenerKey
}

func (f *configFile) config() *config.Config { return f.current.Load().Config }

// runConfigured is the way of serve -c.
func runConfigured(cmd *cobra.Command, stopCh <-chan struct{}, opts *ServingOptions, name string) error {
	f, err := openConfigFile(cmd.Context(), name)
	if err != nil {
		return err
	}
	given := func(flag string) bool { return cmd.Flags().Changed(flag) }
	if err := f.refuse(given); err != nil {
		return err
	}
	f.given, f.flags = given, *opts
	opts.file = f
	f.fill(opts, f.config())
	debug.SetMemoryLimit(f.memoryLimit(f.config()))
	return runCommand(cmd, stopCh, opts, func() (serverFactory, error) { return f.factory, nil })
}

// openConfigFile reads and checks the file.
func openConfigFile(ctx context.Context, name string) (*configFile, error) {
	file, err := config.Load(name, config.Options{})
	if err == nil {
		err = file.Check(ctx)
	}
	if err != nil {
		return nil, err
	}
	f := &configFile{name: name, keys: certs.NewTicketKeys(time.Now()), memory: debug.SetMemoryLimit(-1)}
	f.current.Store(file)
	f.tasks.Store(len(file.Config.Upstreams) > 0)
	return f, nil
}

// refuse tells which flags make no sense beside the file: of addresses and
// certificates one of both counts, and they are never merged.
func (f *configFile) refuse(given func(string) bool) error {
	var errs []error
	if given("public-endpoints") {
		errs = append(errs, errors.New("--public-endpoints is for the built-in site, which a configuration replaces; drop it"))
	}
	if !f.listens() {
		return errors.Join(errs...)
	}
	for _, flag := range []string{
		"listen", "tls-listen", "http3", "tls-cert-file", "tls-private-key-file", "tls-sni-cert-key", "cert-dir", "client-ca-file", "client-auth",
		"bind-address", "secure-port", "proxy-protocol-from",
	} {
		if given(flag) {
			errs = append(errs, fmt.Errorf("--%s together with listeners of %s; drop one of them", flag, f.name))
		}
	}
	return errors.Join(errs...)
}

// listens tells whether the file has addresses; without any, flags give them.
func (f *configFile) listens() bool { return f != nil && len(f.config().Listeners) > 0 }

// hasTLS tells whether any listener of the file has.
func (f *configFile) hasTLS() bool {
	if f == nil {
		return false
	}
	for _, l := range f.config().Listeners {
		if l.TLS != nil {
			return true
		}
	}
	return false
}

// fill sets the options that no flag has given.
func (f *configFile) fill(o *ServingOptions, c *config.Config) {
	given := f.given
	set(given, "admin", &o.Admin, string(c.Admin.Listen), c.Admin.Listen != "")
	if c.Admin.PProf != nil {
		set(given, "profiling", &o.Profiling, *c.Admin.PProf, true)
	}
	if c.Admin.Contended != nil {
		set(given, "contention-profiling", &o.ContentionProfiling, *c.Admin.Contended, true)
	}
	set(given, "access-log", &o.AccessLog, c.Log.Access, c.Log.Access != "")
	set(given, "audit-log-path", &o.AuditLog, c.Log.Audit, c.Log.Audit != "")
	set(given, "shutdown-timeout", &o.ShutdownTimeout, c.Shutdown.Timeout.Value(), c.Shutdown.Timeout > 0)
	set(given, "shutdown-delay-duration", &o.ShutdownDelay, c.Shutdown.Delay.Value(), c.Shutdown.Delay > 0)
	set(given, "shutdown-watch-termination-grace-period", &o.WatchGrace, c.Shutdown.Grace.Value(), c.Shutdown.Grace > 0)
	set(given, "max-requests-inflight", &o.MaxReading, max(0, c.Limits.RequestsInFlight.Value()), c.Limits.RequestsInFlight != 0)
	set(given, "max-mutating-requests-inflight", &o.MaxMutating, max(0, c.Limits.ChangesInFlight.Value()), c.Limits.ChangesInFlight != 0)
	set(given, "http2-max-streams-per-connection", &o.MaxStreams, max(0, c.HTTP.MaxStreams.Value()), c.HTTP.MaxStreams != 0)
	f.fillLimits(&o.LimitOptions, given, c)
	set(given, "log-level", &o.LogLevel, c.Log.Level, c.Log.Level != "")
	// Both are the routes': each has its own, or that of the whole file.
	set(given, "request-timeout", &o.RequestTimeout, 0, true)
	set(given, "max-request-body", &o.MaxBody, 0, true)
}

// tuneEngine sets what flags cannot say: of connections, that there is no limit.
func (f *configFile) tuneEngine(o *serve.ServerOptions, c *config.Config) {
	o.ExemptClients = exempt(c)
	if c.Limits.Connections < 0 && !f.given("max-connections") {
		o.MaxConnections = -1
	}
}

// memoryLimit is the file's, or else that of the environment (GOMEMLIMIT).
func (f *configFile) memoryLimit(c *config.Config) int64 {
	if c.Limits.Memory > 0 {
		return c.Limits.Memory.Value()
	}
	return f.memory
}

// set is a value of the file, unless a flag or the environment has given one.
func set[T any](given func(string) bool, flag string, v *T, value T, there bool) {
	if there && !given(flag) {
		*v = value
	}
}

// fillLimits sets those that the file gives; what is off there is zero here.
func (f *configFile) fillLimits(o *LimitOptions, given func(string) bool, c *config.Config) {
	for _, d := range []struct {
		flag string
		to   *time.Duration
		v    time.Duration
	}{
		{"tls-handshake-timeout", &o.HandshakeTimeout, c.Timeouts.TLSHandshake.Value()},
		{"read-header-timeout", &o.HeadTimeout, c.Timeouts.RequestHead.Value()},
		{"body-idle-timeout", &o.BodyIdleTimeout, c.Timeouts.Body.Value()},
		{"write-idle-timeout", &o.WriteIdleTimeout, c.Timeouts.Write.Value()},
		{"idle-timeout", &o.IdleTimeout, c.Timeouts.KeepAlive.Value()},
		{"max-connection-age", &o.MaxConnAge, c.Timeouts.MaxAge.Value()},
	} {
		set(given, d.flag, d.to, max(0, d.v), d.v != 0)
	}
	set(given, "max-connections", &o.MaxConnections, max(0, c.Limits.Connections.Value()), c.Limits.Connections != 0)
	set(given, "max-connections-per-client", &o.MaxPerClient, max(0, c.Limits.ConnectionsPerClient.Value()), c.Limits.ConnectionsPerClient != 0)
	set(given, "max-header-bytes", &o.MaxHeaderBytes, Size(c.HTTP.MaxHead.Value()), c.HTTP.MaxHead != 0)
	set(given, "max-header-fields", &o.MaxFields, c.HTTP.MaxFields.Value(), c.HTTP.MaxFields != 0)
	set(given, "max-target", &o.MaxTarget, Size(c.HTTP.MaxTarget.Value()), c.HTTP.MaxTarget != 0)
}

// factory makes the server of the file: the chain around its hosts and routes.
func (f *configFile) factory(c CompletedConfig) (*serve.GenericServer, error) {
	fr, err := front.New(f.config(), front.Options{ErrorLog: c.log})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	f.front, f.log = fr, c.log
	c.stages.upstreams = fr.Status
	cfg := c.Generic
	cfg.BuildHandlerChain = func(_ http.Handler, s *serve.GenericServer) (http.Handler, error) {
		return c.stages.buildResolved(&routes{fr}, s, f.resolve, nil)
	}
	s, err := cfg.Complete().New("front", serve.NewEmptyDelegateWithCustomHandler(handler.EndOfChain{}))
	if err != nil {
		fr.Close()
		return nil, err
	}
	if f.hasTLS() {
		err = s.AddReadyzChecks(handler.NamedCheck("certificates", func(*http.Request) error { return f.checkCertificates() }))
	}
	return s, errors.Join(err, addTunnels(s, "start-upstreams", fr))
}

// bind takes the addresses of the file.
func (f *configFile) bind(ctx context.Context, p *Prepared) error {
	c, err := f.changeListeners(ctx, p, f.config())
	if err != nil {
		return err
	}
	f.first = c
	_, err = c.prepare()
	return err
}

// endpoints are those of the start.
func (f *configFile) endpoints() (all []*serve.Endpoint) {
	if f == nil || f.first == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(f.first.next)) {
		l := f.first.next[name]
		all = append(all, l.endpoint)
		if l.packets != nil {
			all = append(all, l.packets)
		}
	}
	return all
}

// begin listens; what is read so far is what serves.
func (f *configFile) begin() error {
	if f == nil || f.first == nil {
		return nil
	}
	if err := f.first.listen(); err != nil {
		return err
	}
	f.first.commit(f.front)
	return nil
}

// release closes the sockets that no server has, and waits for what drains. A reload
// that still runs, asked for over the admin socket, comes to its end before.
func (f *configFile) release() {
	if f == nil || f.prepare == nil {
		return
	}
	closeAll := func() error { f.closed = true; f.close(); return nil }
	if f.prepare.server == nil {
		_ = closeAll()
		return
	}
	_ = f.prepare.server.Reload(closeAll) // it has no error
}

func (f *configFile) close() {
	if f.first == nil {
		return
	}
	if len(f.live) == 0 { // it did not come to serving
		f.first.abandon()
	}
	f.draining.Wait()
	for _, l := range f.live {
		_ = l.tcp.group.Close()
		if l.udp != nil {
			_ = l.udp.group.Close()
		}
		if l.certs != nil {
			l.certs.Get().Close()
		}
	}
}

// announce tells where the file's listeners can be reached, those over TLS first.
func (f *configFile) announce(b *strings.Builder) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.SortedFunc(maps.Values(f.live), func(x, y *fileListener) int {
		if (x.certs == nil) != (y.certs == nil) {
			if x.certs != nil {
				return -1
			}
			return 1
		}
		return strings.Compare(x.name, y.name)
	})
	for _, l := range all {
		switch {
		case l.certs == nil:
			fmt.Fprintf(b, "  %s   %s\n", l.tcp.url("http"), l.name)
		case l.udp != nil:
			fmt.Fprintf(b, "  %s   %s, also HTTP/3\n", l.tcp.url("https"), l.name)
		default:
			fmt.Fprintf(b, "  %s   %s\n", l.tcp.url("https"), l.name)
		}
	}
}

// show answers with the effective configuration; with ?given, with what somebody has
// given alone.
func (f *configFile) show(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-cache, private")
	_ = f.current.Load().Effective(w, config.EffectiveOptions{Defaults: !r.URL.Query().Has("given")}) // a client that left
}
