package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/h1"
	"github.com/penstock-edge/penstock/serve/h2"
	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// EventLoopMode says how connections are served.
type EventLoopMode int

const (
	// EventLoopOn serves on per-core event loops where the system and the
	// listener allow it.
	EventLoopOn EventLoopMode = iota
	// EventLoopOff serves each connection on a goroutine of its own: for
	// debugging, and what other systems have.
	EventLoopOff
)

// ServerOptions tune a Server. The zero value is a good server at the edge.
// Every field: if zero, the default it names; if negative, none.
type ServerOptions struct {
	// ReadHeadTimeout bounds a request head from its first byte (S-1). 10 s.
	ReadHeadTimeout time.Duration
	// IdleTimeout bounds the wait for the next request (S-4). 75 s.
	IdleTimeout time.Duration
	// BodyIdleTimeout bounds the wait for a byte of a request's body (S-2). 60 s.
	BodyIdleTimeout time.Duration
	// BodyMinRate is the least average rate of a body in bytes a second, after
	// 10 s (S-2). 240.
	BodyMinRate int
	// WriteIdleTimeout ends a connection whose peer takes nothing (S-3). 60 s.
	WriteIdleTimeout time.Duration
	// WriteMinRate is the least average rate of a waiting reader (S-3). 240.
	WriteMinRate int
	// HandshakeTimeout bounds TLS from accept on (S-6). 10 s.
	HandshakeTimeout time.Duration
	// MaxHandshakes bounds the handshakes under way, those that wait for their
	// peer included (S-6); each costs about 20 KiB. So it does the connections of
	// Proxies whose header has not come. 4096.
	MaxHandshakes int

	// MaxHeaderBytes bounds the field lines of a head (H1-12). 64 KiB.
	MaxHeaderBytes int
	// MaxHeaderFields bounds their number (H1-12). 100.
	MaxHeaderFields int
	// MaxTargetBytes bounds the request target (H1-12). 16 KiB.
	MaxTargetBytes int
	// MaxBodyBytes bounds a request body: a longer one fails its reader with
	// *http.MaxBytesError and is answered 413. None.
	MaxBodyBytes int64
	// MaxConnAge ends a connection with an answer after that time, +-10 % (H1-17);
	// of HTTP/2 with GOAWAY at the next request, behind which open streams finish. 1 h.
	MaxConnAge time.Duration
	// MaxRequestsPerConn ends a connection with the answer of that number; of
	// HTTP/2 with GOAWAY after so many, +-10 %, and what comes until it has
	// arrived is served. None.
	MaxRequestsPerConn int

	// EarlyData accepts 0-RTT over HTTP/3, for GET and HEAD without content; other
	// early requests are answered 425. What is replayed by somebody on the
	// way is served again.
	EarlyData bool
	// HTTP3ResetKey and HTTP3TokenKey seal stateless resets and address tokens of
	// HTTP/3. Processes that share an address need the same ones, and a restarted
	// process the former ones, or clients of the one before wait for their idle
	// timeout (RFC 9000 §10.3). If zero, random.
	HTTP3ResetKey, HTTP3TokenKey [32]byte

	// DisableHTTP2 leaves HTTP/1.1 alone: no ALPN h2, no prior knowledge.
	DisableHTTP2 bool
	// DisableHTTP1 leaves HTTP/2 alone: no ALPN http/1.1, and clear connections
	// must begin with HTTP/2's preface (for gRPC backends, say). Both set is an
	// error of Serve.
	DisableHTTP1 bool
	// MaxStreams bounds the streams of an HTTP/2 or HTTP/3 connection, and its
	// handlers that run (H2-1). 100.
	MaxStreams int
	// StreamWindow is what a peer may send on an HTTP/2 or HTTP/3 stream before its
	// handler reads; MaxStreamWindow what that grows to for a handler that keeps
	// up. 64 KiB, of HTTP/3 256 KiB; 1 MiB.
	StreamWindow, MaxStreamWindow int
	// ConnWindow is the same for an HTTP/2 connection. Credit is given as long as
	// less than it is unread in all streams, which can hold twice as much. 1 MiB.
	// Of HTTP/3 it bounds what is unread. 2 MiB.
	ConnWindow int
	// PingInterval is how long an HTTP/2 connection is silent before a PING asks
	// whether its peer is there; PingTimeout is how long it has for the answer.
	// None; 15 s.
	PingInterval, PingTimeout time.Duration

	// MaxConnections bounds all connections (S-4). Half of RLIMIT_NOFILE.
	MaxConnections int
	// MaxConnectionsPerClient bounds those of an IPv4 address or IPv6 /64,
	// loopback exempt (S-4). 256.
	MaxConnectionsPerClient int
	// ExemptClients are addresses that MaxConnectionsPerClient does not bound:
	// trusted proxies. None.
	ExemptClients []netip.Prefix

	// Proxies are the peers whose connections begin with a PROXY header (P-4): what
	// it says is what RemoteAddr and LocalAddr are from then on, also for
	// MaxConnectionsPerClient, which proxies have none of. HTTP/3 has no such
	// header. If nil, nobody's do.
	Proxies *listener.Proxies

	// Shards is the number of event loops. GOMAXPROCS.
	Shards int
	// EventLoop: see EventLoopMode.
	EventLoop EventLoopMode
	// RecycleRequests reuses requests, headers and writers: no allocation a
	// request, and the handler promises to keep nothing after it returns, also
	// not in goroutines of its own: what their late calls do is undefined. A
	// handler with a method RecycleRequests() bool decides for itself, and one
	// with RecyclesSomeRequests() bool with each request (handler.SomeRecycler).
	RecycleRequests bool
	// Tasks runs HTTP/1 and HTTP/2 handlers as tasks of the event loop: one that waits for an
	// upstream through handler/proxy then costs no goroutine's wake-up. It costs
	// each request 0.1 us: set it where most requests are proxied.
	Tasks bool
	// TaskSwitch, while it is true, is Tasks from the next request on: what is served
	// may change. If nil, Tasks counts alone.
	TaskSwitch *atomic.Bool

	// TLSPolicy tells which hosts may be asked for on a TLS connection, by the
	// server name of its handshake; others are answered 421, over every version
	// (T-5). If nil, all may.
	TLSPolicy TLSPolicy

	// ErrorLog receives what the server cannot answer with. slog.Default().
	ErrorLog *slog.Logger
	// BaseContext and ConnContext are as in http.Server.
	BaseContext func(net.Listener) context.Context
	ConnContext func(ctx context.Context, c net.Conn) context.Context
	// ConnState observes connections as in http.Server. It runs on the event
	// loop and must not block. A connection of HTTP/3 is no net.Conn: neither it
	// nor ConnContext hears of one. Of one that begins with a PROXY header they
	// hear behind that.
	ConnState func(net.Conn, http.ConnState)
}

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxHandshakes    = 4096
	defaultWriteIdle        = 60 * time.Second
)

func (o *ServerOptions) log() *slog.Logger {
	if o.ErrorLog != nil {
		return o.ErrorLog
	}
	return slog.Default()
}

func (o *ServerOptions) shards() int {
	if o.Shards > 0 {
		return o.Shards
	}
	return runtime.GOMAXPROCS(0)
}

// handshakeTimeout is 0 for none.
func (o *ServerOptions) handshakeTimeout() time.Duration {
	switch {
	case o.HandshakeTimeout == 0:
		return defaultHandshakeTimeout
	case o.HandshakeTimeout < 0:
		return 0
	}
	return o.HandshakeTimeout
}

func (o *ServerOptions) writeIdleTimeout() time.Duration {
	switch {
	case o.WriteIdleTimeout == 0:
		return defaultWriteIdle
	case o.WriteIdleTimeout < 0:
		return 0
	}
	return o.WriteIdleTimeout
}

func (o *ServerOptions) maxHandshakes() int64 {
	switch {
	case o.MaxHandshakes == 0:
		return defaultMaxHandshakes
	case o.MaxHandshakes < 0:
		return 1 << 62
	}
	return int64(o.MaxHandshakes)
}

// unlimited is what "none" is for a limit on bytes or fields that a parser
// must have: 2 GiB, beyond any head.
const unlimited = 1<<31 - 1

func noneIfNegative(n int) int {
	if n < 0 {
		return unlimited
	}
	return n
}

// h1Config is the engine's configuration for one shard's connections.
func (o *ServerOptions) h1Config(h http.Handler, face *http.Server, date *semantics.DateCache, alt *semantics.AltSvc) *h1.Config {
	return h1.Complete(h1.Config{
		Handler: h,
		Server:  face,
		AltSvc:  alt,
		Limits: h1.Limits{
			FieldBytes:  noneIfNegative(o.MaxHeaderBytes),
			Fields:      noneIfNegative(o.MaxHeaderFields),
			TargetBytes: noneIfNegative(o.MaxTargetBytes),
		},
		ReadHeadTimeout: o.ReadHeadTimeout,
		IdleTimeout:     o.IdleTimeout,
		BodyIdleTimeout: o.BodyIdleTimeout,
		BodyMinRate:     o.BodyMinRate,
		MaxConnAge:      o.MaxConnAge,
		MaxRequests:     max(0, o.MaxRequestsPerConn),
		MaxBodyBytes:    max(0, o.MaxBodyBytes),
		Recycle:         o.RecycleRequests,
		Tasks:           o.Tasks,
		TaskSwitch:      o.TaskSwitch,
		Date:            date,
		ErrorLog:        o.log(),
	})
}

// h3Config is the HTTP/3 engine's.
func (o *ServerOptions) h3Config(h http.Handler, face *http.Server, date *semantics.DateCache) h3.Config {
	return h3.Config{
		Handler:          h,
		Server:           face,
		FieldBytes:       noneIfNegative(o.MaxHeaderBytes),
		Fields:           noneIfNegative(o.MaxHeaderFields),
		TargetBytes:      noneIfNegative(o.MaxTargetBytes),
		MaxStreams:       o.MaxStreams,
		StreamWindow:     o.StreamWindow,
		MaxStreamWindow:  o.MaxStreamWindow,
		ConnWindow:       o.ConnWindow,
		MaxHandshakes:    o.MaxHandshakes,
		ReadHeadTimeout:  o.ReadHeadTimeout,
		IdleTimeout:      o.IdleTimeout,
		BodyIdleTimeout:  o.BodyIdleTimeout,
		BodyMinRate:      o.BodyMinRate,
		WriteIdleTimeout: o.WriteIdleTimeout,
		WriteMinRate:     o.WriteMinRate,
		MaxConnAge:       o.MaxConnAge,
		MaxRequests:      max(0, o.MaxRequestsPerConn),
		MaxBodyBytes:     max(0, o.MaxBodyBytes),
		Early:            o.EarlyData,
		ResetKey:         o.HTTP3ResetKey,
		TokenKey:         o.HTTP3TokenKey,
		Recycle:          o.RecycleRequests,
		Date:             date,
		ErrorLog:         o.log(),
	}
}

// h2Config is the HTTP/2 engine's.
func (o *ServerOptions) h2Config(h http.Handler, face *http.Server, date *semantics.DateCache, alt *semantics.AltSvc) *h2.Config {
	return h2.Complete(h2.Config{
		Handler:          h,
		Server:           face,
		AltSvc:           alt,
		FieldBytes:       noneIfNegative(o.MaxHeaderBytes),
		Fields:           noneIfNegative(o.MaxHeaderFields),
		TargetBytes:      noneIfNegative(o.MaxTargetBytes),
		MaxStreams:       o.MaxStreams,
		StreamWindow:     o.StreamWindow,
		MaxStreamWindow:  o.MaxStreamWindow,
		ConnWindow:       o.ConnWindow,
		ReadHeadTimeout:  o.ReadHeadTimeout,
		IdleTimeout:      o.IdleTimeout,
		BodyIdleTimeout:  o.BodyIdleTimeout,
		BodyMinRate:      o.BodyMinRate,
		WriteIdleTimeout: o.WriteIdleTimeout,
		WriteMinRate:     o.WriteMinRate,
		MaxConnAge:       o.MaxConnAge,
		MaxRequests:      max(0, o.MaxRequestsPerConn),
		MaxBodyBytes:     max(0, o.MaxBodyBytes),
		PingInterval:     max(0, o.PingInterval),
		PingTimeout:      o.PingTimeout,
		Recycle:          o.RecycleRequests,
		Tasks:            o.Tasks,
		TaskSwitch:       o.TaskSwitch,
		Date:             date,
		ErrorLog:         o.log(),
	})
}
