package h1

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
)

// conn is one connection to the upstream.
type conn struct {
	link link.Conn
	opts *Options

	// Owned by its exchange, or by the pool.
	served bool      // it has carried an exchange before
	until  time.Time // the end of its age; zero: none
	since  time.Time // when it became idle
}

// expired tells whether an idle connection must not be used any more.
func (k *conn) expired(now time.Time) bool {
	return k.old(now) || k.opts.IdleTimeout > 0 && now.Sub(k.since) >= k.opts.IdleTimeout
}

func (k *conn) old(now time.Time) bool { return !k.until.IsZero() && !now.Before(k.until) }

// close is called once, by who owns the connection.
func (k *conn) close() {
	k.link.Close()
	k.opts.count(k.opts.Closed)
}

func (o *Options) count(f func()) {
	if f != nil {
		f()
	}
}

// acquire gives the exchange a connection: the most recent idle one that is fit
// for use, or a new one. What may become a tunnel has one that was used for nothing
// else (rule H1-15).
func (x *exchange) acquire() *message.Error {
	if x.req.Protocol != "" {
		x.handle = new(handle)
		return x.dial()
	}
	for {
		var k *conn
		if k = x.pool.pop(&x.handle); k == nil {
			return x.dial()
		}
		if k.expired(x.now) || k.link.Stale() {
			k.close()
			continue
		}
		k.link.Attach(x.ctx)
		x.conn = k
		return nil
	}
}

// dial makes a new connection. Whatever fails here, nothing was sent.
func (x *exchange) dial() *message.Error {
	opts := &x.client.opts
	opts.count(opts.Opened)
	l, e := x.connect()
	if e == nil && x.client.tls != nil {
		l, e = x.handshake(l)
	}
	if e != nil {
		opts.count(opts.Closed)
		e.Unsent = true
		if x.ctx.Err() != nil {
			e.Kind = message.Cancelled
		}
		return e
	}
	x.now = time.Now()
	x.conn = &conn{link: l, opts: opts}
	if opts.MaxAge > 0 {
		x.conn.until = x.now.Add(jitteredAge(opts.MaxAge))
	}
	return nil
}

func (x *exchange) connect() (link.Conn, *message.Error) {
	opts := &x.client.opts
	ctx := x.ctx
	if opts.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.ConnectTimeout)
		defer cancel()
	}
	l, err := x.home.Dial(ctx, opts.Network, opts.Address)
	switch {
	case err != nil && (isTimeout(err) || ctx.Err() != nil):
		return nil, &message.Error{Kind: message.ConnectTimeout, Err: err}
	case err != nil:
		return nil, &message.Error{Kind: message.ConnectRefused, Err: err}
	}
	// Dial has attached it to ctx, which ends with the timeout.
	l.Detach()
	if l.Stale() {
		l.Close()
		return nil, &message.Error{Kind: message.Malformed, Err: fmt.Errorf("answer before the request: %w", link.ErrStale)}
	}
	l.Attach(x.ctx)
	return l, nil
}

func (x *exchange) handshake(raw link.Conn) (link.Conn, *message.Error) {
	l, err := link.Handshake(raw, x.client.tls, x.client.opts.HandshakeTimeout)
	if err != nil {
		raw.Detach()
		return nil, &message.Error{Kind: message.HandshakeFailed, Err: err}
	}
	return l, nil
}
