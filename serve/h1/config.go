package h1

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// Limits bound a request head; see wire.Limits.
type Limits = wire.Limits

// Config is what the connections of one listener share. Durations: if zero,
// the default named in limits.go; if negative, none.
type Config struct {
	// Handler answers the requests. Required.
	Handler http.Handler
	// Server is the value of http.ServerContextKey: settings to look at, it
	// never serves. May be nil.
	Server *http.Server
	// Limits bound a head; zero fields are defaults.
	Limits Limits

	ReadHeadTimeout time.Duration // whole head, from its first byte: 10 s
	IdleTimeout     time.Duration // between requests: 75 s
	BodyIdleTimeout time.Duration // without a byte of the body: 60 s
	BodyMinRate     int           // bytes a second on average after 10 s: 240; negative: none
	NewConnGrace    time.Duration // what a new connection gets for its first request when the server stops: 5 s
	MaxConnAge      time.Duration // then the next answer closes: 1 h +-10 %
	MaxRequests     int           // of one connection; zero: any number
	MaxBodyBytes    int64         // of one request; zero: any size

	// Preface, if set, is given a connection that begins with HTTP/2's preface,
	// with the bytes that were read, whose buffer is the callee's then; the engine
	// is over. If nil, such a begin is refused with 505 as what it is in HTTP/1.
	Preface func(host Host, read *bufpool.Buffer)

	// Recycle reuses requests, headers and writers: the handler promises to
	// keep nothing of a request after it returns. A handler with a method
	// RecycleRequests() bool decides for itself. One with RecyclesSomeRequests()
	// bool promises that for the requests alone for which it has called MayRecycle
	// of their ResponseWriter before it returned.
	Recycle bool
	// Tasks runs handlers as tasks of the event loop: while one waits for an
	// upstream connection of its shard, it costs neither a goroutine's wake-up nor
	// the loop's time. It costs each request 0.1 us (BenchmarkTask of serve/shard).
	Tasks bool
	// TaskSwitch says the same of each request anew. If nil, Tasks counts alone.
	TaskSwitch *atomic.Bool

	Date     *semantics.DateCache
	AltSvc   *semantics.AltSvc // of answers whose handler says none; nil: none
	ErrorLog *slog.Logger
	Counters *Counters

	recycleSome bool // of a handler that decides with each request
	pools       *pools
}

// recycler is the handler's own word on Config.Recycle.
type recycler interface{ RecycleRequests() bool }

// someRecycler is one that decides with each request, by MayRecycle.
type someRecycler interface{ RecyclesSomeRequests() bool }

// recycles tells whether requests may come back at all.
func (cfg *Config) recycles() bool { return cfg.Recycle || cfg.recycleSome }

// tasks tells whether the next handler is to be a task.
func (cfg *Config) tasks() bool {
	return cfg.Tasks || cfg.TaskSwitch != nil && cfg.TaskSwitch.Load()
}

// Complete returns cfg ready for NewConn: defaults set, nothing shared with
// the caller's struct but what it points to.
func Complete(cfg Config) *Config {
	c := cfg.withDefaults()
	if c.Date == nil {
		c.Date = new(semantics.DateCache)
	}
	if c.ErrorLog == nil {
		c.ErrorLog = slog.Default()
	}
	if c.Counters == nil {
		c.Counters = new(Counters)
	}
	c.pools = new(pools)
	if r, ok := c.Handler.(recycler); ok {
		c.Recycle = r.RecycleRequests()
	}
	if r, ok := c.Handler.(someRecycler); ok {
		c.recycleSome = r.RecyclesSomeRequests()
	}
	return &c
}

// Attachment is what is known of one connection before its first byte.
type Attachment struct {
	Context context.Context // parent of the requests' contexts; nil: Background
	TLS     *tls.ConnectionState
}
