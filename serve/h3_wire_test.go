package serve_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/ipv4"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// The tests of HTTP/3 on the wire: real sockets of a listener.PacketGroup, a
// client of another make (quic-go/http3), and what goes through each of the
// server's sockets counted by the peer's address.

// connectionID is the length of the server's.
const connectionID = 9

// wireSocket is a server's socket that counts what passes it.
type wireSocket struct {
	*net.UDPConn
	batch *ipv4.PacketConn
	index int
	n     int // sockets of the group

	mu    sync.Mutex
	peers map[netip.AddrPort]*wireCount
	wrong int // short headers whose connection ID names another socket
}

// wireCount is what one address has sent and got.
type wireCount struct {
	in, out, inBytes, outBytes int
	short                      int // of in: packets of connections that stand
}

// ReadBatch is what quic-go reads with.
func (s *wireSocket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := s.batch.ReadBatch(ms, flags)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range ms[:max(n, 0)] {
		b := m.Buffers[0][:m.N]
		c := s.peer(m.Addr.(*net.UDPAddr))
		c.in++
		c.inBytes += len(b)
		if len(b) > 1 && b[0]&0x80 == 0 {
			c.short++
			if int(b[1])%s.n != s.index {
				s.wrong++
			}
		}
	}
	return n, err
}

// WriteMsgUDP is what quic-go writes with: one or several datagrams.
func (s *wireSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	s.mu.Lock()
	c := s.peer(addr)
	c.out++
	c.outBytes += len(b)
	s.mu.Unlock()
	return s.UDPConn.WriteMsgUDP(b, oob, addr)
}

// peer is the count of addr. mu is held.
func (s *wireSocket) peer(addr *net.UDPAddr) *wireCount {
	at := addr.AddrPort()
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	c := s.peers[at]
	if c == nil {
		c = new(wireCount)
		s.peers[at] = c
	}
	return c
}

// wireServer is an HTTP/3 server whose sockets count.
type wireServer struct {
	*h3.Server
	sockets  []*wireSocket
	addr     netip.AddrPort
	counters h3.Counters
}

// newWireServer serves cfg on sockets, until the test ends; the sockets are closed after it.
func newWireServer(t *testing.T, sockets []*net.UDPConn, tlsConf *tls.Config, cfg h3.Config) *wireServer {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: what passes the server's sockets is counted on Linux only")
	}
	s := &wireServer{addr: sockets[0].LocalAddr().(*net.UDPAddr).AddrPort()}
	var conns []net.PacketConn
	for i, c := range sockets {
		w := &wireSocket{
			UDPConn: c, batch: ipv4.NewPacketConn(c), index: i, n: len(sockets),
			peers: make(map[netip.AddrPort]*wireCount),
		}
		s.sockets, conns = append(s.sockets, w), append(conns, w)
	}
	cfg.ErrorLog, cfg.Counters = quiet(), &s.counters
	if cfg.Handler == nil {
		cfg.Handler = wireHandler()
	}
	cfg.QUICIdleTimeout = 2 * time.Minute // nothing ends for being slow
	var err error
	s.Server, err = h3.Listen(conns, tlsConf, h3.Complete(cfg))
	servetest.Must(t, "listen", err)
	t.Cleanup(func() { s.Close() })
	return s
}

// steeredSockets binds n sockets whose packets are steered by connection ID.
func steeredSockets(t *testing.T, n int) []*net.UDPConn {
	t.Helper()
	g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: "127.0.0.1:0", Sockets: n, ErrorLog: quiet()})
	servetest.Must(t, "bind", err)
	t.Cleanup(func() { g.Close() })
	if n > 1 && !g.Steered() {
		t.Skip("SKIPPED: this system steers no UDP packets by connection ID (SO_ATTACH_REUSEPORT_CBPF), the group has one socket")
	}
	return g.Conns()
}

// total is the sum of all sockets by address.
func (s *wireServer) total() map[netip.AddrPort]wireCount {
	sum := make(map[netip.AddrPort]wireCount)
	for _, w := range s.sockets {
		w.mu.Lock()
		for at, c := range w.peers {
			t := sum[at]
			t.in, t.inBytes = t.in+c.in, t.inBytes+c.inBytes
			t.out, t.outBytes = t.out+c.out, t.outBytes+c.outBytes
			t.short += c.short
			sum[at] = t
		}
		w.mu.Unlock()
	}
	return sum
}

// reached are the indices of the sockets that short headers from addrs came to.
func (s *wireServer) reached(addrs []netip.AddrPort) (indices []int) {
	for _, w := range s.sockets {
		w.mu.Lock()
		for _, at := range addrs {
			if c := w.peers[at]; c != nil && c.short > 0 {
				indices = append(indices, w.index)
				break
			}
		}
		w.mu.Unlock()
	}
	return indices
}

// misrouted counts short headers that came to a socket their ID does not name.
func (s *wireServer) misrouted() (n int) {
	for _, w := range s.sockets {
		w.mu.Lock()
		n += w.wrong
		w.mu.Unlock()
	}
	return n
}

// wireHandler tells the client's address (/where), takes a body and tells its
// sum (/take), and sends one (/give/size).
func wireHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /where", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	mux.HandleFunc("POST /take", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
	})
	mux.HandleFunc("GET /give/{size}", func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.PathValue("size"))
		w.Write(wireBody(size))
	})
	return mux
}

// wireBody is a body of which no part is like another.
func wireBody(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// wireClient is one connection of quic-go's http3; that it is not dialled
// again is for the test to see.
type wireClient struct {
	*http.Client
	udp   *net.UDPConn
	quic  *quic.Transport
	conn  atomic.Pointer[quic.Conn]
	dials atomic.Int32
}

func newWireClient(t *testing.T, server *net.UDPAddr) *wireClient {
	t.Helper()
	c := &wireClient{udp: wireUDP(t)}
	c.quic = &quic.Transport{Conn: c.udp}
	tr := &http3.Transport{
		TLSClientConfig: clientTLS(),
		QUICConfig:      &quic.Config{HandshakeIdleTimeout: time.Minute, MaxIdleTimeout: 2 * time.Minute},
		Dial: func(ctx context.Context, _ string, tlsConf *tls.Config, conf *quic.Config) (*quic.Conn, error) {
			c.dials.Add(1)
			conn, err := c.quic.Dial(ctx, server, tlsConf, conf)
			c.conn.Store(conn)
			return conn, err
		},
	}
	c.Client = &http.Client{Transport: tr, Timeout: time.Minute}
	t.Cleanup(func() {
		tr.Close()
		c.quic.Close()
	})
	return c
}

// wireUDP is a socket on the loopback that ends after what was made with it.
func wireUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	servetest.Must(t, "client's socket", err)
	t.Cleanup(func() { c.Close() })
	return c
}

// at is the client's own address.
func (c *wireClient) at() netip.AddrPort { return c.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// get and post return the body of a 200.
func (c *wireClient) get(path string) (string, error) {
	return readAnswer(c.Get("https://localhost" + path))
}

func (c *wireClient) post(path string, body io.Reader) (string, error) {
	return readAnswer(c.Post("https://localhost"+path, "application/octet-stream", body))
}

func readAnswer(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(got), err
}

// where is the address by which the handler knows the client.
func (c *wireClient) where() (netip.AddrPort, error) {
	got, err := c.get("/where")
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(got)
}
