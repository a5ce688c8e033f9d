package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// defaultProxyTimeout covers the loss of one segment, as §2 of the PROXY protocol
// asks for.
const defaultProxyTimeout = 3 * time.Second

// ProxyConfig says which connections begin with a PROXY header (version 1 or 2).
type ProxyConfig struct {
	// From are the addresses of the proxies. Their connections must begin with a
	// header, and whom it names is believed to be the client; connections of
	// others are what they seem, and a header of theirs is no HTTP (rule P-4). If
	// empty, there are no proxies that come over TCP.
	From []netip.Prefix
	// Unix is the same for all that comes over unix sockets.
	Unix bool
	// Timeout is how long a header may take, from accept on. If zero or negative,
	// 3 s: there is no wait without an end.
	Timeout time.Duration
}

// Proxies are the peers whose connections begin with a PROXY header. All methods
// may be called by any goroutine; a nil *Proxies trusts nobody.
type Proxies struct {
	cfg atomic.Pointer[ProxyConfig] // nil: nobody. It is not changed in place
}

// NewProxies makes a set of proxies.
func NewProxies(cfg ProxyConfig) *Proxies {
	p := new(Proxies)
	p.Set(cfg)
	return p
}

// Set changes who is trusted, for connections from now on.
func (p *Proxies) Set(cfg ProxyConfig) {
	if len(cfg.From) == 0 && !cfg.Unix {
		p.cfg.Store(nil)
		return
	}
	cfg.From = slices.Clone(cfg.From)
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultProxyTimeout
	}
	p.cfg.Store(&cfg)
}

// Trusts tells whether connections from peer, which is the zero AddrPort for unix
// sockets, begin with a header.
func (p *Proxies) Trusts(peer netip.AddrPort) bool {
	if p == nil {
		return false
	}
	cfg := p.cfg.Load()
	if cfg == nil {
		return false
	}
	if !peer.IsValid() {
		return cfg.Unix
	}
	addr := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(cfg.From, func(f netip.Prefix) bool { return f.Contains(addr) })
}

// TrustsAddr is Trusts for the remote address of a net.Conn. What is neither TCP
// nor a unix socket is not trusted.
func (p *Proxies) TrustsAddr(peer net.Addr) bool {
	switch a := peer.(type) {
	case *net.TCPAddr:
		return p.Trusts(a.AddrPort())
	case *net.UnixAddr:
		return p.Trusts(netip.AddrPort{})
	default:
		return false
	}
}

// Timeout is how long a header may take.
func (p *Proxies) Timeout() time.Duration {
	if cfg := p.cfg.Load(); cfg != nil {
		return cfg.Timeout
	}
	return defaultProxyTimeout
}

// ReadProxyHeader reads a header from r, and nothing of what comes behind it. A
// connection needs a deadline for that. io.EOF: there was not one byte.
func ReadProxyHeader(r io.Reader) (ProxyHeader, error) {
	b := make([]byte, 0, MaxProxyHeader)
	for {
		h, n, err := ParseProxyHeader(b)
		if err != nil || n <= len(b) {
			return h, err
		}
		m, err := r.Read(b[len(b):n])
		b = b[:len(b)+m]
		switch {
		case m > 0 || err == nil: // an error behind bytes comes again
		case errors.Is(err, io.EOF) && len(b) > 0:
			return h, io.ErrUnexpectedEOF
		default:
			return h, err
		}
	}
}

// Introduce is c with the addresses of h; c itself where h has none. It owns c. What
// c can do beyond a net.Conn (half-closes, ReadFrom, SyscallConn) it can, too.
func (h ProxyHeader) Introduce(c net.Conn) net.Conn {
	if !h.Source.IsValid() {
		return c
	}
	return &introduced{c, h}
}

// introduced is a connection with a client's addresses. Nothing of the connection is
// held here, so what reaches around it misses no byte.
type introduced struct {
	net.Conn
	header ProxyHeader
}

func (c *introduced) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.Source) }
func (c *introduced) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.header.Destination) }

func (c *introduced) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *introduced) CloseRead() error {
	if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
		return half.CloseRead()
	}
	return errors.ErrUnsupported
}

func (c *introduced) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

func (c *introduced) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, c.Conn) }

func (c *introduced) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
