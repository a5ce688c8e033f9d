package h3

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Config is what the connections of one server share. If a field is zero, the
// default named in limits.go; if negative, none.
type Config struct {
	// Handler answers the requests. Required.
	Handler http.Handler
	// Server is the value of http.ServerContextKey: settings to look at, it
	// never serves. May be nil.
	Server *http.Server
	// Base is the parent of the requests' contexts; nil: Background.
	Base context.Context

	FieldBytes  int // of a request's field lines in sum, as QPACK counts them: 64 KiB
	Fields      int // their number: 100
	TargetBytes int // of :path: 16 KiB

	MaxStreams      int // requests of a connection at one time, and handlers that run: 100
	StreamWindow    int // bytes a peer may send on a stream before its handler reads: 256 KiB
	MaxStreamWindow int // for a handler that keeps up: 1 MiB
	ConnWindow      int // of the connection: 2 MiB

	HandshakeTimeout time.Duration // without a byte; twice that in all: 5 s
	QUICIdleTimeout  time.Duration // without a packet: 30 s
	IdleTimeout      time.Duration // without a request, however alive the peer: 75 s
	ReadHeadTimeout  time.Duration // of a stream's head: 10 s
	BodyIdleTimeout  time.Duration // a handler waits for a byte of the body: 60 s
	BodyMinRate      int           // bytes a second on average after 10 s: 240
	WriteIdleTimeout time.Duration // a peer takes nothing of what waits for it: 60 s
	WriteMinRate     int           // bytes a second at which it earns more time: 240
	MaxConnAge       time.Duration // then GOAWAY: 1 h +-10 %
	MaxRequests      int           // of one connection, then GOAWAY, +-10 %; zero: any number
	MaxBodyBytes     int64         // of one request; zero: any size

	// RetryAbove is how many open handshakes, and RetryRate how many new ones a
	// second, make clients prove their address first (Retry, RFC 9000 §8.1.2;
	// 256 and 1000.
	RetryAbove, RetryRate int
	// MaxHandshakes bounds open handshakes; what comes above is refused: 4096.
	MaxHandshakes int
	// MaxHandshakesPerPrefix bounds those of an IPv4 /24 or IPv6 /48;
	// zero: any number, since addresses may be forged.
	MaxHandshakesPerPrefix int

	// Admit is asked once the address of a new connection is proved, and Release
	// told when one that was admitted has gone. Both may be nil.
	Admit   func(netip.Addr) bool
	Release func(netip.Addr)
	// Shed tells that memory is short: connections end with the requests they have
	// (S-7). It is asked with each request. May be nil.
	Shed func() bool
	// ConnState observes connections: StateNew, StateActive, StateIdle and
	// StateClosed, as in http.Server. It must not block. May be nil.
	ConnState func(remote net.Addr, state http.ConnState)

	// Early accepts 0-RTT: GET and HEAD without content reach the handler, others
	// are answered 425 (Q-7, RFC 8470). What is replayed is served again.
	Early bool

	// Recycle reuses requests, headers and writers: the handler promises to
	// keep nothing of a request after it returns. A handler with a method
	// RecycleRequests() bool decides for itself. One with RecyclesSomeRequests()
	// bool promises that for the requests alone for which it has called MayRecycle
	// of their ResponseWriter before it returned.
	Recycle bool

	// ResetKey and TokenKey seal stateless resets and address tokens. Servers
	// that share an address share them, and a restarted one keeps them (RFC 9000
	// §10.3.2, §8.1.4). If zero, random.
	ResetKey, TokenKey [32]byte

	Date     *semantics.DateCache
	ErrorLog *slog.Logger
	Counters *Counters

	recycleSome bool // of a handler that decides with each request
	pools       *pools
}

func (cfg *Config) shed() bool { return cfg.Shed != nil && cfg.Shed() }

// recycler is the handler's own word on Config.Recycle.
type recycler interface{ RecycleRequests() bool }

// someRecycler is one that decides with each request, by MayRecycle.
type someRecycler interface{ RecyclesSomeRequests() bool }

// recycles tells whether requests may come back at all.
func (cfg *Config) recycles() bool { return cfg.Recycle || cfg.recycleSome }

// Complete returns cfg ready for Listen: defaults set, nothing shared with the
// caller's struct but what it points to.
func Complete(cfg Config) *Config {
	c := cfg.withDefaults()
	if c.Base == nil {
		c.Base = context.Background()
	}
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
