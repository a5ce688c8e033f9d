package h2

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// pump sends a request's body beside the handler. Answer and body go independent of
// each other.
type pump struct {
	s       *stream
	src     message.Source
	trailer func() []message.Field // nil: none
	idle    time.Duration

	// Atomic.
	doneAt  atomic.Pointer[time.Time] // when the body was sent whole
	stopped atomic.Bool               // the exchange is over: s is not touched any more but through its conn
}

func (s *stream) startPump() {
	r := s.req
	p := &pump{s: s, src: message.Source{Body: r.Body, Left: max(r.Length, -1)}, trailer: r.Trailer, idle: r.IdleTimeout}
	if s.hasSmall { // the windows had no room for it
		p.src = message.Source{Body: &smallReader{bytes.Clone(s.small)}, Left: int64(len(s.small))}
	}
	s.pump = p
	portable, _ := s.home.(*link.Portable)
	s.client.running.Add(1)
	s.home.Go(s.ctx, func(ctx context.Context) {
		defer s.client.running.Done()
		p.run(link.HomeOf(ctx, portable).Waiter(ctx))
	})
}

// smallReader gives a body that was read already. It is a copy: the exchange may be
// over before.
type smallReader struct{ b []byte }

func (r *smallReader) Read(p []byte) (int, error) {
	n := copy(p, r.b)
	if r.b = r.b[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (p *pump) stop() { p.stopped.Store(true) }

// run sends the body until its end, or until it is stopped.
func (p *pump) run(w link.Waiter) {
	buf := bufpool.Get(pumpBytes)
	defer buf.Release()
	for !p.stopped.Load() {
		n, end, err := p.src.Next(buf.B[:pumpBytes])
		if err != nil {
			p.fail(&message.Error{Kind: message.RequestFailed, Err: err}, frame.Cancel)
			return
		}
		if !p.send(w, buf.B[:n], end) || end {
			return
		}
	}
}

// send sends b, waiting for windows. False: there is no more to do.
func (p *pump) send(w link.Waiter, b []byte, end bool) bool {
	s := p.s
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	// Before anything is written: the lock is given up meanwhile, and a window that
	// comes then must not be missed.
	s.sender = w
	defer func() { s.sender = nil }()
	for {
		if s.sendClosed || s.err != nil || c.dead != nil || p.stopped.Load() {
			return false
		}
		n := s.sendData(b, end && p.trailer == nil)
		b = b[n:]
		c.flush()
		if len(b) == 0 {
			break
		}
		c.mu.Unlock()
		var until time.Time
		if p.idle > 0 {
			until = time.Now().Add(p.idle)
		}
		err := w.Wait(until)
		c.mu.Lock()
		if err != nil {
			p.failLocked(&message.Error{Kind: message.HeadTimeout, Err: err}, frame.Cancel)
			return false
		}
	}
	if !end {
		return true
	}
	if p.trailer != nil && !s.sendClosed {
		s.sendTrailer(p.trailer())
		c.flush()
	}
	now := time.Now()
	p.doneAt.Store(&now)
	s.wake() // the wait for the head begins
	return true
}

func (p *pump) fail(e *message.Error, code frame.ErrCode) {
	c := p.s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	p.failLocked(e, code)
}

// failLocked ends the stream before the upstream can take the body for complete.
func (p *pump) failLocked(e *message.Error, code frame.ErrCode) {
	s := p.s
	if s.sendClosed || p.stopped.Load() {
		return
	}
	s.reset(code)
	s.fail(e)
	s.conn.flush()
}

// wakeSender tells who waits for a window. conn.mu is held.
func (s *stream) wakeSender() {
	if s.sender != nil {
		s.sender.Wake()
	}
}
