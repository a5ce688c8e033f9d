package h1

import (
	"sync"
	"time"
)

// pool keeps the idle connections of one home, the most recent on top: the others
// get old together, and are closed. Its lock is taken twice in an exchange, by
// goroutines of one home (BenchmarkPool).
type pool struct {
	// Immutable.
	opts *Options

	mu      sync.Mutex // guards the following
	idle    []*conn
	closed  bool
	handles []handle // of the present slab, those not given out
}

// pop takes the most recent connection; nil: there is none. Whether it may be
// used is still to be seen. With the same turn of the lock the caller gets a handle,
// if it has none. Handles are made by the slab, eight bytes each, and not used
// again: that is the price of a Close that may come late.
func (p *pool) pop(h **handle) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *h == nil {
		if len(p.handles) == 0 {
			p.handles = make([]handle, slabHandles)
		}
		*h, p.handles = &p.handles[0], p.handles[1:]
	}
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	k := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return k
}

// push keeps a connection. False: it is one too many.
func (p *pool) push(k *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.opts.MaxIdle == 0 || len(p.idle) >= p.opts.MaxIdle+maxSurplus {
		return false
	}
	p.idle = append(p.idle, k)
	return true
}

// expired takes out the connections that must not be used any more, and those that
// are more than MaxIdle and have not been needed for a while. The oldest are at the
// bottom.
func (p *pool) expired(now time.Time) (out []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	surplus := len(p.idle) - p.opts.MaxIdle
	for i, k := range p.idle {
		if k.expired(now) || i < surplus && now.Sub(k.since) >= surplusTime {
			out = append(out, k)
		} else {
			kept = append(kept, k)
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	return out
}

// close takes out all connections, and keeps none from now on.
func (p *pool) close() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	out := p.idle
	p.idle = nil
	return out
}

func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func closeAll(conns []*conn) {
	for _, k := range conns {
		k.close()
	}
}
