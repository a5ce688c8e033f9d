package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/h3"
)

// altSvcAge is how long clients may remember that there is HTTP/3: RFC 7838's
// own default. Behind a stop they fall back to TCP by themselves.
const altSvcAge = 24 * time.Hour

// quicService is HTTP/3 on one group of UDP sockets. QUIC has loops of its own:
// the shards have no part in it.
type quicService struct {
	srv      *Server
	group    *listener.PacketGroup
	engine   *h3.Server
	counters *h3.Counters
	done     chan struct{} // closed when ServeHTTP3 is to return
	once     sync.Once     // finish
	err      error
	leaving  bool // it is drained by itself; the server's mu guards it
}

// ServeHTTP3 serves HTTP/3 on a group of UDP sockets until the server ends; it
// always answers an error, which is http.ErrServerClosed after Shutdown or
// Close. Answers of the listeners of ServeTLS on the same port tell of it
// (Alt-Svc) while it serves. With empty file names TLSConfig must hold a
// certificate. g is closed.
func (s *Server) ServeHTTP3(g *listener.PacketGroup, certFile, keyFile string) error {
	if g == nil {
		return errNilListener
	}
	q, err := s.attachHTTP3(g, certFile, keyFile)
	if err != nil {
		g.Close() // as net/http: a listener given to Serve is Serve's
		return err
	}
	<-q.done
	return q.err
}

// attachHTTP3 starts to serve g.
func (s *Server) attachHTTP3(g *listener.PacketGroup, certFile, keyFile string) (*quicService, error) {
	cfg, err := tlsConfig(s.TLSConfig, certFile, keyFile, []string{h3.ALPN}, s.sharedKeys())
	if err != nil {
		return nil, err
	}
	return s.serveHTTP3(g, cfg, nil, nil)
}

// serveHTTP3 is attachHTTP3 with what is the endpoint's own; nil: the server's.
func (s *Server) serveHTTP3(g *listener.PacketGroup, cfg *tls.Config, policy TLSPolicy, base context.Context) (q *quicService, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, ErrServerClosed
	}
	if g.Steered() && g.SteerByte() != h3.SteerByte {
		return nil, errSteerByte
	}
	q = &quicService{srv: s, group: g, counters: new(h3.Counters), done: make(chan struct{})}
	engineCfg := s.Options.h3Config(s.handler(policy), s.face(g.Addr(), cfg), &s.date)
	engineCfg.Counters = q.counters
	engineCfg.Admit, engineCfg.Release = s.admitHTTP3, s.gate.Release
	engineCfg.Shed = s.pressure.shedKeepAlive
	engineCfg.Base = s.base(packetListener{g.Addr()}, base)
	sockets := make([]net.PacketConn, len(g.Conns()))
	for i, c := range g.Conns() {
		sockets[i] = c
	}
	if q.engine, err = h3.Listen(sockets, cfg, h3.Complete(engineCfg)); err != nil {
		return nil, err
	}
	s.quics = append(s.quics, q)
	go func() {
		<-q.engine.Drained()
		s.signalEmpty()
	}()
	s.announceHTTP3()
	return q, nil
}

// announceHTTP3 makes the answers of each TLS listener tell of the HTTP/3 on its
// port: another one may be that of another address. What was told and holds no
// more is taken back (RFC 7838 §3: clear). mu is held.
func (s *Server) announceHTTP3() {
	if s.stopping {
		return
	}
	for _, svc := range s.services {
		value := ""
		if svc.altSvc.Value() != "" {
			value = "clear"
		}
		for _, q := range s.quics {
			if svc.tlsConfig != nil && q.port() == svc.quicPort() && !q.leaving {
				value = fmt.Sprintf(`h3=":%d"; ma=%d`, q.port(), int(altSvcAge.Seconds()))
			}
		}
		svc.altSvc.Set(value)
	}
}

// quicPort is the UDP port that belongs to a listener; 0: none does, as behind a
// unix socket, where somebody else speaks to the clients.
func (svc *service) quicPort() int {
	if port := svc.srv.packetPort; port != 0 {
		return port
	}
	if addr, ok := svc.listener.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// withdrawHTTP3 ends what announceHTTP3 began.
func (s *Server) withdrawHTTP3() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, svc := range s.services {
		svc.altSvc.Set("")
	}
}

func (q *quicService) port() int { return portOf(q.group) }

// portOf is the UDP port of a group.
func portOf(g *listener.PacketGroup) int {
	if addr, ok := g.Addr().(*net.UDPAddr); ok {
		return addr.Port
	}
	return -1
}

// admitHTTP3 asks the gate that stands before all listeners (S-4).
func (s *Server) admitHTTP3(addr netip.Addr) bool {
	return s.gate.Admit(addr) == listener.Admitted
}

// quicServices are those of now.
func (s *Server) quicServices() []*quicService {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quics
}

// live counts what a drain waits for: connections, and handshakes under way.
func (q *quicService) live() int64 {
	select {
	case <-q.engine.Drained():
		return 0
	default:
		return int64(max(1, q.engine.Live()))
	}
}

// end closes what is left: connections first, all sockets together last, since
// the kernel moves the last one into the place of one that is closed alone.
func (q *quicService) end() {
	q.engine.Close()
	q.group.Close()
	q.finish(ErrServerClosed)
}

// finish ends ServeHTTP3 with err; the first call counts.
func (q *quicService) finish(err error) {
	q.once.Do(func() {
		q.err = err
		close(q.done)
	})
}

// packetListener is what BaseContext is given for a group of UDP sockets: an
// address, nothing to accept from.
type packetListener struct{ addr net.Addr }

func (packetListener) Accept() (net.Conn, error) { return nil, http.ErrNotSupported }
func (packetListener) Close() error              { return nil }
func (l packetListener) Addr() net.Addr          { return l.addr }
