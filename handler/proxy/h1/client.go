package h1

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// Options say where the upstream is and what it may cost.
type Options struct {
	// Network and Address are what net.Dial takes: tcp or unix. If Network is
	// zero, tcp.
	Network, Address string
	// TLS is the configuration of a TLS connection; it is copied. The server's
	// certificate is verified against ServerName; if that is zero, against the host
	// of Address. MinVersion, if zero, TLS 1.2. ClientSessionCache, if nil, one of
	// 64 sessions. NextProtos is http/1.1. If nil, the connection is clear.
	TLS *tls.Config

	// ConnectTimeout bounds connecting. If zero, 3 s. If negative, none.
	ConnectTimeout time.Duration
	// HandshakeTimeout bounds the TLS handshake. If zero, 5 s. If negative, none.
	HandshakeTimeout time.Duration
	// ExpectTimeout is how long a body is held back for 100 (Continue). If zero,
	// 1 s. If negative, for ever.
	ExpectTimeout time.Duration

	// MaxIdle connections are kept for each home; up to 1024 more for a second, by
	// Sweep. If zero, 64. If negative, none.
	MaxIdle int
	// IdleTimeout is how long one is kept. If zero, 60 s. If negative, for ever.
	IdleTimeout time.Duration
	// MaxAge is how long a connection is used, +-10 %. If zero, 1 h. If negative,
	// for ever.
	MaxAge time.Duration

	// MaxHead bounds the heads of one answer in sum, informational ones included,
	// in bytes. Each exchange may hold that much. If zero or negative, 64 KiB.
	MaxHead int
	// Limits are those of fields and trailers; its zero fields have defaults.
	// FieldBytes is at most MaxHead.
	Limits wire.Limits

	// Opened is called before a connection is dialled, Closed when it is closed or
	// could not be made: their difference is what counts against the endpoint's
	// limit of connections. Any goroutine. If nil, nobody counts.
	Opened, Closed func()
}

// Client is the HTTP/1.1 client of one upstream endpoint. All methods are for any
// goroutine.
type Client struct {
	// Immutable after New.
	opts Options
	tls  *tls.Config // nil: clear

	exchanges sync.Pool      // of *exchange
	pumps     sync.WaitGroup // goroutines of request bodies

	pools  atomic.Pointer[[]*pool] // by Home.Index
	mu     sync.Mutex              // guards the growth of pools, and the following
	closed bool
}

// New makes a client. It connects only when asked to.
func New(opts Options) *Client {
	c := &Client{opts: opts.withDefaults()}
	c.exchanges.New = func() any { return &exchange{client: c} }
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
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(sessions)
	}
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}

// Do sends req from home and returns when the head of the final answer is here.
// The exchange must be closed. An error is a *message.Error. ctx is the request's,
// and home where it runs: its end ends all waits, and the connection.
func (c *Client) Do(ctx context.Context, home link.Home, req *message.Request) (message.Exchange, error) {
	x := c.exchanges.Get().(*exchange)
	x.ctx, x.home, x.req, x.pool, x.now = ctx, home, req, c.poolOf(home), req.Now
	if x.now.IsZero() {
		x.now = time.Now()
	}
	answered := false
	defer func() {
		if !answered { // also when a body or Informational panics
			x.close()
		}
	}()
	if e := x.run(); e != nil {
		return nil, e
	}
	answered = true
	x.handle.x = x
	return x.handle, nil
}

// Close closes the idle connections and keeps none from now on. Exchanges that
// run end as they would; one that begins afterwards has a connection to itself.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range *c.pools.Load() {
		closeAll(p.close())
	}
}

// Wait waits for the goroutines that read request bodies. They end with their
// requests' handlers; call it when those have returned, after Close.
func (c *Client) Wait() { c.pumps.Wait() }

// Sweep closes the idle connections whose time is over. Its caller has a timer.
func (c *Client) Sweep(now time.Time) {
	for _, p := range *c.pools.Load() {
		closeAll(p.expired(now))
	}
}

// Idle is the number of connections that are kept.
func (c *Client) Idle() (n int) {
	for _, p := range *c.pools.Load() {
		n += p.len()
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
			grown = append(grown, &pool{opts: &c.opts, closed: c.closed})
		}
		c.pools.Store(&grown)
		pools = grown
	}
	return pools[i]
}
