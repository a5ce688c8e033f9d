package h2

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// pool keeps the connections of one home. Its lock comes before that of a conn.
type pool struct {
	client *Client // immutable

	mu      sync.Mutex // guards the following
	conns   []*conn    // that take new streams, or may again
	dialing int
	waiting []*waiting // for a dial, or for a stream to end; first in, first out
	closed  bool
}

// waiting is an exchange that waits for a connection.
type waiting struct {
	waiter link.Waiter
	err    *message.Error // of the dial it has waited for
}

// acquire gives the exchange a place on a connection. deadline bounds the wait for
// one; zero: nothing does.
func (s *stream) acquire(deadline time.Time) *message.Error {
	p := s.pool
	for {
		p.mu.Lock()
		c := p.reserve(s.now)
		if c != nil {
			p.wakeOne() // there may be more places than this one
			p.mu.Unlock()
			s.conn = c
			return nil
		}
		if p.mayDial() {
			p.dialing++
			p.mu.Unlock()
			return s.dial()
		}
		w := &waiting{waiter: s.home.Waiter(s.ctx)}
		p.waiting = append(p.waiting, w)
		p.mu.Unlock()
		err := w.waiter.Wait(deadline)
		p.mu.Lock()
		p.waiting = slices.DeleteFunc(p.waiting, func(o *waiting) bool { return o == w })
		failed := w.err
		if err != nil {
			p.wakeOne() // this one may have been woken too
		}
		p.mu.Unlock()
		switch {
		case failed != nil:
			e := *failed
			return &e
		case err != nil && s.ctx.Err() == nil && isTimeout(err):
			return &message.Error{Kind: message.ConnectTimeout, Unsent: true, Err: err}
		case err != nil:
			return &message.Error{Kind: message.Cancelled, Unsent: true, Err: err}
		}
		s.now = time.Now()
	}
}

// reserve takes a place on a connection. mu is held.
func (p *pool) reserve(now time.Time) *conn {
	for _, c := range p.conns {
		if c.reserve(now) {
			return c
		}
	}
	return nil
}

// mayDial tells whether one more connection is to be made: not while one is being
// made that has a place for all who wait. mu is held.
func (p *pool) mayDial() bool {
	o := &p.client.opts
	if p.closed {
		return true
	}
	return len(p.conns)+p.dialing < o.MaxConns && len(p.waiting) >= p.dialing*o.MaxStreams
}

// wakeOne lets the first that waits look again. mu is held.
func (p *pool) wakeOne() {
	if len(p.waiting) > 0 {
		p.waiting[0].waiter.Wake()
	}
}

// dialled ends a dial: all who wait look again, or fail with it.
func (p *pool) dialled(c *conn, e *message.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	if c != nil && !p.closed {
		p.conns = append(p.conns, c)
	}
	for _, w := range p.waiting {
		w.err = e
		w.waiter.Wake()
	}
}

// drop takes out a connection that takes no new streams.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(o *conn) bool { return o == c })
	p.wakeOne() // it may dial
}

// freed: a stream has ended.
func (p *pool) freed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeOne()
}

func (p *pool) close() {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range conns {
		c.retire()
	}
}

func (p *pool) sweep(now time.Time) {
	p.mu.Lock()
	conns := slices.Clone(p.conns)
	p.mu.Unlock()
	idle := p.client.opts.IdleTimeout
	for _, c := range conns {
		if c.expired(now, idle) {
			p.drop(c)
			c.retire()
		}
	}
}

func (p *pool) idle() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c.streamsOpen() == 0 {
			n++
		}
	}
	return n
}

// dial makes a connection, and takes the first place on it. Whatever fails here,
// nothing was sent.
func (s *stream) dial() *message.Error {
	o := &s.client.opts
	count(o.Opened)
	l, e := s.connect()
	if e == nil && s.client.tls != nil {
		l, e = s.handshake(l)
	}
	if e != nil {
		count(o.Closed)
		e.Unsent = true
		if s.ctx.Err() != nil {
			e.Kind = message.Cancelled
			s.pool.dialled(nil, nil) // its client has left: others try themselves
		} else {
			s.pool.dialled(nil, e)
		}
		return e
	}
	s.now = time.Now()
	c := newConn(s.client, s.pool, l, s.now)
	c.open = 1 // ours, before others see it
	s.conn = c
	s.client.running.Add(1)
	// The connection outlives the request that has made it.
	s.home.Go(context.WithoutCancel(s.ctx), func(ctx context.Context) {
		defer s.client.running.Done()
		c.read(ctx)
	})
	s.pool.dialled(c, nil)
	return nil
}

func (s *stream) connect() (link.Conn, *message.Error) {
	o := &s.client.opts
	ctx := s.ctx
	if o.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.ConnectTimeout)
		defer cancel()
	}
	l, err := s.home.Dial(ctx, o.Network, o.Address)
	switch {
	case err != nil && (isTimeout(err) || ctx.Err() != nil):
		return nil, &message.Error{Kind: message.ConnectTimeout, Err: err}
	case err != nil:
		return nil, &message.Error{Kind: message.ConnectRefused, Err: err}
	}
	l.Attach(s.ctx) // Dial has attached it to ctx, which ends with the timeout
	return l, nil
}

func (s *stream) handshake(raw link.Conn) (link.Conn, *message.Error) {
	l, err := link.Handshake(raw, s.client.tls, s.client.opts.HandshakeTimeout)
	if err != nil {
		raw.Detach()
		return nil, &message.Error{Kind: message.HandshakeFailed, Err: err}
	}
	if l.NegotiatedProtocol() != "h2" {
		l.Close()
		l.Detach()
		return nil, &message.Error{Kind: message.HandshakeFailed, Err: errNoALPN}
	}
	return l, nil
}

func count(f func()) {
	if f != nil {
		f()
	}
}

// preface is what we say first: no push, our windows, the largest head we take.
func preface(o *Options) []byte {
	b := append([]byte(nil), frame.Preface...)
	b = frame.AppendSettings(b,
		frame.Setting{ID: frame.SettingEnablePush, Value: 0},
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: streamWindow},
		frame.Setting{ID: frame.SettingMaxHeaderListSize, Value: uint32(o.MaxHead)},
	)
	return frame.AppendWindowUpdate(b, 0, uint32(o.MaxStreams*streamWindow-defaultWindow))
}
