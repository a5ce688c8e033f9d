package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/debug"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
)

// Config is what the servers of a run are made of. It goes through Complete to
// CreateServerChain, or to the one server of a command without a chain.
type Config struct {
	// Generic is of the server that listens. Its handler chain is made here.
	Generic serve.Config
	// Core are the built-in endpoints.
	Core CoreConfig
	// Front are reverse-proxy routes, before all others. No flag has any yet.
	Front FrontConfig

	opts   CompletedOptions
	log    *slog.Logger
	stages *stages
}

// CompletedConfig can only be made by Complete.
type CompletedConfig struct{ *completedConfig }

type completedConfig struct {
	Config
	inner serve.CompletedConfig // of servers that do not listen
}

// Complete fills in what follows.
func (c *Config) Complete() CompletedConfig {
	// Of a server behind another one only routes, checks and hooks count.
	inner := serve.Config{Options: serve.ServerOptions{ErrorLog: c.log}, LivezGracePeriod: c.Generic.LivezGracePeriod}
	return CompletedConfig{&completedConfig{*c, inner.Complete()}}
}

// resources are what a run holds besides its sockets.
type resources struct {
	watcher *certs.Watcher
	files   []reloader    // what is read again on HUP, and when it changes
	certs   *certificates // nil: no HTTPS
	tokens  *handler.TokenFile
	keys    *handler.KeySetFile // of --jwt-issuer; nil: none
	policy  *handler.PolicyFile // nil: all may do all
	access  *handler.AccessLog  // nil: none
	audit   *handler.Audit      // nil: none
	events  *logFile            // audit's; nil: none
	file    *configFile         // nil: there are flags alone

	admin    *adminCertificates    // nil: --admin is clear
	recorder *debug.FlightRecorder // of --latency-objective; nil: none
}

// open reads and opens all files that flags name. What it has opened is released
// by close, after an error too.
func (r *resources) open(c CompletedOptions, log *slog.Logger) error {
	var errs []error
	r.file = c.file
	r.watcher = certs.NewWatcher(certs.WatcherOptions{Log: log})
	if len(c.TLSListen) > 0 {
		var err error
		if r.certs, err = c.openCertificates(log, r.watcher); err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	r.tokens, err = openWatched(r, "--token-auth-file", c.TokenFile, handler.NewTokenFile)
	errs = append(errs, err)
	r.keys, err = openWatched(r, "--jwt-jwks-file", c.JWTKeyFile, handler.NewKeySetFile)
	errs = append(errs, err)
	r.policy, err = openWatched(r, "--authorization-policy-file", c.PolicyFile, handler.NewPolicyFile)
	errs = append(errs, err)
	r.admin, err = c.openAdminTLS(log, r.watcher)
	errs = append(errs, err)
	if c.Objective > 0 {
		r.recorder, err = debug.NewFlightRecorder(debug.FlightOptions{Dir: c.FlightDir, MinAge: 2 * c.Objective, Log: log})
		errs = append(errs, err)
	}
	if c.AccessLog != logOff || c.file != nil { // a reload may move it
		access, err := handler.NewAccessLog(handler.AccessLogOptions{Path: c.AccessLog, Off: c.AccessLog == logOff, ErrorLog: log})
		if err != nil {
			errs = append(errs, fmt.Errorf("--access-log %s: %w", c.AccessLog, err))
		} else {
			r.access = access
		}
	}
	if c.AuditLog != "" {
		events, err := openLogFile(c.AuditLog)
		if err != nil {
			errs = append(errs, fmt.Errorf("--audit-log-path %s: %w", c.AuditLog, err))
		} else {
			r.events, r.audit = events, handler.NewAudit(handler.AuditOptions{Sink: events})
		}
	}
	return errors.Join(errs...)
}

// reloader is a file that is read again.
type reloader interface{ Reload() error }

// openWatched opens the file that flag names, and has it read again whenever it
// changes; no name: the zero T.
func openWatched[T reloader](r *resources, flag, name string, open func(string) (T, error)) (f T, err error) {
	if name == "" {
		return f, nil
	}
	if f, err = open(name); err != nil {
		var none T
		return none, fmt.Errorf("%s %s: %w", flag, name, err)
	}
	r.files = append(r.files, f)
	r.watcher.Watch(flag, []string{name}, f.Reload)
	return f, nil
}

// reload reads certificates and files of users anew and opens the logs anew. What
// cannot be used stays as it was.
func (r *resources) reload() error {
	errs := []error{r.certs.reload(), r.admin.reload(), r.reopen()}
	for _, f := range r.files {
		errs = append(errs, f.Reload())
	}
	if r.file != nil {
		errs = append(errs, r.file.reload())
	}
	return errors.Join(errs...)
}

// reopen opens the logs by their names again, after they were renamed.
func (r *resources) reopen() error {
	var errs []error
	if r.access != nil {
		errs = append(errs, r.access.Reopen())
	}
	if r.events != nil {
		errs = append(errs, r.events.reopen())
	}
	return errors.Join(errs...)
}

// close writes what logs hold back, until ctx ends.
func (r *resources) close(ctx context.Context) (err error) {
	if r.access != nil {
		err = errors.Join(err, r.access.Close(ctx))
	}
	if r.audit != nil {
		err = errors.Join(err, r.audit.Shutdown(ctx), r.events.close())
	}
	if r.certs != nil && r.certs.dynamic != nil {
		r.certs.dynamic.Close()
	}
	r.admin.close()
	if r.watcher != nil {
		err = errors.Join(err, r.watcher.Close())
	}
	return err
}

// config puts together what has been opened and bound.
func (p *Prepared) config() *Config {
	c := &Config{opts: p.opts, log: p.life.log, stages: newStages(p.opts, &p.own, p.life.log)}
	g := &c.Generic
	g.Plain, g.Secure = listeners(p.plain), listeners(p.secure)
	for _, b := range p.packets {
		g.Packets = append(g.Packets, b.group)
	}
	if p.own.certs != nil {
		g.TLSConfig = p.own.certs.dynamic.TLSConfig()
	}
	g.Endpoints = p.opts.file.endpoints()
	g.Options = p.opts.engineOptions(p.life.log)
	g.LivezGracePeriod = p.opts.LivezGrace
	g.ShutdownTimeout, g.ShutdownDelayDuration = p.opts.ShutdownTimeout, p.opts.ShutdownDelay
	g.ShutdownSendRetryAfter, g.LongRunningGrace = p.opts.SendRetryAfter, p.opts.WatchGrace
	if c.stages.group != nil {
		g.Requests, g.InFlight = c.stages.group, c.stages.registry.InFlight
	}
	if p.own.audit != nil {
		g.Audit = p.own.audit
	}
	g.PostStartHooks = []serve.NamedPostStartHook{{Name: "announce", Run: func(hc serve.HookContext) error {
		go p.announceReady(hc) // not here: the hook is one of the checks of readyz itself
		return nil
	}}}
	g.SystemdNotify = true
	return c
}
