package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// maxLogged bounds what is logged of one change.
const maxLogged = 400

// A reload, serialised by GenericServer.Reload:
//
//	read, check ─▶ build routes and upstreams, read certificates, bind, open the
//	               access log ─▶ serve new addresses ─▶ swap ─▶ drain what has gone
//
// Until the swap any error leaves all as it was: what was made is undone. Behind it
// nothing can fail.
func (f *configFile) reload() error {
	f.changes = nil
	if f.front == nil || f.closed {
		return nil
	}
	if err := f.reloadCertificates(); err != nil {
		f.log.Error("reload; certificates of before stay", slog.Any("error", err))
	}
	changes, err := f.replace(context.Background())
	if err != nil {
		return fmt.Errorf("%s: the configuration of before stays: %w", f.name, err)
	}
	f.changes = changes
	for _, c := range changes {
		f.log.Info("configuration", slog.String("change", clip(c.String())))
	}
	return nil
}

// clip keeps a line of the log short: a value may be a whole page.
func clip(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "..."
	}
	return s
}

// read is the file as it is now, if a running server can do what it says.
func (f *configFile) read(ctx context.Context) (*config.File, []config.Change, error) {
	file, err := config.Load(f.name, config.Options{})
	if err == nil {
		err = file.Check(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	changes := config.Diff(f.config(), file.Config)
	return file, changes, f.fixed(changes, debug.SetMemoryLimit(-1) != math.MaxInt64)
}

// replace goes over to the file as it is now.
func (f *configFile) replace(ctx context.Context) ([]config.Change, error) {
	file, changes, err := f.read(ctx)
	if err != nil {
		return nil, err
	}
	next, err := f.front.Prepare(file.Config)
	if err != nil {
		return nil, err
	}
	log, err := f.openLog(file.Config)
	if err != nil {
		next.Abandon()
		return nil, err
	}
	listeners, err := f.openListeners(ctx, file.Config)
	if err != nil {
		next.Abandon()
		log.abandon()
		return nil, err
	}
	// Nothing fails from here on.
	f.limit(file.Config)
	log.commit()
	next.Commit()
	gone := listeners.commit(f.front)
	f.current.Store(file)
	f.drainGone(gone, file.Config)
	return changes, nil
}

// openListeners makes the listeners of cfg, and serves those that are new. Their
// requests wait for the swap.
func (f *configFile) openListeners(ctx context.Context, cfg *config.Config) (*listenerChange, error) {
	c, err := f.changeListeners(ctx, f.prepare, cfg)
	if err != nil {
		return nil, err
	}
	if err = c.listen(); err == nil {
		err = c.open(f.prepare.server)
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// options are what flags and cfg say together.
func (f *configFile) options(cfg *config.Config) ServingOptions {
	o := f.flags
	f.fill(&o, cfg)
	return o
}

// logMove is the way of the access log to another place.
type logMove struct {
	log   *handler.AccessLog
	place *handler.LogPlace // nil: it stays
}

// openLog opens the place of the access log, if it is another one.
func (f *configFile) openLog(cfg *config.Config) (logMove, error) {
	was, now := f.options(f.config()).AccessLog, f.options(cfg).AccessLog
	m := logMove{log: f.prepare.own.access}
	if was == now {
		return m, nil
	}
	if now == logOff {
		now = ""
	}
	var err error
	if m.place, err = handler.OpenLogPlace(now); err != nil {
		return m, fmt.Errorf("log.access: %w", err)
	}
	return m, nil
}

func (m logMove) commit() {
	if m.place != nil {
		m.log.Move(m.place)
	}
}

func (m logMove) abandon() {
	if m.place != nil {
		m.place.Close()
	}
}

// limit sets the limits of the whole server.
func (f *configFile) limit(cfg *config.Config) {
	o, p := f.options(cfg), f.prepare
	if level, err := o.level(); err == nil {
		p.life.level.Set(level)
	}
	p.stages.inFlight.SetLimits(o.MaxReading, o.MaxMutating)
	var engine serve.ServerOptions
	o.LimitOptions.apply(&engine)
	f.tuneEngine(&engine, cfg)
	p.server.LimitConnections(listener.GateConfig{
		Total: engine.MaxConnections, PerClient: engine.MaxConnectionsPerClient, Exempt: engine.ExemptClients,
	})
	debug.SetMemoryLimit(f.memoryLimit(cfg))
	f.tasks.Store(len(cfg.Upstreams) > 0)
}

// exempt are the proxies in front: each carries many clients.
func exempt(cfg *config.Config) []netip.Prefix { return config.Prefixes(cfg.Forwarded.Trust) }

// restart are the parts of the file that a reload cannot change, and why.
var restart = []struct{ prefix, reason string }{
	{"admin.", "the address for operators is taken at the start"},
	{"http.", "the engines are made at the start"},
	{"log.audit:", "events may not get lost between two files"},
	{"shutdown.delay:", "the service manager was told at the start"},
	{"shutdown.timeout:", "the service manager was told at the start"},
	{"shutdown.long_running_grace:", "the service manager was told at the start"},
	{"timeouts.body:", "the engines are made at the start"},
	{"timeouts.keep_alive:", "the engines are made at the start"},
	{"timeouts.max_age:", "the engines are made at the start"},
	{"timeouts.request_head:", "the engines are made at the start"},
	{"timeouts.tls_handshake:", "the engines are made at the start"},
	{"timeouts.write:", "the engines are made at the start"},
}

// fixed refuses changes that a running server cannot do. watched: it has a limit of
// memory.
func (f *configFile) fixed(changes []config.Change, watched bool) error {
	var errs []error
	refuse := func(c config.Change, reason string) {
		errs = append(errs, fmt.Errorf("%s, which a running server cannot do: %s; restart it, or take that back", c, reason))
	}
	for _, c := range changes {
		path := c.Path + ":"
		for _, r := range restart {
			if strings.HasPrefix(path, r.prefix) {
				refuse(c, r.reason)
			}
		}
		switch {
		case c.Path == "limits.memory" && c.Kind == config.Added && !watched:
			refuse(c, "without a limit at the start nobody watches the memory")
		case strings.HasPrefix(path, "listeners.") && !f.listens():
			refuse(c, "the addresses are those of flags")
		}
	}
	return errors.Join(errs...)
}
