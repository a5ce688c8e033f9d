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
	"github.com/penstock-edge/penstock/serve/h1"
	"github.com/penstock-edge/penstock/serve/h2"
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
			if s.draining.Load() || svc.draining.Load() || errors.Is(err, net.ErrClosed) && s.isStopping() {
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
	refused  atomic.Uint64 // above a ceiling (S-4)

	mu    sync.Mutex
	conns map[*portable]struct{}
}

func (r *registry) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// openOf counts those of one listener.
func (r *registry) openOf(svc *service) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if c.part.svc == svc {
			n++
		}
	}
	return n
}

// addOpen adds the open connections, by what they speak.
func (r *registry) addOpen(n *Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n.Connections += int64(len(r.conns))
	for c := range r.conns {
		underTLS := c.part.svc.tlsConfig != nil
		switch c.engine.(type) {
		case *h1.Conn:
			n.addOpen(1, 0, underTLS)
		case *h2.Conn:
			n.addOpen(0, 1, underTLS)
		default: // it shakes hands
		}
	}
}

// serve starts the goroutine of an accepted connection, within the ceilings.
func (r *registry) serve(svc *service, nc net.Conn) {
	c := &portable{part: svc.parts[0], conn: nc}
	if !c.admit() {
		r.refused.Add(1)
		nc.Close()
		return
	}
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

// admit asks the ceilings (S-4), except in the drain: those clients were let in before
// the stop. It finds out whether a PROXY header is due, too.
func (c *portable) admit() bool {
	svc := c.part.svc
	peer := c.conn.RemoteAddr()
	c.proxied = svc.proxies != nil && svc.proxies.TrustsAddr(peer)
	if a, ok := peer.(*net.TCPAddr); ok && !c.proxied {
		c.counted = a.AddrPort().Addr()
	}
	if c.Draining() {
		return true
	}
	c.gated = svc.srv.gate.Admit(c.counted) == listener.Admitted
	return c.gated
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
	if c.gated {
		c.part.svc.srv.gate.Release(c.counted)
	}
	if !c.gone {
		if !c.proxied { // else nobody was told of it
			c.SetState(http.StateClosed)
		}
		closeConn(c.conn, c.failed != nil)
	}
	if here {
		c.part.svc.srv.signalEmpty()
	}
}

// drain ends every wait once: each goroutine then sees that the server stops, or
// that svc leaves. nil: all listeners.
func (r *registry) drain(svc *service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if svc == nil || c.part.svc == svc {
			c.tell()
		}
	}
}

// cut closes what is left of svc, of all if it is nil, and counts what was not idle.
func (r *registry) cut(svc *service) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		if svc != nil && c.part.svc != svc {
			continue
		}
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
