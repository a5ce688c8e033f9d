package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/penstock-edge/penstock/handler"
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
	certs   *certificates // nil: no HTTPS
	tokens  *handler.TokenFile
	access  *handler.AccessLog // nil: none
	audit   *handler.Audit     // nil: none
	events  *logFile           // audit's; nil: none
}

// open reads and opens all files that flags name. What it has opened is released
// by close, after an error too.
func (r *resources) open(c CompletedOptions, log *slog.Logger) error {
	var errs []error
	r.watcher = certs.NewWatcher(certs.WatcherOptions{Log: log})
	if len(c.TLSListen) > 0 {
		var err error
		if r.certs, err = c.openCertificates(log, r.watcher); err != nil {
			errs = append(errs, err)
		}
	}
	if c.TokenFile != "" {
		tokens, err := handler.NewTokenFile(c.TokenFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("--token-auth-file %s: %w", c.TokenFile, err))
		} else {
			r.tokens = tokens
			r.watcher.Watch("tokens", []string{c.TokenFile}, tokens.Reload)
		}
	}
	if c.AccessLog != logOff {
		access, err := handler.NewAccessLog(handler.AccessLogOptions{Path: c.AccessLog, ErrorLog: log})
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

// reload reads certificates and tokens anew and opens the logs anew. What
// cannot be used stays as it was.
func (r *resources) reload() error {
	errs := []error{r.certs.reload()}
	if r.tokens != nil {
		errs = append(errs, r.tokens.Reload())
	}
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
	g.Options = p.opts.engineOptions(p.life.log)
	g.LivezGracePeriod = p.opts.LivezGrace
	g.ShutdownTimeout, g.ShutdownDelayDuration = p.opts.ShutdownTimeout, p.opts.ShutdownDelay
	g.ShutdownSendRetryAfter, g.LongRunningGrace = p.opts.SendRetryAfter, p.opts.WatchGrace
	if c.stages.group != nil {
		g.Requests, g.InFlight = c.stages.group, c.stages.inFlight
	}
	if p.own.audit != nil {
		g.Audit = p.own.audit
	}
	g.PostStartHooks = []serve.NamedPostStartHook{{Name: "announce", Run: func(serve.HookContext) error {
		p.announce(p.stdout)
		return nil
	}}}
	g.SystemdNotify = true
	return c
}
