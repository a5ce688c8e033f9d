package serve_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Headers of 192.0.2.1:56324, who has connected to 198.51.100.7:443, and of nobody
// in particular.
const (
	proxyV1      = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
	proxyV2      = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x13\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb\x04\x00\x04pads"
	proxyUnknown = "PROXY UNKNOWN\r\n"
	proxyLocal   = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

	proxiedFrom, proxiedTo = "192.0.2.1:56324", "198.51.100.7:443"
)

// byLoopback trusts who comes from this machine.
func byLoopback() *listener.Proxies {
	return listener.NewProxies(listener.ProxyConfig{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: patience})
}

// tellAddresses answers with the protocol and the addresses that a handler sees.
func tellAddresses(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s %s", r.Proto, r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey))
}

// proxying is the end of a proxy: what is written first is the header.
type proxying struct {
	net.Conn
	header string
	way    string // together, apart, in bytes
}

func (c *proxying) Write(p []byte) (int, error) {
	header := c.header
	c.header = ""
	switch {
	case header == "":
		return c.Conn.Write(p)
	case c.way == "together":
		n, err := c.Conn.Write(append([]byte(header), p...))
		return max(0, n-len(header)), err
	case c.way == "in bytes":
		for _, b := range []byte(header) {
			if _, err := c.Conn.Write([]byte{b}); err != nil {
				return 0, err
			}
			time.Sleep(time.Millisecond)
		}
	default:
		if _, err := io.WriteString(c.Conn, header); err != nil {
			return 0, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return c.Conn.Write(p)
}

func (c *proxying) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// dialProxied connects as a proxy does, which writes header before the rest.
func dialProxied(t *testing.T, r *running, header, way string, protos ...string) net.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", r.addr)
	servetest.Must(t, "dial", err)
	raw.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { raw.Close() })
	c := net.Conn(&proxying{raw, header, way})
	if r.secure {
		cfg := clientTLS()
		cfg.NextProtos = protos
		c = tls.Client(c, cfg)
	}
	return c
}

// TestProxied: with either version of the header, however it arrives, handlers see
// the client, over each protocol.
func TestProxied(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: byLoopback()})
			for _, header := range []struct {
				name, bytes string
				own         bool // the connection's own addresses hold
			}{
				{"v1", proxyV1, false}, {"v2", proxyV2, false}, {"unknown", proxyUnknown, true}, {"local", proxyLocal, true},
			} {
				for _, way := range []string{"together", "apart", "in bytes"} {
					c := dialProxied(t, r, header.bytes, way, "http/1.1")
					io.WriteString(c, getSlash)
					seen := proxiedFrom + " " + proxiedTo
					if header.own {
						seen = c.LocalAddr().String() + " " + r.addr
					}
					br := bufio.NewReader(c)
					why := header.name + ", " + way
					_, body := answer(t, why, br)
					servetest.Want(t, why+", HTTP/1.1", body, "HTTP/1.1 "+seen)
					io.WriteString(c, getSlash)
					_, body = answer(t, why, br)
					servetest.Want(t, why+", second request", body, "HTTP/1.1 "+seen)
					c.Close()

					c = dialProxied(t, r, header.bytes, way, "h2")
					if header.own {
						seen = c.LocalAddr().String() + " " + r.addr
					}
					p := newH2Peer(t, c)
					p.want(why, p.get("/"), "200", "HTTP/2.0 "+seen)
					p.close()
				}
			}
			servetest.Want(t, "headers missed", r.Stats().ProxyHeaderErrors, 0)
			r.stop(t)
		})
	}
}

// TestProxiedUntrusted: who is no proxy is served as what he is, and his header is
// bad bytes (P-4).
func TestProxiedUntrusted(t *testing.T) {
	elsewhere := listener.NewProxies(listener.ProxyConfig{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: elsewhere})
			c, br := r.dial(t)
			io.WriteString(c, getSlash)
			_, body := answer(t, "without a header", br)
			servetest.Want(t, "without a header", body, "HTTP/1.1 "+c.LocalAddr().String()+" "+r.addr)
			c.Close()
			for _, header := range []string{proxyV1, proxyV2} {
				raw, err := net.Dial("tcp", r.addr)
				servetest.Must(t, "dial", err)
				raw.SetDeadline(time.Now().Add(patience))
				io.WriteString(raw, header+getSlash)
				got, _ := io.ReadAll(raw) // an alert or a 400, then the end
				if strings.Contains(string(got), "192.0.2.1") || strings.Contains(string(got), " 200 ") {
					t.Errorf("a header of nobody was believed: %q", got)
				}
				if !form.secure && !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
					t.Errorf("%q: got %q, want 400", header[:6], got)
				}
				raw.Close()
			}
			r.stop(t)
		})
	}
}

// TestProxiedRefused: a proxy that sends no whole, sound header in time is cut off
// without an answer, and counted; nothing else suffers.
func TestProxiedRefused(t *testing.T) {
	inTime := func(wait time.Duration) listener.ProxyConfig {
		return listener.ProxyConfig{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: wait}
	}
	proxies := listener.NewProxies(inTime(patience))
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			var heard sync.Map // of connections whose header came
			r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{
				EventLoop: form.loop, Proxies: proxies,
				ConnState: func(c net.Conn, s http.ConnState) { heard.Store(c.RemoteAddr().String(), s) },
			})
			missed := uint64(0)
			for _, test := range []struct {
				name, sent string
				close      bool // our half, at once
				late       bool // the time is what ends it
				counts     bool
			}{
				{"nothing", "", false, true, true},
				{"a request", getSlash, false, false, true},
				{"half a header", proxyV2[:20], false, true, true},
				{"half a header and an end", proxyV1[:20], true, false, true},
				{"a malformed one", "PROXY TCP4 nobody nowhere 1 2\r\n" + getSlash, false, false, true},
				{"an endless one", "PROXY " + strings.Repeat("x", 4000), false, false, true},
				{"one that is too large", proxyV2[:14] + "\xff\xff" + strings.Repeat("x", 70_000), false, false, true},
				{"an end", "", true, false, false},
			} {
				proxies.Set(inTime(patience))
				if test.late {
					proxies.Set(inTime(100 * time.Millisecond))
				}
				c, err := net.Dial("tcp", r.addr)
				servetest.Must(t, "dial", err)
				c.SetDeadline(time.Now().Add(patience))
				io.WriteString(c, test.sent)
				if test.close {
					c.(*net.TCPConn).CloseWrite()
				}
				got, _ := io.ReadAll(c)
				servetest.Want(t, test.name+": the answer", string(got), "")
				c.Close()
				if test.counts {
					missed++
				}
				servetest.WantSoon(t, test.name+" is counted", func() bool { return r.Stats().ProxyHeaderErrors == missed })
			}
			heard.Range(func(k, v any) bool {
				t.Errorf("the observer heard of %v: %v", k, v)
				return true
			})
			proxies.Set(inTime(patience))
			c := dialProxied(t, r, proxyV1, "together", "http/1.1")
			io.WriteString(c, getSlash)
			_, body := answer(t, "the next", bufio.NewReader(c))
			servetest.Want(t, "the next", body, "HTTP/1.1 "+proxiedFrom+" "+proxiedTo)
			c.Close()
			if _, ok := heard.Load(proxiedFrom); !ok {
				t.Error("the observer has not heard of the client")
			}
			r.stop(t)
		})
	}
}

// TestProxiedFlood: connections that say no word are bounded in number (S-6), as in
// time, and who asks behind them is served.
func TestProxiedFlood(t *testing.T) {
	const most, flood = 8, 60
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: byLoopback(), MaxHandshakes: most})
			var silent []net.Conn
			for range flood {
				c, err := net.Dial("tcp", r.addr)
				servetest.Must(t, "dial", err)
				defer c.Close()
				silent = append(silent, c)
			}
			servetest.WantSoon(t, "above the bound they are refused", func() bool {
				s := r.Stats()
				return s.HandshakesRefused == flood-most && s.Connections == most
			})
			for _, c := range silent {
				c.Close()
			}
			servetest.WantSoon(t, "all have gone", func() bool { return r.Stats().Connections == 0 })
			c := dialProxied(t, r, proxyV2, "together", "http/1.1")
			io.WriteString(c, getSlash)
			answer(t, "afterwards", bufio.NewReader(c))
			c.Close()
			r.stop(t)
		})
	}
}

// TestProxiedClose: a header with an end behind it is a connection without a request.
func TestProxiedClose(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: byLoopback()})
			for _, reset := range []bool{false, true} {
				for range 20 {
					c, err := net.Dial("tcp", r.addr)
					servetest.Must(t, "dial", err)
					io.WriteString(c, proxyV2)
					if reset {
						c.(*net.TCPConn).SetLinger(0)
					}
					c.Close()
				}
			}
			servetest.WantSoon(t, "all have gone", func() bool { s := r.Stats(); return s.Accepted == 40 && s.Connections == 0 })
			r.stop(t)
		})
	}
}

// TestProxiedHijack: what a handler takes over has the client's addresses as well,
// and what it can do.
func TestProxiedHijack(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, func(w http.ResponseWriter, _ *http.Request) {
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				defer c.Close()
				fmt.Fprintf(c, "%s %s\n", c.RemoteAddr(), c.LocalAddr())
				io.Copy(c, rw.Reader)
				c.(interface{ CloseWrite() error }).CloseWrite()
			}, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: byLoopback()})
			c := dialProxied(t, r, proxyV1, "together", "http/1.1")
			io.WriteString(c, getSlash+"echo")
			c.(interface{ CloseWrite() error }).CloseWrite()
			got, err := io.ReadAll(c)
			servetest.Must(t, "read", err)
			servetest.Want(t, "what it sees, and sends", string(got), proxiedFrom+" "+proxiedTo+"\necho")
			c.Close()
			r.stop(t)
		})
	}
}

// TestProxiedHello: a certificate is chosen by where the client has connected to.
func TestProxiedHello(t *testing.T) {
	for _, loop := range []serve.EventLoopMode{serve.EventLoopOn, serve.EventLoopOff} {
		group, err := listener.Listen(t.Context(), listener.Config{Address: "127.0.0.1:0"})
		servetest.Must(t, "listen", err)
		seen := make(chan string, 1)
		cert, _ := testCert()
		r := &running{addr: group.Addr().String(), secure: true, ended: make(chan error, 1), Server: &serve.Server{
			Handler: http.HandlerFunc(tellAddresses), Options: serve.ServerOptions{EventLoop: loop, ErrorLog: quiet(), Proxies: byLoopback()},
			TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				seen <- h.Conn.RemoteAddr().String() + " " + h.Conn.LocalAddr().String()
				return &cert, nil
			}},
		}}
		go func() { r.ended <- r.ServeTLS(group, "", "") }()
		c := dialProxied(t, r, proxyV2, "together")
		servetest.Must(t, "handshake", c.(*tls.Conn).HandshakeContext(t.Context()))
		servetest.Want(t, "addresses", within(t, "the choice", seen), proxiedFrom+" "+proxiedTo)
		c.Close()
		r.stop(t)
	}
}

// TestProxiedUnix: a unix socket's peers are trusted by its kind.
func TestProxiedUnix(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			path := filepath.Join(t.TempDir(), "s")
			for _, trusted := range []bool{true, false} {
				group, err := listener.Listen(t.Context(), listener.Config{Network: "unix", Address: path})
				servetest.Must(t, "listen", err)
				srv := &serve.Server{Handler: http.HandlerFunc(tellAddresses), TLSConfig: serverTLS(), Options: serve.ServerOptions{
					EventLoop: form.loop, ErrorLog: quiet(),
					Proxies: listener.NewProxies(listener.ProxyConfig{Unix: trusted, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: patience}),
				}}
				r := &running{Server: srv, addr: path, secure: form.secure, ended: make(chan error, 1)}
				go func() {
					if form.secure {
						r.ended <- srv.ServeTLS(group, "", "")
						return
					}
					r.ended <- srv.Serve(group)
				}()
				header, seen := "", "@ "+path
				if trusted {
					header, seen = proxyV2, proxiedFrom+" "+proxiedTo
				}
				for _, way := range []string{"together", "apart", "in bytes"} {
					raw, err := net.Dial("unix", path)
					servetest.Must(t, "dial", err)
					raw.SetDeadline(time.Now().Add(patience))
					c := net.Conn(&proxying{raw, header, way})
					if form.secure {
						c = tls.Client(c, clientTLS())
					}
					io.WriteString(c, getSlash)
					_, body := answer(t, way, bufio.NewReader(c))
					servetest.Want(t, way, body, "HTTP/1.1 "+seen)
					c.Close()
				}
				r.stop(t)
			}
		})
	}
}

// TestProxiedDrain: a connection whose header comes during the drain is served and
// ends; one whose header does not come holds the drain no longer than that wait.
func TestProxiedDrain(t *testing.T) {
	for _, form := range stopForms {
		for _, comes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", form.name, comes), func(t *testing.T) {
				servetest.CheckLeaks(t)
				wait := patience
				if !comes {
					wait = 200 * time.Millisecond
				}
				proxies := listener.NewProxies(listener.ProxyConfig{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: wait})
				r := startServer(t, tellAddresses, form.secure, serve.ServerOptions{EventLoop: form.loop, Proxies: proxies})
				c := dialProxied(t, r, proxyV1, "together", "http/1.1")
				servetest.WantSoon(t, "it is accepted", func() bool { return r.Stats().Accepted == 1 })
				stopped := make(chan error, 1)
				go func() { stopped <- r.Shutdown(t.Context()) }()
				servetest.WantErr(t, "it listens no more", within(t, "it listens no more", r.ended), http.ErrServerClosed)
				if comes {
					io.WriteString(c, getSlash)
					resp, body := answer(t, "during the drain", bufio.NewReader(c))
					servetest.Want(t, "during the drain", body, "HTTP/1.1 "+proxiedFrom+" "+proxiedTo)
					servetest.Want(t, "it is the last", resp.Close, true)
				}
				servetest.Must(t, "the drain ends", within(t, "the drain ends", stopped))
				servetest.Want(t, "cut", r.DrainReport().Cut, 0)
			})
		}
	}
}

// TestProxiedStates: observers hear of a connection when it has its client.
func TestProxiedStates(t *testing.T) {
	for _, loop := range []serve.EventLoopMode{serve.EventLoopOn, serve.EventLoopOff} {
		var mu sync.Mutex
		var states []string
		r := startServer(t, tellAddresses, false, serve.ServerOptions{
			EventLoop: loop, Proxies: byLoopback(),
			ConnState: func(c net.Conn, s http.ConnState) {
				mu.Lock()
				defer mu.Unlock()
				states = append(states, s.String()+" "+c.RemoteAddr().String())
			},
		})
		c := dialProxied(t, r, proxyV1, "apart")
		io.WriteString(c, strings.Replace(getSlash, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		io.ReadAll(c)
		c.Close()
		want := []string{"new " + proxiedFrom, "active " + proxiedFrom, "closed " + proxiedFrom}
		servetest.WantSoon(t, "the end", func() bool { mu.Lock(); defer mu.Unlock(); return len(states) == len(want) })
		if !slices.Equal(states, want) {
			t.Errorf("%v, want %v", states, want)
		}
		r.stop(t)
	}
}
