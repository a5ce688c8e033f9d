package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/serve"
)

// proxyDefaults: uploads have an owner behind the proxy, who knows their size.
var proxyDefaults = servingDefaults{listen: oneLinerDefaults.listen, admin: adminOff, tasks: true, anyBody: true}

type reverseProxyOptions struct {
	to           []string
	healthPath   string
	hostUpstream bool
	balance      string
	trust        []string
}

func newReverseProxyCommand(stopCh <-chan struct{}) *cobra.Command {
	serving, own := newServingOptions(proxyDefaults), &reverseProxyOptions{}
	cmd := &cobra.Command{
		Use:   "reverse-proxy",
		Short: "Pass requests on to other servers",
		Long: `Pass requests on to one or more upstreams, and their answers back: HTTP/1.1,
h2c and TLS upstreams, WebSocket and gRPC. An upstream that fails is left alone
for a while; requests that may be repeated go to another one then.

Upstreams are told of the client by X-Forwarded-For, -Proto and -Host. What
clients say in these themselves does not count, unless --forwarded-trust names
their address.`,
		Example: `  penstock reverse-proxy --to http://127.0.0.1:3000
  penstock reverse-proxy --to http://10.0.1.11:8080 --to http://10.0.1.12:8080 --health-path /readyz --listen :80
  penstock reverse-proxy --to h2c://127.0.0.1:50051 --tls-listen :8443
  penstock reverse-proxy --to https://www.example.org --host-upstream`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCommand(cmd, stopCh, serving, func() (serverFactory, error) { return own.factory() })
		},
	}
	own.addFlags(cmd.Flags())
	serving.AddFlags(cmd.Flags())
	return cmd
}

func (o *reverseProxyOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	repeatable(fs, &o.to, "to", ",", "`URL` of an upstream: http, https or h2c, ://HOST[:PORT] or ://unix:PATH; repeatable; required")
	fs.StringVar(&o.healthPath, "health-path", "", "`PATH` that upstreams are checked by, every 5 s (empty: by real requests alone)")
	fs.BoolVar(&o.hostUpstream, "host-upstream", false, "send the upstream's own name as Host, not the client's")
	fs.StringVar(&o.balance, "balance", string(upstream.P2C), "`POLICY` among upstreams: p2c, round_robin, least_request or hash (by client address)")
	repeatable(fs, &o.trust, "forwarded-trust", ",", "`CIDR` of proxies in front whose X-Forwarded-* and Forwarded count; repeatable")
}

// factory checks the flags.
func (o *reverseProxyOptions) factory() (serverFactory, error) {
	var errs []error
	if len(o.to) == 0 {
		errs = append(errs, errors.New("--to is missing; name an upstream, as --to http://127.0.0.1:3000"))
	}
	trust, err := parsePrefixes("--forwarded-trust", o.trust)
	if err != nil {
		errs = append(errs, err)
	}
	opts := proxy.ServiceOptions{Options: upstream.Options{
		Balance: upstream.Balance(o.balance), Health: upstream.Health{Path: o.healthPath},
	}}
	for _, url := range o.to {
		opts.Targets = append(opts.Targets, upstream.Target{URL: url})
	}
	var service *proxy.Service
	if len(o.to) > 0 {
		if service, err = proxy.NewService("upstream", opts); err != nil {
			errs = append(errs, fmt.Errorf("reverse-proxy: %w", err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return func(c CompletedConfig) (*serve.GenericServer, error) {
		h, err := proxy.New(proxy.Options{
			Service: service, HostUpstream: o.hostUpstream, Forwarded: proxy.Forwarded{Trust: trust}, ErrorLog: c.log,
		})
		if err != nil {
			return nil, err
		}
		c.stages.upstreams = func(now time.Time) []proxy.ServiceStatus { return []proxy.ServiceStatus{service.Status(now)} }
		s, err := newSingle(h)(c)
		if err == nil {
			err = addTunnels(s, "start-upstreams", service)
		}
		return s, err
	}, nil
}

// tunnelled is what passes requests on: a Service, or all of a configuration.
type tunnelled interface {
	Start(ctx context.Context)
	EndTunnels()
	WaitTunnels(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// addTunnels lets a server start what passes its requests on, by a hook of that
// name, and end it: once it takes no new requests the tunnels are told, and
// connections close at the end.
func addTunnels(s *serve.GenericServer, hook string, t tunnelled) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.OnDestroy(func() {
		cancel()
		ctx, cancel := context.WithTimeout(context.Background(), tunnelGrace)
		defer cancel()
		_ = t.Shutdown(ctx) // what is open still is cut with the process
	})
	return errors.Join(
		s.AddPreShutdownHook(hook, func(hc serve.HookContext) error { return endTunnels(hc, s, t) }),
		s.AddPostStartHook(hook, func(serve.HookContext) error {
			t.Start(ctx)
			return nil
		}))
}

// endTunnels tells tunnels to go away when the delay of the stop is over, and waits a
// while for them: what they run on ends with the last connection that is no tunnel.
func endTunnels(ctx context.Context, s *serve.GenericServer, t tunnelled) error {
	select {
	case <-s.Signals().AfterShutdownDelayDuration.Signaled():
	case <-ctx.Done():
	}
	t.EndTunnels()
	ctx, cancel := context.WithTimeout(ctx, tunnelGrace)
	defer cancel()
	_ = t.WaitTunnels(ctx) // what is open still is cut with the process
	return nil
}

// tunnelGrace is how long the end waits for tunnels that were told to go away.
const tunnelGrace = 3 * time.Second

// parsePrefixes reads addresses and ranges of a flag.
func parsePrefixes(flag string, values []string) (list []netip.Prefix, err error) {
	var errs []error
	for _, v := range values {
		p, err := netip.ParsePrefix(v)
		if err != nil {
			addr, aerr := netip.ParseAddr(v)
			if aerr != nil {
				errs = append(errs, fmt.Errorf("%s %q: write an address or a range, as 10.0.0.0/8", flag, v))
				continue
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, errors.Join(errs...)
}
