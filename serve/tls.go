package serve

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/shard"
)

// link is the net.Conn under a tls.Conn: the shard's socket, and after a
// hijack a plain connection.
type link struct {
	c     *conn
	begun bool                     // the handshake has started
	plain atomic.Pointer[net.Conn] // after Hijack
	more  atomic.Bool              // what is written now has more behind it
}

func (l *link) Read(p []byte) (int, error) {
	if plain := l.plain.Load(); plain != nil {
		return (*plain).Read(p)
	}
	n, err := l.c.Conn.Read(p)
	if err != shard.ErrWouldBlock || !l.c.Handshaking() {
		return n, err
	}
	// The bound counts handshakes that compute: one that waits for its peer
	// gives its place back, or stalled hellos would stop all others (S-6).
	slots := l.c.part.svc.srv.handshakes
	for err == shard.ErrWouldBlock {
		slots.leave()
		werr := l.c.WaitReadable()
		slots.enter(true)
		if werr != nil {
			return 0, werr
		}
		n, err = l.c.Conn.Read(p)
	}
	return n, err
}

func (l *link) Write(p []byte) (int, error) {
	if plain := l.plain.Load(); plain != nil {
		return (*plain).Write(p)
	}
	if l.more.Load() {
		return l.c.Conn.WriteMore(p)
	}
	return l.c.Conn.Write(p)
}

func (l *link) Close() error {
	if plain := l.plain.Load(); plain != nil {
		return (*plain).Close()
	}
	return nil // the shard closes
}

func (l *link) LocalAddr() net.Addr  { return l.c.Conn.LocalAddr() }
func (l *link) RemoteAddr() net.Addr { return l.c.Conn.RemoteAddr() }

// SetDeadline and its kin matter after a hijack; before, the engine has its own.
func (l *link) SetDeadline(t time.Time) error {
	if plain := l.plain.Load(); plain != nil {
		return (*plain).SetDeadline(t)
	}
	return nil
}

func (l *link) SetReadDeadline(t time.Time) error {
	if plain := l.plain.Load(); plain != nil {
		return (*plain).SetReadDeadline(t)
	}
	return nil
}

func (l *link) SetWriteDeadline(t time.Time) error {
	if plain := l.plain.Load(); plain != nil {
		return (*plain).SetWriteDeadline(t)
	}
	return nil
}

// startHandshake shakes hands on a goroutine of its own, which gives the
// connection back to the loop with a first step at once: the request often
// came with the client's Finished, and no edge will tell of it.
func (c *conn) startHandshake() {
	srv := c.part.svc.srv
	c.link.begun = true
	if !srv.enterHandshake() {
		c.Conn.Done(errHandshakes)
		return
	}
	c.Detach(func() {
		defer srv.handshaking.Add(-1)
		if t := srv.Options.handshakeTimeout(); t > 0 {
			c.Conn.SetReadDeadline(time.Now().Add(t))
		}
		var hello [helloPeek]byte
		n := c.Peek(hello[:])
		srv.handshakes.enter(offersResumption(hello[:n]))
		err := c.tls.Handshake()
		srv.handshakes.leave()
		if err != nil {
			srv.stats.HandshakeErrors.Add(1)
			c.Conn.Done(nil) // an alert may be on its way
			return
		}
		srv.stats.Handshakes.Add(1)
		c.Conn.SetReadDeadline(time.Time{})
		c.Conn.SetTimer(time.Time{})
		c.choose(c.tls.ConnectionState().NegotiatedProtocol)
	})
}

// handshakePlaces is how many handshakes compute at one time: two a core keep
// it busy while one is preempted.
func handshakePlaces() int { return 2 * runtime.GOMAXPROCS(0) }

// handshakeSlots are those places. Who resumes a session, or is under way
// already, goes first: it costs less, and was let in before (rule S-6). The
// queues are bounded by MaxHandshakes, and by each handshake's deadline.
type handshakeSlots struct {
	mu             sync.Mutex
	free           int
	resuming, full []chan struct{}
}

func newHandshakeSlots() *handshakeSlots { return &handshakeSlots{free: handshakePlaces()} }

// enter waits for a place.
func (h *handshakeSlots) enter(first bool) {
	h.mu.Lock()
	if h.free > 0 {
		h.free--
		h.mu.Unlock()
		return
	}
	place := make(chan struct{})
	if first {
		h.resuming = append(h.resuming, place)
	} else {
		h.full = append(h.full, place)
	}
	h.mu.Unlock()
	<-place
}

// leave passes the place on.
func (h *handshakeSlots) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	queue := &h.resuming
	if len(*queue) == 0 {
		queue = &h.full
	}
	if len(*queue) == 0 {
		h.free++
		return
	}
	close((*queue)[0])
	*queue = (*queue)[1:]
}

// suites12 are the TLS 1.2 suites with forward secrecy and AEAD (rule T-4,
// RFC 9325 §4.2). TLS 1.3 chooses its own.
var suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// tlsConfig assembles the configuration of a listener from the caller's, which
// is not changed: TLS 1.2 at least, our ALPN names, shared ticket keys.
func tlsConfig(base *tls.Config, certFile, keyFile string, protos []string, keys *certs.TicketKeys) (*tls.Config, error) {
	cfg := &tls.Config{}
	if base != nil {
		cfg = base.Clone()
	}
	if certFile != "" || keyFile != "" {
		pair, err := certs.LoadPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
		return nil, errNoCert
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if cfg.CipherSuites == nil {
		cfg.CipherSuites = suites12
	}
	cfg.NextProtos = protos
	keys.Apply(cfg)
	return cfg, nil
}
