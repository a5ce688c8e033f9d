package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/handler"
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

// The limits of connections to services.
const (
	upstreamConnect   = 3 * time.Second
	upstreamHead      = time.Minute
	upstreamIdle      = time.Minute
	upstreamIdleConns = 64 // a service
)

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
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: upstreamConnect}).DialContext,
		TLSHandshakeTimeout:   upstreamConnect,
		ResponseHeaderTimeout: upstreamHead,
		IdleConnTimeout:       upstreamIdle,
		MaxIdleConnsPerHost:   upstreamIdleConns,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // content is the client's and the service's affair
	}
	s.OnDestroy(transport.CloseIdleConnections)
	var errs []error
	for _, r := range f.Routes {
		h := &serviceProxy{service: r.Service, resolver: f.Resolver, transport: transport, log: log}
		if strings.HasSuffix(r.Path, "/") {
			errs = append(errs, s.Mux.HandlePrefix(r.Path, h))
			continue
		}
		errs = append(errs, s.Mux.Handle(r.Path, h))
	}
	return errors.Join(errs...)
}

// serviceProxy passes requests on to one service.
type serviceProxy struct {
	service   string
	resolver  ServiceResolver
	transport http.RoundTripper
	log       *slog.Logger
}

func (p *serviceProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, err := p.resolver.ResolveService(p.service)
	if err == nil && target == nil {
		err = errors.New("the resolver knows no endpoint")
	}
	if err != nil {
		p.log.Warn("resolve a service", slog.String("service", p.service), slog.Any("error", err))
		w.Header().Set("Retry-After", "1")
		http.Error(w, "503 no endpoint of the service is known", http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.ReverseProxy{
		Transport:    p.transport,
		ErrorLog:     slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
		ErrorHandler: p.failed,
		Rewrite: func(out *httputil.ProxyRequest) {
			out.SetURL(target)
			out.Out.Host = out.In.Host // the service may serve several names
			out.SetXForwarded()
		},
	}
	proxy.ServeHTTP(w, r)
}

// failed answers for a service that has not. When the request's own time is
// over the chain answers, and when the client has left nobody does.
func (p *serviceProxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch err := r.Context().Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		return
	case err != nil:
		panic(http.ErrAbortHandler)
	}
	status := http.StatusBadGateway
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	p.log.Warn("pass on a request", slog.String("service", p.service), slog.Any("error", err))
	http.Error(w, fmt.Sprintf("%d the service does not answer", status), status)
}
