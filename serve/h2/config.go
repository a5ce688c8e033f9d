package h2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Config is what the connections of one listener share. If a field is zero,
// the default named in limits.go; if negative, none.
type Config struct {
	// Handler answers the requests. Required.
	Handler http.Handler
	// Server is the value of http.ServerContextKey: settings to look at, it
	// never serves. May be nil.
	Server *http.Server

	FieldBytes  int // of a request's field lines in sum, as HPACK counts them: 64 KiB
	Fields      int // their number: 100
	TargetBytes int // of :path: 16 KiB

	MaxStreams      int // at one time, and handlers that run: 100
	StreamWindow    int // bytes a peer may send on a stream before its handler reads: 64 KiB
	MaxStreamWindow int // for a handler that keeps up: 1 MiB
	ConnWindow      int // of the connection; credit is given while less than it is unread: 1 MiB

	ReadHeadTimeout  time.Duration // of a begun frame or header block: 10 s
	IdleTimeout      time.Duration // without a stream: 75 s
	BodyIdleTimeout  time.Duration // a handler waits for a byte of the body: 60 s
	BodyMinRate      int           // bytes a second on average after 10 s: 240
	WriteIdleTimeout time.Duration // a peer takes nothing of what waits for it: 60 s
	WriteMinRate     int           // bytes a second at which it earns more time: 240
	MaxConnAge       time.Duration // then GOAWAY: 1 h +-10 %
	MaxRequests      int           // of one connection, then GOAWAY, +-10 %; zero: any number
	MaxBodyBytes     int64         // of one request; zero: any size
	PingInterval     time.Duration // a PING after so long without a byte; zero: none
	PingTimeout      time.Duration // then its answer is due: 15 s

	// Recycle reuses requests, headers and writers: the handler promises to
	// keep nothing of a request after it returns. A handler with a method
	// RecycleRequests() bool decides for itself. One with RecyclesSomeRequests()
	// bool promises that for the requests alone for which it has called MayRecycle
	// of their ResponseWriter before it returned.
	Recycle bool
	// Tasks runs handlers as tasks of the event loop: while one waits for an
	// upstream, its connection and all others go on, without a goroutine of Go's
	// scheduler. The portable form has none.
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
