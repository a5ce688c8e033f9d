package h3

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// ALPN is the protocol's name in TLS (RFC 9114 §3.1).
const ALPN = "h3"

// Server serves HTTP/3 on the sockets of one address. Its methods may be
// called by any goroutine.
type Server struct {
	cfg        *Config
	transports []*transport
	admission  admission
	watch      watch

	// mu guards the following.
	mu       sync.Mutex
	conns    map[*conn]struct{}
	draining bool
	closed   bool
	sweeping bool          // a sweeper runs
	late     bool          // handshakes have used up their grace: nobody waits for them
	empty    chan struct{} // closed when a stop has left no connection
	isEmpty  bool
	grace    *time.Timer // of the handshakes that are under way when a drain begins
}

// Listen serves HTTP/3 on sockets, each of which carries the connections whose
// IDs name it: the first byte of a connection ID, modulo the number of sockets,
// is the socket's index. Packets must be steered by that (listener.PacketGroup
// does); with one socket there is nothing to steer. tlsConf needs a certificate;
// TLS 1.3 and the ALPN name are set. The sockets remain the caller's to close,
// after Close.
func Listen(sockets []net.PacketConn, tlsConf *tls.Config, cfg *Config) (*Server, error) {
	if len(sockets) == 0 {
		return nil, errNoSockets
	}
	c := *cfg
	for _, key := range []*[32]byte{&c.ResetKey, &c.TokenKey} {
		if *key == ([32]byte{}) {
			rand.Read(key[:]) // never fails (crypto/rand)
		}
	}
	s := &Server{cfg: &c, conns: make(map[*conn]struct{}), empty: make(chan struct{})}
	s.admission.cfg = s.cfg
	s.watch.init()
	tlsConf = tlsConf.Clone()
	tlsConf.NextProtos = []string{ALPN}
	tlsConf.MinVersion = tls.VersionTLS13
	for i, socket := range sockets {
		t, err := s.listen(socket, i, len(sockets), tlsConf)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("listen on %s: %w", socket.LocalAddr(), err)
		}
		s.transports = append(s.transports, t)
		go t.accept()
	}
	return s, nil
}

// open takes a connection whose handshake is done (with 0-RTT: under way).
func (s *Server) open(q *quic.Conn) {
	c := newConn(s, q)
	if !c.early.Load() {
		// At the end: a drain is not over between a handshake and its connection.
		defer s.handshakeDone(q)
		if !c.admit() {
			return
		}
	}
	c.greet()
	if !s.register(c) {
		c.release()
		go q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "")
		return
	}
	c.start()
}

func (s *Server) handshakeDone(q *quic.Conn) {
	if hs, ok := q.Context().Value(handshakeKey{}).(*handshake); ok && hs.end() {
		s.cfg.Counters.Handshakes.Add(1)
	}
}

// register adds c to what a drain waits for. False: the server is closed.
func (s *Server) register(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.isEmpty {
		return false
	}
	s.conns[c] = struct{}{}
	s.cfg.Counters.Open.Add(1)
	s.cfg.Counters.Accepted.Add(1)
	if !s.sweeping {
		s.sweeping = true
		go s.sweep()
	}
	if s.draining {
		go c.drain()
	}
	return true
}

// remove forgets a connection that is closed.
func (s *Server) remove(c *conn) {
	c.setState(http.StateClosed)
	c.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[c]; !ok {
		return
	}
	delete(s.conns, c)
	s.cfg.Counters.Open.Add(-1)
	s.signalEmpty()
}

// signalEmpty tells of the last connection's end in a stop; the sweeper ends
// with it. mu is held.
func (s *Server) signalEmpty() {
	if s.draining && !s.isEmpty && len(s.conns) == 0 && (s.late || s.admission.open.Load() == 0) {
		s.isEmpty = true
		close(s.empty)
	}
}

// Drain begins to end every connection: GOAWAY, requests in flight finish, then
// it is closed without waiting for its client. New connections are refused;
// handshakes under way have a second more. It does not wait: see Drained.
func (s *Server) Drain() {
	s.admission.stopping.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	for c := range s.conns {
		go c.drain()
	}
	s.signalEmpty()
	if !s.isEmpty {
		s.grace = time.AfterFunc(handshakeGrace, s.refuseHandshakes)
	}
}

// refuseHandshakes ends the handshakes that have used up their grace.
func (s *Server) refuseHandshakes() {
	for _, t := range s.transports {
		t.ln.Close()
		<-t.done // what was accepted is known by now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = true
	s.signalEmpty()
}

// Drained is closed when a drain has left no connection.
func (s *Server) Drained() <-chan struct{} { return s.empty }

// Live counts the connections that are open.
func (s *Server) Live() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Cut closes what is left, and tells how many connections had a request under way.
func (s *Server) Cut() (n int) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range conns {
		if c.busy() {
			n++
		}
		wg.Go(func() { c.close(frame.NoError, "the server is stopping") })
	}
	wg.Wait()
	s.cfg.Counters.Cut.Add(int64(n))
	return n
}

// Close ends everything at once and waits for it, but not for handlers. The
// sockets may be closed then.
func (s *Server) Close() error {
	s.Drain()
	s.mu.Lock()
	s.closed = true
	if s.grace != nil {
		s.grace.Stop()
	}
	s.mu.Unlock()
	s.Cut() // with CONNECTION_CLOSE, which the transport's end would not send
	s.refuseHandshakes()
	var errs []error
	for _, t := range s.transports {
		errs = append(errs, t.quic.Close())
	}
	<-s.empty      // each connection's leader sees its end,
	s.watch.stop() // or whom the watch gives the lead
	return errors.Join(errs...)
}
