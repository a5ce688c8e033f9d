package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// HTTP/3 does not go through the event loop: quic-go has goroutines of its own, so
// each stream is one too. What they count is a worker's, under a lock.

// h3Run is a run over QUIC.
type h3Run struct {
	run  *run
	tls  *tls.Config
	quic *quic.Config

	// mu guards the worker: its stats, its pacer, and what is left to ask.
	mu    sync.Mutex
	w     *worker
	ended bool
	wake  sync.Cond // something has changed for who waits to begin
	// changed is closed when the measured time begins: it may have another pacer.
	changed chan struct{}

	turn chan struct{} // held by the stream that waits for the next start
}

func quicConfig(p *plan) *quic.Config {
	return &quic.Config{
		Versions: []quic.Version{quic.Version1}, HandshakeIdleTimeout: p.Timeout, MaxIdleTimeout: max(p.Timeout, time.Minute),
		// Flow control is not what is measured.
		InitialStreamReceiveWindow: 8 << 20, MaxStreamReceiveWindow: 64 << 20,
		InitialConnectionReceiveWindow: 64 << 20, MaxConnectionReceiveWindow: 512 << 20,
	}
}

// probeH3 is probe over QUIC.
func (p *plan) probeH3(ctx context.Context) (probed, error) {
	if !p.secure {
		return probed{}, errors.New("bench: HTTP/3 is over TLS alone; give an https:// URL")
	}
	addr, err := net.ResolveUDPAddr("udp", p.host)
	if err != nil {
		return probed{}, fmt.Errorf("bench: %w", err)
	}
	p.address = addr.AddrPort()
	p.address = netip.AddrPortFrom(p.address.Addr().Unmap(), p.address.Port())
	q, err := quic.DialAddr(ctx, p.address.String(), p.tls, quicConfig(p))
	if err != nil {
		return probed{}, fmt.Errorf("bench: HTTP/3 with %s over UDP: %w", p.address, err)
	}
	defer func() { _ = q.CloseWithError(h3NoError, "") }()
	state := q.ConnectionState().TLS
	return probed{address: p.address.String(), protocol: H3, tls: &state}, nil
}

func runH3(ctx context.Context, p *plan, first probed) (*Result, error) {
	env := readEnvironment()
	p.base = time.Now()
	p.Workers = 1 // as far as counting goes
	r := &run{plan: p}
	r.schedule()
	h := newH3Run(r)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { r.stopped.Store(true) })
	var streams sync.WaitGroup
	for range p.Connections {
		streams.Go(func() { h.connection(ctx) })
	}
	h.clock()
	stop()
	cancel() // what is under way is abandoned
	streams.Wait()
	return r.collect.result(first, env), nil
}

func newH3Run(r *run) *h3Run {
	h := &h3Run{run: r, tls: r.plan.tls, quic: quicConfig(r.plan), turn: make(chan struct{}, 1), changed: make(chan struct{})}
	h.wake.L = &h.mu
	h.w = &worker{plan: r.plan, run: r, stats: newStats(), left: -1}
	r.workers = []*worker{h.w}
	r.collect = newCollector(r)
	h.w.begin(0)
	// Without a warm-up the measured time begins here: what is left to ask must be
	// known before the first connection asks.
	h.w.phase(r.plan.now())
	return h
}

// clock does what is due by time, until the run is over.
func (h *h3Run) clock() {
	const step = 5 * time.Millisecond
	ticks := time.NewTicker(step)
	defer ticks.Stop()
	for {
		h.mu.Lock()
		w, now := h.w, h.run.plan.now()
		w.now = now
		measured := w.measured
		if w.phase(now); w.measured != measured {
			close(h.changed)
			h.changed = nil // there is no further phase
		}
		w.tick.pass(w, now)
		over := h.run.over(now, w)
		if over {
			h.ended = true
			w.stats.abandoned += w.inFlight
			w.countLate(now)
			w.tick.last(w)
		}
		h.wake.Broadcast()
		h.mu.Unlock()
		if over {
			return
		}
		<-ticks.C
	}
}

// next begins the next request on a stream that is free, once it is due; false:
// there is none any more.
//
// One stream at a time waits for the next start, the others for that one: a start
// is taken when its time has come and not before, so that one of the warm-up cannot
// begin in the measured time, and the end of the run finds nobody asleep.
func (h *h3Run) next(ctx context.Context, x *exchange) (t *target, ok bool) {
	asked := h.run.plan.now()
	if h.run.plan.Rate > 0 {
		select {
		case h.turn <- struct{}{}:
			defer func() { <-h.turn }()
		case <-ctx.Done():
			return nil, false
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.w
	for {
		now := w.plan.now()
		switch {
		case h.ended || ctx.Err() != nil:
			return nil, false
		case w.left == 0, w.quiet, now >= h.run.endsAt():
			h.wake.Wait() // for the measured time, or the end
			continue
		case w.plan.Rate == 0:
			return h.start(x, now, now), true
		}
		if w.pacer.due(now) > 0 {
			at := w.pacer.take()
			w.stats.lag.record(now - max(at, asked))
			return h.start(x, at, now), true
		}
		wait, changed := time.Duration(w.pacer.at(w.pacer.next)-now), h.changed
		h.mu.Unlock()
		sleep(ctx, wait, changed)
		h.mu.Lock()
	}
}

// sleep waits for d, ctx's end, or the next phase.
func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-changed:
	}
}

// start counts a request that begins now. h.mu is held.
func (h *h3Run) start(x *exchange, intended, now int64) *target {
	w := h.w
	if w.left > 0 {
		w.left--
	}
	w.inFlight++
	x.intended, x.begun, x.head, x.status, x.body, x.got, x.length = intended, now, 0, 0, x.body[:0], 0, -1
	t := &w.plan.targets[w.turn]
	w.turn = (w.turn + 1) % len(w.plan.targets)
	return t
}

// finish counts a request that has ended.
func (h *h3Run) finish(c *conn, x *exchange, f *failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.w
	w.now = w.plan.now()
	if h.ended || w.now >= h.run.endsAt() {
		return // it counts as abandoned
	}
	x.busy, x.slot = true, 0
	c.free, c.inFlight = c.free[:0], 1
	if f != nil {
		w.failed(c, x, f.kind, f.err.Error())
	} else {
		w.done(c, x, x.got)
	}
	h.wake.Broadcast()
}

// counted changes the worker's stats.
func (h *h3Run) counted(f func(*stats)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		f(h.w.stats)
	}
}

// connection makes one again and again, until ctx ends.
func (h *h3Run) connection(ctx context.Context) {
	backoff := time.Duration(0)
	for ctx.Err() == nil {
		begun := h.run.plan.now()
		dial, cancel := context.WithTimeout(ctx, h.run.plan.Timeout)
		q, err := quic.DialAddr(dial, h.run.plan.address.String(), h.tls, h.quic)
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			kind := h3Kind(err)
			if kind == ErrorReset {
				kind = ErrorConnect
			}
			h.counted(func(s *stats) {
				s.refused++
				s.note(kind, err.Error())
			})
			backoff = min(max(2*backoff, firstBackoff), maxBackoff)
			select {
			case <-time.After(backoff):
			case <-ctx.Done():
			}
			continue
		}
		backoff = 0
		h.counted(func(s *stats) {
			s.opened++
			s.connect.record(h.run.plan.now() - begun)
			if q.ConnectionState().TLS.DidResume {
				s.resumed++
			}
		})
		c := &clientH3{h: h, q: q}
		if closed := c.serve(ctx); closed && ctx.Err() == nil {
			h.counted(func(s *stats) { s.closed++ })
		}
	}
}
