package h2

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
)

// Client is the HTTP/2 client of one upstream endpoint. All methods are for any
// goroutine.
type Client struct {
	// Immutable after New.
	opts Options
	tls  *tls.Config // nil: clear

	running sync.WaitGroup // readers and pumps

	pools  atomic.Pointer[[]*pool] // by Home.Index
	mu     sync.Mutex              // guards the growth of pools, and the following
	closed bool
}

// New makes a client. It connects only when asked to.
func New(opts Options) *Client {
	c := &Client{opts: opts.withDefaults()}
	c.pools.Store(new([]*pool))
	if opts.TLS != nil {
		c.tls = clientTLS(opts.TLS, opts.Address)
	}
	return c
}

func clientTLS(from *tls.Config, address string) *tls.Config {
	const sessions = 64
	cfg := from.Clone()
	if cfg.ServerName == "" {
		if host, _, err := net.SplitHostPort(address); err == nil {
			cfg.ServerName = host
		}
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12) // RFC 9113 §9.2
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
	}
	cfg.NextProtos = []string{"h2"}
	return cfg
}

// Do sends req from home and returns when the head of the final answer is here.
// The exchange must be closed. An error is a *message.Error. ctx is the request's,
// and home where it runs: its end ends all waits, and the stream.
func (c *Client) Do(ctx context.Context, home link.Home, req *message.Request) (message.Exchange, error) {
	s := &stream{client: c, ctx: ctx, home: home, req: req}
	answered := false
	defer func() {
		if !answered { // also when a body or Informational panics
			s.close()
		}
	}()
	if e := s.run(); e != nil {
		return nil, e
	}
	answered = true
	return &handle{s}, nil
}

// Close closes the connections without streams, and opens no stream on the others
// from now on. An exchange that begins afterwards has a connection to itself.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range *c.pools.Load() {
		p.close()
	}
}

// Wait waits for what reads connections and request bodies. They end with the
// exchanges; call it after Close.
func (c *Client) Wait() { c.running.Wait() }

// Sweep closes the connections that were idle for too long. Its caller has a timer.
func (c *Client) Sweep(now time.Time) {
	for _, p := range *c.pools.Load() {
		p.sweep(now)
	}
}

// Idle is the number of connections without streams.
func (c *Client) Idle() (n int) {
	for _, p := range *c.pools.Load() {
		n += p.idle()
	}
	return n
}

// poolOf is the pool of a home. There are as many as homes have been seen.
func (c *Client) poolOf(home link.Home) *pool {
	i := home.Index()
	if pools := *c.pools.Load(); i < len(pools) {
		return pools[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pools := *c.pools.Load()
	if i >= len(pools) {
		grown := append(make([]*pool, 0, i+1), pools...)
		for len(grown) <= i {
			grown = append(grown, &pool{client: c, closed: c.closed})
		}
		c.pools.Store(&grown)
		pools = grown
	}
	return pools[i]
}
