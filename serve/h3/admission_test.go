package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Who may begin a connection. Of the others of §3, Q-5 is in
// rfc9114_control_test.go (TestRFC9114OurStreams), rfc9204_test.go and
// limits_test.go, Q-6 in rfc9114_malformed_test.go, and Q-9 in
// rfc9114_control_test.go. are the library's.

// watched is a client's socket that counts the Retry packets it gets.
type watched struct {
	net.PacketConn
	retries atomic.Int64
}

func (w *watched) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := w.PacketConn.ReadFrom(p)
	if n > 0 && p[0]>>4 == 0b1111 { // RFC 9000 §17.2.5: long header, type 3
		w.retries.Add(1)
	}
	return n, from, err
}

func (w *watched) SetReadBuffer(int) error  { return nil }
func (w *watched) SetWriteBuffer(int) error { return nil }

// TestRetry: Q-1. Who begins a handshake while many are open has to prove its
// address.
func TestRetry(t *testing.T) {
	t.Parallel()
	connect := func(t *testing.T, s *site) *watched {
		t.Helper()
		w := &watched{PacketConn: udp(t, "127.0.0.1")}
		c := s.dialFrom(w)
		c.control = c.openUni(kindControl, settings())
		c.wantLive("served")
		return w
	}
	t.Run("few are open", func(t *testing.T) {
		t.Parallel()
		s := listen(t, hello)
		w := connect(t, s)
		servetest.Want(t, "no Retry", w.retries.Load(), 0)
		servetest.Want(t, "nor counted", s.count().Retries.Load(), 0)
	})
	t.Run("one is open", func(t *testing.T) {
		t.Parallel()
		s := listen(t, hello, func(cfg *Config) { cfg.RetryAbove = 1 })
		servetest.Want(t, "the first need not", connect(t, s).retries.Load(), 0)
		stall(t, s, udp(t, "127.0.0.1"))
		servetest.WantSoon(t, "a handshake is open", func() bool { return s.admission.open.Load() == 1 })
		servetest.Want(t, "a Retry", connect(t, s).retries.Load() > 0, true)
		servetest.Want(t, "it is counted", s.count().Retries.Load() >= 1, true)
	})
	t.Run("many a second", func(t *testing.T) {
		t.Parallel()
		s := listen(t, hello, func(cfg *Config) { cfg.RetryRate = 1 })
		servetest.WantSoon(t, "two in a second", func() bool { // whose boundaries are where they are
			return connect(t, s).retries.Load() > 0
		})
	})
	t.Run("in each second anew", func(t *testing.T) {
		t.Parallel()
		a := admission{cfg: Complete(Config{RetryRate: 2})}
		now := time.Unix(1000, 0)
		for range 2 {
			for want := 1; want <= 5; want++ {
				servetest.Want(t, "one more", a.rate(now), want)
			}
			now = now.Add(time.Second)
		}
	})
}

// TestQ2Handshakes: open handshakes are bounded, in all and of one prefix.
func TestQ2Handshakes(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, s *site, socket net.PacketConn) {
		t.Helper()
		_, err := s.tryDial(socket)
		e, ok := errors.AsType[*quic.TransportError](err)
		servetest.Want(t, "CONNECTION_REFUSED", ok && e.Remote && e.ErrorCode == quic.ConnectionRefused, true)
	}
	for _, tt := range []struct {
		name    string
		tune    func(*Config)
		foreign bool // another prefix may still come
	}{
		{"in all", func(cfg *Config) { cfg.MaxHandshakes = 2 }, false},
		{"of a prefix", func(cfg *Config) { cfg.MaxHandshakesPerPrefix = 2 }, true},
	} {
		script(t, tt.name, func(t *testing.T, n *network) {
			s := n.listen(hello, tt.tune)
			for _, socket := range n.more[:2] { // those that are done do not count
				s.dialFrom(socket).wantLive("one after another")
			}
			stall(t, s, n.client)
			stall(t, s, n.another)
			time.Sleep(slack)
			servetest.Want(t, "two are open", s.admission.open.Load(), 2)
			refused(t, s, n.more[2])
			servetest.Want(t, "it is counted", s.count().Refused.Load() > 0, true)
			if tt.foreign {
				s.dialFrom(n.foreign).wantLive("another prefix")
			} else {
				refused(t, s, n.foreign)
			}
			time.Sleep(2*defaultHandshakeTimeout + slack)
			servetest.Want(t, "they have ended", s.admission.open.Load(), 0)
			s.dialFrom(n.more[3]).wantLive("there is room again")
			time.Sleep(slack)
			s.admission.mu.Lock()
			defer s.admission.mu.Unlock()
			servetest.Want(t, "nothing is left of them", len(s.admission.prefixes), 0)
		})
	}
}

// TestQ2Junk: datagrams that are no packets, or the beginnings of one.
func TestQ2Junk(t *testing.T) {
	t.Parallel()
	s := listen(t, hello, func(cfg *Config) { cfg.HandshakeTimeout = 300 * time.Millisecond })
	socket := udp(t, "127.0.0.1")
	initial := "\xc0\x00\x00\x00\x01\x08aaaaaaaa\x08bbbbbbbb\x00\x44\xd0" + strings.Repeat("x", 1300)
	junk := []string{"\x00", "\x40" + strings.Repeat("a", 1200), "\xff" + strings.Repeat("\xff", 1200), initial, initial[:6] + "\xff" + initial[7:]}
	for n := range 30 {
		junk = append(junk, initial[:n], initial[:n]+strings.Repeat("\xff", 1200))
	}
	for _, b := range junk {
		_, err := socket.WriteTo([]byte(b), s.addr)
		servetest.Must(t, "a datagram", err)
	}
	s.connect().wantLive("others are served")
	servetest.WantSoon(t, "nothing came of it", func() bool { return s.admission.open.Load() == 0 })
}

func TestPrefixOf(t *testing.T) {
	for _, tt := range []struct{ ip, want string }{
		{"192.0.2.77", "192.0.2.0/24"},
		{"::ffff:192.0.2.77", "192.0.2.0/24"},
		{"2001:db8:1:2::3", "2001:db8:1::/48"},
		{"fe80::1%eth0", "fe80::/48"},
	} {
		got := prefixOf(net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(tt.ip), 443)))
		servetest.Want(t, tt.ip, got.String(), tt.want)
	}
	servetest.Want(t, "no address", prefixOf(&net.UnixAddr{}).IsValid(), false)
}

// early is a client that has met the server before, and speaks before the
// handshake is done.
func (n *network) early(s *site) *client {
	n.t.Helper()
	conf := clientTLS()
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	tr := &quic.Transport{Conn: n.another}
	n.t.Cleanup(func() { tr.Close() })
	q, err := tr.Dial(context.Background(), s.addr, conf, &quic.Config{})
	servetest.Must(n.t, "the first visit", err)
	time.Sleep(slack) // the ticket comes
	q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "")
	if q, err = tr.DialEarly(context.Background(), s.addr, conf, &quic.Config{}); err != nil {
		n.t.Fatalf("the second visit: %v", err)
	}
	n.t.Cleanup(func() { q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "") })
	c := &client{t: n.t, q: q}
	c.control = c.openUni(kindControl, settings())
	return c
}

func takesEarly(cfg *Config) { cfg.Early = true }

// when tells whether the handshake was done when the handler was called.
func when(w http.ResponseWriter, r *http.Request) {
	if !r.TLS.HandshakeComplete {
		w.Header().Set("X-Early", "1")
	}
}

// TestQ7Early: 0-RTT.
func TestQ7Early(t *testing.T) {
	t.Parallel()
	script(t, "off", func(t *testing.T, n *network) {
		s := n.listen(when)
		c := n.early(s)
		servetest.Want(t, "the session is resumed", c.q.ConnectionState().TLS.DidResume, true)
		servetest.Want(t, "and nothing taken before it is", c.q.ConnectionState().Used0RTT, false)
		a := c.request(headers(get("/")...)).wantAnswer("after the handshake", "200", "")
		servetest.Want(t, "after the handshake", a.header["x-early"], "")
	})
	for _, tt := range []struct {
		name, in string
		more     string // sent when the head has arrived
		status   string
	}{
		{"GET", headers(get("/")...), "", "200"},
		{"HEAD", headers(pseudo("HEAD", "/")...), "", "200"},
		{"GET with content", headers(get("/")...) + data("a"), "", "425"},
		{"GET with content that comes later", headers(get("/")...), data("a"), "425"},
		{"GET with trailers", headers(get("/")...) + headers("x", "1"), "", "425"},
		{"POST", headers(post("/")...), "", "425"},
		{"POST with content", headers(post("/")...) + data("a"), "", "425"},
		{"PUT", headers(pseudo("PUT", "/")...), "", "425"},
		{"OPTIONS", headers(pseudo("OPTIONS", "/")...), "", "425"},
		{"extended CONNECT", headers(append(pseudo("CONNECT", "/"), ":protocol", "websocket")...), "", "425"},
		{"a refusal is as ever", headers(pseudo("TRACE", "/")...), "", "405"},
	} {
		script(t, tt.name, func(t *testing.T, n *network) {
			s := n.listen(when, takesEarly)
			c := n.early(s)
			x := c.open(tt.in)
			if tt.more != "" {
				time.Sleep(latency / 5) // not in the same packet
				x.write(tt.more)
			}
			x.Close()
			a := x.wantAnswer("before the handshake", tt.status, "")
			servetest.Want(t, "0-RTT was used", c.q.ConnectionState().Used0RTT, true)
			servetest.Want(t, "the handler sees that", a.header["x-early"], map[string]string{"200": "1"}[tt.status])
			servetest.Want(t, "refusals are counted", s.count().TooEarly.Load(), map[string]uint64{"425": 1}[tt.status])
			time.Sleep(slack)
			a = c.request(headers(post("/")...)+data("a")).wantAnswer("after it", "200", "")
			servetest.Want(t, "the handler sees that", a.header["x-early"], "")
		})
	}
}

// TestQ7EarlyEnd: a GET may have content until its stream has ended.
func TestQ7EarlyEnd(t *testing.T) {
	t.Parallel()
	script(t, "GET whose end comes later", func(t *testing.T, n *network) {
		c := n.early(n.listen(when, takesEarly))
		x := c.open(headers(get("/")...))
		time.Sleep(latency / 5) // not in the same packet
		x.Close()
		a := x.wantAnswer("before the handshake", "200", "")
		servetest.Want(t, "the handler sees that", a.header["x-early"], "1")
	})
	script(t, "GET whose end does not come", func(t *testing.T, n *network) {
		h, runs, ended := waiter(func(_ http.ResponseWriter, r *http.Request) error {
			servetest.Want(t, "the handler is called after the handshake", r.TLS.HandshakeComplete, true)
			_, err := r.Body.Read(make([]byte, 1))
			return err
		})
		s := n.listen(h, takesEarly)
		x := n.early(s).open(headers(get("/")...))
		time.Sleep(time.Second)
		if s.count().TooEarly.Load() > 0 { // it was refused in the handshake's last moment
			x.wantAnswer("nobody knows whether it has content", "425", "")
			return
		}
		soon(t, "the handler is called", runs)
		x.Close()
		servetest.WantErr(t, "there was none", soon(t, "there was none", ended), io.EOF)
	})
}

// TestQ7Admit: no rule about the client's address is asked before the handshake
// has proved it.
func TestQ7Admit(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{true, false} {
		script(t, fmt.Sprint("allowed ", allowed), func(t *testing.T, n *network) {
			var asked, released atomic.Int32
			s := n.listen(when, takesEarly, func(cfg *Config) {
				cfg.Admit = func(netip.Addr) bool { return asked.Add(1) == 1 || allowed }
				cfg.Release = func(netip.Addr) { released.Add(1) }
			})
			c := n.early(s)
			before := asked.Load()
			x := c.open(headers(get("/")...))
			x.Close()
			x.wantAnswer("before the handshake", "200", "")
			servetest.Want(t, "nobody was asked before it", asked.Load(), before)
			time.Sleep(slack)
			servetest.Want(t, "asked then", asked.Load(), before+1)
			servetest.Want(t, "the connection has ended", c.q.Context().Err() != nil, !allowed)
			c.q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "")
			time.Sleep(slack)
			servetest.Want(t, "both admitted ones are released", released.Load(), map[bool]int32{true: 2, false: 1}[allowed])
		})
	}
}
