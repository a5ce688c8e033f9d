package serve_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

var tlsForms = []struct {
	name string
	loop serve.EventLoopMode
}{{"event loop", serve.EventLoopOn}, {"portable", serve.EventLoopOff}}

var tlsVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// forTLS runs f for each form and version.
func forTLS(t *testing.T, f func(t *testing.T, loop serve.EventLoopMode, version uint16)) {
	for _, form := range tlsForms {
		for _, v := range tlsVersions {
			t.Run(form.name+"/"+tls.VersionName(v), func(t *testing.T) {
				servetest.CheckLeaks(t)
				f(t, form.loop, v)
			})
		}
	}
}

// only is a client configuration of one version.
func only(version uint16) *tls.Config {
	cfg := clientTLS()
	cfg.MinVersion, cfg.MaxVersion = version, version
	return cfg
}

func echo(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }

// overTLS dials and shakes hands over a connection that wrap may replace.
func overTLS(t *testing.T, addr string, cfg *tls.Config, wrap func(net.Conn) net.Conn) *tls.Conn {
	t.Helper()
	plain, err := net.Dial("tcp", addr)
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { plain.Close() })
	plain.SetDeadline(time.Now().Add(patience))
	if wrap != nil {
		plain = wrap(plain)
	}
	c := tls.Client(plain, cfg)
	servetest.Must(t, "handshake", c.Handshake())
	return c
}

// TestTLSVersions: 1.2 and 1.3 serve, 1.1 and foreign protocols do not.
func TestTLSVersions(t *testing.T) {
	forTLS(t, func(t *testing.T, loop serve.EventLoopMode, version uint16) {
		r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%x %s %s", r.TLS.Version, r.TLS.NegotiatedProtocol, r.TLS.ServerName)
		}, true, serve.ServerOptions{EventLoop: loop})
		for _, alpn := range []string{"", "http/1.1"} {
			cfg := only(version)
			if alpn != "" {
				cfg.NextProtos = []string{"spdy/3", alpn}
			}
			c := overTLS(t, r.addr, cfg, nil)
			io.WriteString(c, getSlash)
			_, body := answer(t, "GET", bufio.NewReader(c))
			servetest.Want(t, "what the handler sees", body, fmt.Sprintf("%x %s localhost", version, alpn))
			c.Close()
		}
		for _, cfg := range []*tls.Config{
			{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			{InsecureSkipVerify: true, NextProtos: []string{"spdy/3"}},
			{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
		} {
			c, err := tls.Dial("tcp", r.addr, cfg)
			if err == nil {
				c.Close()
				t.Errorf("shook hands with %+v", cfg)
			}
		}
		servetest.WantSoon(t, "handshakes are counted", func() bool { s := r.Stats(); return s.Handshakes == 2 && s.HandshakeErrors == 3 })
		r.stop(t)
	})
}

// TestResumption: a session of one listener goes on at another of the server.
func TestResumption(t *testing.T) {
	forTLS(t, func(t *testing.T, loop serve.EventLoopMode, version uint16) {
		resumed := make(chan bool, 1)
		s := &serve.Server{TLSConfig: serverTLS(), Options: serve.ServerOptions{EventLoop: loop}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			resumed <- r.TLS.DidResume
		})}
		ended := make(chan error, 2)
		cfg := only(version)
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i := range 2 {
			l := listenTCP(t)
			go func() { ended <- s.ServeTLS(l, "", "") }()
			c := overTLS(t, l.Addr().String(), cfg, nil)
			io.WriteString(c, getSlash)
			answer(t, "GET", bufio.NewReader(c)) // TLS 1.3: its ticket came before
			servetest.Want(t, fmt.Sprintf("listener %d: resumed", i), within(t, "handler", resumed), i == 1)
			c.Close()
		}
		servetest.Must(t, "Close", s.Close())
		within(t, "Serve returns", ended)
		within(t, "Serve returns", ended)
	})
}

// TestStalledHello: clients that do not shake hands are ended at the deadline,
// and hold up nobody meanwhile, however many.
func TestStalledHello(t *testing.T) {
	for _, form := range tlsForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, echo, true, serve.ServerOptions{EventLoop: form.loop, HandshakeTimeout: 2 * time.Second})
			var stalled []net.Conn
			for i := range 60 {
				c, err := net.Dial("tcp", r.addr)
				servetest.Must(t, "dial", err)
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				c.Write([]byte{22, 3, 1, 2, 0, 1, 0}[:i%8]) // nothing, or the begin of a hello
				stalled = append(stalled, c)
			}
			begin := time.Now()
			c := overTLS(t, r.addr, clientTLS(), nil)
			io.WriteString(c, getSlash)
			answer(t, "beside stalled hellos", bufio.NewReader(c))
			c.Close()
			for _, c := range stalled {
				_, err := io.Copy(io.Discard, c)
				var ne net.Error
				if errors.As(err, &ne) && ne.Timeout() {
					t.Fatal("a stalled hello was not ended")
				}
			}
			if d := time.Since(begin); d < time.Second {
				t.Errorf("stalled hellos ended after %v, before their deadline", d)
			}
			r.stop(t)
		})
	}
}

// TestPlainOnTLSPort: it is refused, nothing is served, and others are.
func TestPlainOnTLSPort(t *testing.T) {
	for _, form := range tlsForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.TLS == nil {
					t.Error("served in the clear")
				}
			}, true, serve.ServerOptions{EventLoop: form.loop})
			plain, err := net.Dial("tcp", r.addr)
			servetest.Must(t, "dial", err)
			defer plain.Close()
			plain.SetDeadline(time.Now().Add(patience))
			io.WriteString(plain, getSlash)
			got, err := io.ReadAll(plain)
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() || bytes.Contains(got, []byte(" 200 ")) {
				t.Errorf("plain HTTP got %q, %v", got, err)
			}
			c := overTLS(t, r.addr, clientTLS(), nil)
			io.WriteString(c, getSlash)
			answer(t, "over TLS", bufio.NewReader(c))
			c.Close()
			r.stop(t)
		})
	}
}

// dribble writes a byte at a time.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// TestRecordsInBytes: hello, records and all come a byte at a time.
func TestRecordsInBytes(t *testing.T) {
	forTLS(t, func(t *testing.T, loop serve.EventLoopMode, version uint16) {
		r := startServer(t, echo, true, serve.ServerOptions{EventLoop: loop})
		c := overTLS(t, r.addr, only(version), func(c net.Conn) net.Conn { return dribble{c} })
		br := bufio.NewReader(c)
		for range 3 {
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\n")
			io.WriteString(c, strings.Repeat("b", 300))
			_, body := answer(t, "POST", br)
			servetest.Want(t, "body", body, strings.Repeat("b", 300))
		}
		c.Close()
		r.stop(t)
	})
}

// cutter writes in two pieces, the first of at bytes, with time between them
// for the server to read it.
type cutter struct {
	net.Conn
	at int
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.at <= 0 || c.at >= len(p) {
		return c.Conn.Write(p)
	}
	if n, err := c.Conn.Write(p[:c.at]); err != nil {
		return n, err
	}
	time.Sleep(time.Millisecond)
	n, err := c.Conn.Write(p[c.at:])
	return c.at + n, err
}

// TestRecordsCut: a record cut at every byte, on one kept connection.
func TestRecordsCut(t *testing.T) {
	forTLS(t, func(t *testing.T, loop serve.EventLoopMode, version uint16) {
		r := startServer(t, echo, true, serve.ServerOptions{EventLoop: loop})
		cut := &cutter{}
		c := overTLS(t, r.addr, only(version), func(c net.Conn) net.Conn { cut.Conn = c; return cut })
		br := bufio.NewReader(c)
		const request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
		for cut.at = 1; cut.at < len(request)+29; cut.at++ { // 5 of header, up to 24 of nonce and tag
			io.WriteString(c, request)
			_, body := answer(t, fmt.Sprintf("cut at %d", cut.at), br)
			servetest.Want(t, fmt.Sprintf("body, cut at %d", cut.at), body, "body")
		}
		cut.at = 0
		c.Close()
		r.stop(t)
	})
}

// tap keeps what was read.
type tap struct {
	net.Conn
	mu   sync.Mutex
	read []byte
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	t.read = append(t.read, p[:n]...)
	t.mu.Unlock()
	return n, err
}

// lastRecord is the type and the length of the last whole record read.
func (t *tap) lastRecord() (kind byte, length int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := t.read; len(b) >= 5; {
		kind, length = b[0], int(b[3])<<8|int(b[4])
		b = b[min(len(b), 5+length):]
	}
	return kind, length
}

// alerted tells whether an alert came last: by its type, in TLS 1.3 by its
// length (2 bytes, type, tag), since the type is encrypted.
func (t *tap) alerted(version uint16) bool {
	kind, length := t.lastRecord()
	if version == tls.VersionTLS12 {
		return kind == 21
	}
	return length == 2+1+16
}

// TestCloseNotify: a clean end is told (RFC 8446 §6.1), an aborted answer is
// not, or it could pass for a whole one.
func TestCloseNotify(t *testing.T) {
	forTLS(t, func(t *testing.T, loop serve.EventLoopMode, version uint16) {
		r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "whole")
			if r.URL.Path == "/abort" {
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		}, true, serve.ServerOptions{EventLoop: loop})
		tests := []struct {
			name, request string
			want          bool
		}{
			{"Connection: close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true},
			{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", true},
			{"refused", "GET / HTTP/1.1\r\n\r\n", true},
			{"aborted", "GET /abort HTTP/1.0\r\n\r\n", false},
		}
		for _, test := range tests {
			var wire *tap
			c := overTLS(t, r.addr, only(version), func(c net.Conn) net.Conn { wire = &tap{Conn: c}; return wire })
			io.WriteString(c, test.request)
			if _, err := io.ReadAll(c); err != nil && test.want {
				t.Errorf("%s: %v", test.name, err)
			}
			servetest.Want(t, test.name+": close_notify", wire.alerted(version), test.want)
			c.Close()
		}
		var wire *tap
		c := overTLS(t, r.addr, only(version), func(c net.Conn) net.Conn { wire = &tap{Conn: c}; return wire })
		io.WriteString(c, getSlash)
		br := bufio.NewReader(c)
		answer(t, "kept", br)
		r.stop(t)
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("idle at the stop: %v", err)
		}
		servetest.Want(t, "idle at the stop: close_notify", wire.alerted(version), true)
	})
}

// TestHijackTLS: both directions at once, with net's deadlines.
func TestHijackTLS(t *testing.T) {
	forTLS(t, func(t *testing.T, loop serve.EventLoopMode, version uint16) {
		r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, ok := conn.(*tls.Conn); !ok {
				t.Errorf("hijacked a %T, want a *tls.Conn", conn)
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if _, err := rw.ReadByte(); kind(err) != "timeout" {
				t.Errorf("deadline: %v", err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, "go\n")
			io.Copy(conn, io.LimitReader(conn, 1<<20))
		}, true, serve.ServerOptions{EventLoop: loop})
		c := overTLS(t, r.addr, only(version), nil)
		io.WriteString(c, getSlash)
		br := bufio.NewReader(c)
		if line, err := br.ReadString('\n'); line != "go\n" {
			t.Fatalf("%q %v", line, err)
		}
		var group sync.WaitGroup
		group.Go(func() { io.Copy(c, pattern(1<<20)) })
		n, got, err := sum(br)
		group.Wait()
		_, want, _ := sum(pattern(1 << 20))
		if n != 1<<20 || got != want || err != nil {
			t.Errorf("echoed %d bytes, right %v, %v", n, got == want, err)
		}
		c.Close()
		r.stop(t)
	})
}
