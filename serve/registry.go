package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

// acceptPortable accepts until the listener is closed.
func (svc *service) acceptPortable() {
	s := svc.srv
	defer close(svc.acceptEnd)
	var backoff listener.Backoff
	for {
		nc, err := svc.listener.Accept()
		if err == nil {
			backoff.Reset()
			s.portables.accepted.Add(1)
			s.portables.serve(svc, nc)
			continue
		}
		var ne interface{ Temporary() bool }
		if listener.Classify(err) == listener.ClassFatal && !(errors.As(err, &ne) && ne.Temporary()) {
			if s.draining.Load() || errors.Is(err, net.ErrClosed) && s.isStopping() {
				err = ErrServerClosed
			}
			svc.finish(err)
			return
		}
		delay, log := backoff.Next(time.Now(), err)
		if log {
			s.Options.log().Error("accept failed; waiting", "error", err, "delay", delay)
		}
		time.Sleep(delay)
	}
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// registry holds the connections of the portable form.
type registry struct {
	accepted atomic.Uint64

	mu    sync.Mutex
	conns map[*portable]struct{}
}

func (r *registry) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// serve starts the goroutine of an accepted connection.
func (r *registry) serve(svc *service, nc net.Conn) {
	c := &portable{part: svc.parts[0], conn: nc}
	r.mu.Lock()
	if r.conns == nil {
		r.conns = make(map[*portable]struct{})
	}
	r.conns[c] = struct{}{}
	r.mu.Unlock()
	go func() {
		defer r.remove(c)
		c.run()
	}()
}

// remove forgets c, and ends it unless a handler has taken it.
func (r *registry) remove(c *portable) {
	r.mu.Lock()
	_, here := r.conns[c]
	delete(r.conns, c)
	r.mu.Unlock()
	if c.engine != nil {
		c.engine.Close()
	}
	if !c.gone {
		c.SetState(http.StateClosed)
		closeConn(c.conn, c.failed != nil)
	}
	if here {
		c.part.svc.srv.signalEmpty()
	}
}

// drain ends every wait once: each goroutine then sees that the server stops.
func (r *registry) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.tell()
	}
}

// cut closes what is left and counts what was not idle.
func (r *registry) cut() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if http.ConnState(c.state.Load()) != http.StateIdle {
			n++
		}
		c.conn.SetDeadline(past)
		closeConn(c.conn, true)
		if c.engine != nil {
			c.engine.OnCut()
		}
		delete(r.conns, c)
	}
	return n
}

// closeConn closes c. When it is cut, a TLS peer is not sent close_notify: what
// is missing of an answer must not pass for its end (RFC 8446 §6.1).
func closeConn(c net.Conn, cut bool) {
	if t, ok := c.(*tls.Conn); ok && cut {
		c = t.NetConn()
	}
	c.Close()
}
