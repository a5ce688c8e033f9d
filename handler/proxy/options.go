package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Options shape the proxy of one route.
type Options struct {
	// Service is where requests go. Required.
	Service *Service
	// Route is the name in the log of failures. If zero, the service's.
	Route string

	// HostUpstream sends the upstream's own name as Host. If false, the client's is
	// kept.
	HostUpstream bool
	// Rewrite changes the path of requests. If zero, it goes on as it came.
	Rewrite Rewrite
	// Forwarded says what upstreams are told of the client, and whose word counts.
	Forwarded Forwarded
	// NoVia leaves Via out of requests: some upstreams stop compressing on it.
	NoVia bool
	// Upgrades are the protocols that a client may upgrade to. If nil, websocket. If
	// empty, none.
	Upgrades []string

	// RequestTimeout bounds a request with all attempts, to the end of the answer;
	// tunnels are not bounded by it. If zero or negative, none.
	RequestTimeout time.Duration
	// HeadTimeout bounds the wait for the head of an answer. If zero, the service's.
	// If negative, none.
	HeadTimeout time.Duration
	// IdleTimeout bounds each wait for bytes of an answer. If zero, the service's. If
	// negative, none.
	IdleTimeout time.Duration
	// TunnelIdleTimeout ends a tunnel through which nothing has gone for so long. If
	// zero, 1 h. If negative, none.
	TunnelIdleTimeout time.Duration

	// BufferRequest reads a request's body of up to so many bytes before an upstream
	// is asked: a slow client holds none then. Longer ones, and those of unknown
	// length, are passed on as they come. If zero or negative, none but small ones
	// (16 KiB).
	BufferRequest int64
	// ReplayBytes is the most of a request's body that is kept for a further
	// attempt. Where the service hedges, one of known length up to that is read whole
	// before the first. If zero, 64 KiB. If negative, none.
	ReplayBytes int64

	// ErrorLog is told of failures, at level Warn; of those that a client has made,
	// at Debug. If nil, slog.Default().
	ErrorLog *slog.Logger
}

const (
	defaultTunnelIdle  = time.Hour // WebSockets ping rarely (front.md section 2)
	defaultReplayBytes = 64 << 10  // TestReplayBytes
	// forwardExpect: up to where the proxy answers 100 (Continue) itself; longer
	// bodies, and those of unknown length, wait for the upstream's.
	forwardExpect = 64 << 10
)

func (o Options) complete() Options {
	if o.Route == "" && o.Service != nil {
		o.Route = o.Service.name
	}
	if o.Upgrades == nil {
		o.Upgrades = []string{"websocket"}
	}
	if o.ReplayBytes == 0 {
		o.ReplayBytes = defaultReplayBytes
	}
	if o.ErrorLog == nil {
		o.ErrorLog = slog.Default()
	}
	o.TunnelIdleTimeout = limit(o.TunnelIdleTimeout, defaultTunnelIdle)
	return o
}

// Validate reports all that is wrong, joined.
func (o *Options) Validate() error {
	var errs []error
	if o.Service == nil {
		errs = append(errs, ErrNoService)
	}
	for _, p := range o.Upgrades {
		if !semantics.IsToken(p) {
			errs = append(errs, fmt.Errorf("upgrade to %q: a protocol's name is a token (RFC 9110 §5.6.2)", p))
		}
	}
	if err := o.Rewrite.validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
