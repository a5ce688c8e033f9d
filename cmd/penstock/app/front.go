package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/serve"
)

// A ServiceResolver tells where a named service is now: scheme, host and, if
// wanted, a path that goes before the request's. It is asked with each request,
// by many at once. One that has a method SetSources is given the sources of the
// chain (serve.WantsSources).
type ServiceResolver interface {
	ResolveService(name string) (*url.URL, error)
}

// FrontConfig are the reverse-proxy routes of the front.
type FrontConfig struct {
	// Routes are by path, whatever order they have here.
	Routes []ServiceRoute
	// Resolver is asked for the services. Required if there is a route.
	Resolver ServiceResolver
}

// A ServiceRoute passes requests on to a service.
type ServiceRoute struct {
	// Path is one path, or all below one that ends in a slash.
	Path string
	// Service is the name that the resolver knows.
	Service string
	// LongRunning: its requests stream, watch or upgrade.
	LongRunning bool
}

// maxEndpoints bounds the endpoints of a route that connections are kept to. Beyond
// it the one that was not asked for the longest time is forgotten.
const maxEndpoints = 256

// rules name the routes in metrics and logs.
func (f FrontConfig) rules() []handler.PathRule {
	rules := make([]handler.PathRule, 0, len(f.Routes))
	for _, r := range f.Routes {
		rules = append(rules, handler.PathRule{Pattern: r.Path, LongRunning: r.LongRunning})
	}
	return rules
}

// install adds the routes to s, which lets go of the connections at its end.
func (f FrontConfig) install(s *serve.GenericServer, log *slog.Logger) error {
	if len(f.Routes) == 0 {
		return nil
	}
	if f.Resolver == nil {
		return errors.New("there are routes to services, but nobody to resolve their names; set Front.Resolver")
	}
	var errs []error
	for _, r := range f.Routes {
		h := &serviceProxy{service: r.Service, resolver: f.Resolver, log: log, endpoints: make(map[endpointKey]*serviceEndpoint)}
		errs = append(errs, addTunnels(s, "start-service-"+r.Path, h))
		if strings.HasSuffix(r.Path, "/") {
			errs = append(errs, s.Mux.HandlePrefix(r.Path, h))
			continue
		}
		errs = append(errs, s.Mux.Handle(r.Path, h))
	}
	return errors.Join(errs...)
}

// serviceProxy passes requests on to one service, wherever its resolver says that
// it is. Connections belong to endpoints: a resolver may name another one each
// time.
type serviceProxy struct {
	service  string
	resolver ServiceResolver
	log      *slog.Logger

	// mu guards the following.
	mu        sync.Mutex
	ctx       context.Context // of Start
	endpoints map[endpointKey]*serviceEndpoint
	turn      uint64 // of the last request
	leaving   bool   // EndTunnels was called
}

// endpointKey is a target without what is not used of its URL.
type endpointKey struct{ scheme, host, path string }

type serviceEndpoint struct {
	service *proxy.Service
	proxy   *proxy.Proxy
	asked   uint64 // the turn
}

func (p *serviceProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, err := p.resolver.ResolveService(p.service)
	if err == nil && target == nil {
		err = errors.New("the resolver knows no endpoint")
	}
	var h http.Handler
	if err == nil {
		h, err = p.endpoint(target)
	}
	if err != nil {
		p.log.Warn("resolve a service", slog.String("service", p.service), slog.Any("error", err))
		w.Header().Set("Retry-After", "1")
		http.Error(w, "503 no endpoint of the service is known", http.StatusServiceUnavailable)
		return
	}
	h.ServeHTTP(w, r)
}

// RecycleRequests: package proxy keeps nothing, and a resolver sees no request.
func (p *serviceProxy) RecycleRequests() bool { return true }

// endpoint is the proxy of a target, a new one if it has none.
func (p *serviceProxy) endpoint(target *url.URL) (http.Handler, error) {
	key := endpointKey{target.Scheme, target.Host, target.Path}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	e := p.endpoints[key]
	if e == nil {
		var err error
		if e, err = p.open(key); err != nil {
			return nil, err
		}
		p.endpoints[key] = e
		p.forgetOldest()
	}
	e.asked = p.turn
	return e.proxy, nil
}

func (p *serviceProxy) open(key endpointKey) (*serviceEndpoint, error) {
	service, err := proxy.NewService(p.service, proxy.ServiceOptions{Options: upstream.Options{
		Targets: []upstream.Target{{URL: key.scheme + "://" + key.host}},
	}})
	if err != nil {
		return nil, err
	}
	h, err := proxy.New(proxy.Options{
		Service: service, Rewrite: proxy.Rewrite{AddPrefix: strings.TrimSuffix(key.path, "/")}, ErrorLog: p.log,
	})
	if err != nil {
		return nil, err
	}
	if p.ctx != nil {
		service.Start(p.ctx)
	}
	if p.leaving {
		service.EndTunnels()
	}
	return &serviceEndpoint{service: service, proxy: h, asked: p.turn}, nil
}

// forgetOldest keeps the endpoints within their number. Requests that run there go
// on.
func (p *serviceProxy) forgetOldest() {
	if len(p.endpoints) <= maxEndpoints {
		return
	}
	var oldest endpointKey
	least := p.turn + 1
	for key, e := range p.endpoints {
		if e.asked < least {
			oldest, least = key, e.asked
		}
	}
	p.endpoints[oldest].service.Close()
	delete(p.endpoints, oldest)
}

func (p *serviceProxy) all() []*proxy.Service {
	var list []*proxy.Service
	for _, e := range p.endpoints {
		list = append(list, e.service)
	}
	return list
}

// WaitTunnels: see Start.
func (p *serviceProxy) WaitTunnels(ctx context.Context) error {
	p.mu.Lock()
	all := p.all()
	p.mu.Unlock()
	for _, s := range all {
		if err := s.WaitTunnels(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Start, EndTunnels, WaitTunnels and Shutdown: see proxy.Service.
func (p *serviceProxy) Start(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx = ctx
	for _, s := range p.all() {
		s.Start(ctx)
	}
}

// EndTunnels: see Start.
func (p *serviceProxy) EndTunnels() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaving = true
	for _, s := range p.all() {
		s.EndTunnels()
	}
}

// Shutdown: see Start.
func (p *serviceProxy) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	services := p.all()
	p.mu.Unlock()
	var errs []error
	for _, s := range services {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
}
