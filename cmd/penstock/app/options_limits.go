package app

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// LimitOptions are the flags of what a connection may take, in time and in bytes.
// Their defaults are those of serve.ServerOptions; zero means no limit, but for
// heads, whose parsers must have one.
type LimitOptions struct {
	HandshakeTimeout time.Duration
	HeadTimeout      time.Duration
	BodyIdleTimeout  time.Duration
	WriteIdleTimeout time.Duration
	MinRate          int
	IdleTimeout      time.Duration
	MaxConnAge       time.Duration
	MaxConnRequests  int

	MaxHeaderBytes Size
	MaxFields      int
	MaxTarget      Size

	MaxConnections int // 0: half of RLIMIT_NOFILE
	MaxPerClient   int

	KeepAlive    time.Duration
	UserTimeout  time.Duration
	PingInterval time.Duration
}

// What heads may be bounded to: less is of no use to any client, more is memory
// that a stranger takes before anything is known of him.
const (
	leastHead  = 256
	mostHead   = 1 << 20
	mostFields = 10_000
)

// defaultLimits are what the libraries take for zero, so that the help shows them.
func defaultLimits() LimitOptions {
	return LimitOptions{
		HandshakeTimeout: 10 * time.Second, HeadTimeout: 10 * time.Second, BodyIdleTimeout: time.Minute, WriteIdleTimeout: time.Minute,
		MinRate: 240, IdleTimeout: 75 * time.Second, MaxConnAge: time.Hour,
		MaxHeaderBytes: 64 << 10, MaxFields: 100, MaxTarget: 16 << 10, MaxPerClient: 256,
		KeepAlive: time.Minute, UserTimeout: 2 * time.Minute,
	}
}

func (o *LimitOptions) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.HandshakeTimeout, "tls-handshake-timeout", o.HandshakeTimeout, "limit of a TLS handshake, from accept on (0: none)")
	fs.DurationVar(&o.HeadTimeout, "read-header-timeout", o.HeadTimeout, "limit of a request head, from its first byte on; then 408 (0: none)")
	fs.DurationVar(&o.BodyIdleTimeout, "body-idle-timeout", o.BodyIdleTimeout, "wait for a byte of a request body; then 408 (0: no limit)")
	fs.DurationVar(&o.WriteIdleTimeout, "write-idle-timeout", o.WriteIdleTimeout, "wait for a client to take a byte of its answer; then it is cut (0: no limit)")
	fs.IntVar(&o.MinRate, "min-transfer-rate", o.MinRate, "least average rate of bodies and answers after 10 s, in `BYTES` a second (0: none)")
	fs.DurationVar(&o.IdleTimeout, "idle-timeout", o.IdleTimeout, "wait for the next request of a connection (0: no limit)")
	fs.DurationVar(&o.MaxConnAge, "max-connection-age", o.MaxConnAge, "age from which a connection ends with an answer, more or less 10 % (0: none)")
	fs.IntVar(&o.MaxConnRequests, "max-requests-per-connection", 0, "`N` requests, then a connection ends with an answer (0: any number)")
	fs.Var(&o.MaxHeaderBytes, "max-header-bytes", "`SIZE` of all fields of a request head; a larger one is answered 431")
	fs.IntVar(&o.MaxFields, "max-header-fields", o.MaxFields, "`N` fields of a request head; more are answered 431")
	fs.Var(&o.MaxTarget, "max-target", "`SIZE` of a request target; a larger one is answered 414")
	fs.IntVar(&o.MaxConnections, "max-connections", 0, "`N` connections at one time; near it the oldest idle ones are closed (0: half of the limit of open files)")
	fs.IntVar(&o.MaxPerClient, "max-connections-per-client", o.MaxPerClient, "`N` connections of an IPv4 address or IPv6 /64; loopback has no limit (0: nobody has)")
	fs.DurationVar(&o.KeepAlive, "tcp-keep-alive", o.KeepAlive, "silence after which the kernel asks a client whether it is there (0: never)")
	fs.DurationVar(&o.UserTimeout, "tcp-user-timeout", o.UserTimeout, "limit of sent bytes that are not acknowledged, and of a shut window (0: the system's)")
	fs.DurationVar(&o.PingInterval, "http2-ping-interval", 0, "silence of an HTTP/2 connection after which a PING asks whether its peer is there (0: never)")
}

func (o *LimitOptions) validate() (errs []error) {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"--tls-handshake-timeout", o.HandshakeTimeout},
		{"--read-header-timeout", o.HeadTimeout},
		{"--body-idle-timeout", o.BodyIdleTimeout},
		{"--write-idle-timeout", o.WriteIdleTimeout},
		{"--idle-timeout", o.IdleTimeout},
		{"--max-connection-age", o.MaxConnAge},
		{"--tcp-keep-alive", o.KeepAlive},
		{"--tcp-user-timeout", o.UserTimeout},
		{"--http2-ping-interval", o.PingInterval},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s %v: must not be negative", d.flag, d.value))
		}
	}
	if o.KeepAlive > 0 && o.KeepAlive < time.Second {
		errs = append(errs, fmt.Errorf("--tcp-keep-alive %v: must be a second or more, the kernel counts whole ones; or 0", o.KeepAlive))
	}
	for _, n := range []struct {
		flag  string
		value int
	}{
		{"--min-transfer-rate", o.MinRate},
		{"--max-requests-per-connection", o.MaxConnRequests},
		{"--max-connections", o.MaxConnections},
		{"--max-connections-per-client", o.MaxPerClient},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s %d: must not be negative", n.flag, n.value))
		}
	}
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{
		{"--max-header-bytes", int(o.MaxHeaderBytes), leastHead, mostHead},
		{"--max-header-fields", o.MaxFields, 1, mostFields},
		{"--max-target", int(o.MaxTarget), leastHead, mostHead},
	} {
		if n.value < n.least || n.value > n.most {
			errs = append(errs, fmt.Errorf("%s %d: give %d to %d", n.flag, n.value, n.least, n.most))
		}
	}
	return errs
}

// apply gives the engines their limits.
func (o *LimitOptions) apply(s *serve.ServerOptions) {
	s.HandshakeTimeout, s.ReadHeadTimeout = orNone(o.HandshakeTimeout), orNone(o.HeadTimeout)
	s.BodyIdleTimeout, s.WriteIdleTimeout = orNone(o.BodyIdleTimeout), orNone(o.WriteIdleTimeout)
	s.BodyMinRate, s.WriteMinRate = orNone(o.MinRate), orNone(o.MinRate)
	s.IdleTimeout, s.MaxConnAge, s.MaxRequestsPerConn = orNone(o.IdleTimeout), orNone(o.MaxConnAge), orNone(o.MaxConnRequests)
	s.MaxHeaderBytes, s.MaxHeaderFields, s.MaxTargetBytes = int(o.MaxHeaderBytes), o.MaxFields, int(o.MaxTarget)
	s.MaxConnections, s.MaxConnectionsPerClient = o.MaxConnections, orNone(o.MaxPerClient)
	s.PingInterval = orNone(o.PingInterval)
}

// applyTCP gives the sockets theirs.
func (o *LimitOptions) applyTCP(c *listener.Config) {
	c.KeepAliveIdle, c.UserTimeout = orNone(o.KeepAlive), orNone(o.UserTimeout)
}
