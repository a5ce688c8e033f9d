package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/route"
)

// A Change is one way from a configuration to the next. Nothing of the front is
// touched before Commit.
type Change struct {
	front    *Front
	cfg      *config.Config
	table    *route.Table
	hashes   config.Hashes
	services map[string]*service
	routes   map[string]*built

	updates []func() error // of services that stay and change; checked before
	fresh   []func()       // undo what was made, if nothing comes of it
}

// build makes what is new. All errors are reported.
func (c *Change) build() (*route.Table, error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Upstreams)) {
		if err := c.service(name); err != nil {
			errs = append(errs, fmt.Errorf("upstreams.%s: %w", name, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	hosts := make([]route.Host, len(c.cfg.Hosts))
	for i, h := range c.cfg.Hosts {
		hosts[i].Names = h.Names
		for _, r := range h.Routes {
			b, err := c.route(h, r)
			if err != nil {
				errs = append(errs, fmt.Errorf("host %s, route %s: %w", hostLabel(h), r.ID, err))
				continue
			}
			hosts[i].Routes = append(hosts[i].Routes, route.Route{
				ID: r.ID, Match: match(&r.Match), Handler: b.handler, LongRunning: isTrue(r.LongRunning, false),
			})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return route.New(hosts)
}

// service finds or makes an upstream.
func (c *Change) service(name string) error {
	opts, err := serviceOptions(c.cfg.Upstreams[name])
	if opts.TunnelGrace = Grace(c.cfg); opts.TunnelGrace == 0 {
		opts.TunnelGrace = -1
	}
	if err == nil {
		err = opts.Validate()
	}
	if err != nil {
		return err
	}
	hash := c.hashes.Upstreams[name] + opts.TLSName + opts.TunnelGrace.String() // TLSName is of what the files hold
	if old := c.front.services[name]; old != nil {
		c.services[name] = &service{old.Service, hash}
		if old.hash != hash {
			c.updates = append(c.updates, func() error { _, err := old.Update(opts); return err })
		}
		return nil
	}
	s, err := proxy.NewService(name, opts)
	if err != nil {
		return err
	}
	c.fresh = append(c.fresh, s.Close)
	c.services[name] = &service{s, hash}
	return nil
}

// route finds or makes the handler of a route.
func (c *Change) route(h *config.Host, r *config.Route) (*built, error) {
	key := hostLabel(h) + "/" + r.ID
	hash := c.hashes.Routes[key]
	if old := c.front.routes[key]; old != nil && old.hash == hash && c.sameService(r) {
		c.routes[key] = old
		return old, nil
	}
	b, err := c.handlerOf(h, r)
	if err != nil {
		return nil, err
	}
	b.hash = hash
	if b.close != nil {
		c.fresh = append(c.fresh, b.close)
	}
	c.routes[key] = b
	return b, nil
}

// sameService tells whether the service that a route has is still its own: one that
// was taken away and came back is another.
func (c *Change) sameService(r *config.Route) bool {
	if r.Proxy == nil {
		return true
	}
	old, now := c.front.services[r.Proxy.To], c.services[r.Proxy.To]
	return old != nil && now != nil && old.Service == now.Service
}

// Abandon undoes what was made.
func (c *Change) Abandon() {
	for _, undo := range c.fresh {
		undo()
	}
}

// Commit makes it the front's own, and serves by it. What is left over goes later.
func (c *Change) Commit() {
	f := c.front
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Abandon()
		return
	}
	for _, update := range c.updates {
		if err := update(); err != nil {
			f.log.Error("front: an upstream could not be changed; it stays as it was", "error", err)
		}
	}
	if f.started != nil {
		for _, s := range c.services {
			s.Start(f.started)
		}
	}
	grace := Grace(c.cfg)
	for name, s := range f.services {
		if now := c.services[name]; now == nil || now.Service != s.Service {
			f.going[s] = struct{}{}
			f.later(grace, func() {
				s.end(f.log)
				f.mu.Lock()
				delete(f.going, s)
				f.mu.Unlock()
			})
		}
	}
	for key, b := range f.routes {
		if c.routes[key] != b && b.close != nil {
			f.later(grace, b.close)
		}
	}
	f.services, f.routes = c.services, c.routes
	f.Router.Replace(c.table)
}

// end tells the tunnels of a service that was taken away, and closes it.
func (s *service) end(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		log.Warn("front: tunnels of a removed upstream are left", "service", s.Name(), "error", err)
	}
}

func hostLabel(h *config.Host) string {
	if len(h.Names) > 0 {
		return h.Names[0]
	}
	return "*"
}

func match(m *config.Match) route.Match {
	return route.Match{Path: m.Path, Prefix: m.Prefix, Methods: m.Methods, Header: anyValue(m.Headers), Query: anyValue(m.Query)}
}

// anyValue: the file says * where a table has an empty value.
func anyValue(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for name, v := range m {
		if v == "*" {
			v = ""
		}
		out[name] = v
	}
	return out
}

func isTrue(b *bool, byDefault bool) bool {
	if b == nil {
		return byDefault
	}
	return *b
}
