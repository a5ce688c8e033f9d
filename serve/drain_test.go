package serve_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// A stop, as drain.go draws it:
//
//	Shutdown ──┬─ answers carry Connection: close, idle connections close
//	           ├─ listening sockets are quiesced: no new connection begins
//	           ├─ one round trip later each accept queue is emptied and closed  ── listeners stopped
//	           ├─ requests finish; the last connection of each shard goes       ── drained
//	Close ─────┴─ what is left is cut, and counted                              ── stopped

// stopForms are the ways to serve of which the stop is tested.
var stopForms = []struct {
	name   string
	secure bool
	loop   serve.EventLoopMode
}{
	{"event loop", false, serve.EventLoopOn},
	{"event loop TLS", true, serve.EventLoopOn},
	{"portable", false, serve.EventLoopOff},
	{"portable TLS", true, serve.EventLoopOff},
}

// running is a server under test.
type running struct {
	*serve.Server
	addr   string
	secure bool
	ended  chan error // Serve's answer
}

func startServer(t testing.TB, h http.HandlerFunc, secure bool, opts serve.ServerOptions) *running {
	t.Helper()
	group, err := listener.Listen(context.Background(), listener.Config{Network: "tcp", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if opts.ErrorLog == nil {
		opts.ErrorLog = quiet()
	}
	r := &running{
		Server: &serve.Server{Handler: h, TLSConfig: serverTLS(), Options: opts},
		addr:   group.Addr().String(), secure: secure, ended: make(chan error, 1),
	}
	go func() {
		if secure {
			r.ended <- r.ServeTLS(group, "", "")
		} else {
			r.ended <- r.Serve(group)
		}
	}()
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *running) url() string {
	return form{secure: r.secure}.urlOf(r.addr)
}

func (r *running) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := dialForm(r.addr, r.secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c, bufio.NewReader(c)
}

// stop shuts down within patience.
func (r *running) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	servetest.Must(t, "the drain ends by itself", r.Shutdown(ctx))
	servetest.WantErr(t, "Serve tells why it ended", within(t, "Serve returns", r.ended), http.ErrServerClosed)
}

func answer(t *testing.T, why string, br *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("%s: %v", why, err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatalf("%s: body: %v", why, err)
	}
	return resp, string(body)
}

const getSlash = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// TestDrainUnderLoad stops a server while clients ask at fixed times, on kept
// connections and on one connection for each request. No request that was
// accepted may be lost. Accepted is a request of which the connection was
// established (connect and, under TLS, the handshake succeeded) and that ends
// otherwise than by an orderly or abrupt end of a connection that had served a
// request before, without a byte of an answer: such an idle connection was
// closed as its next request was on its way, which keep-alive has by design,
// and its client asks again (RFC 9112 §9.3.1). The handler's own count sees to
// it that none of those had been read: what it served was answered, all of it.
func TestDrainUnderLoad(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			var served atomic.Int64
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if n := served.Add(1); n%7 == 0 {
					time.Sleep(2 * time.Millisecond)
				}
				io.WriteString(w, "answer")
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			check := func(status int, body []byte) error {
				if status != 200 || string(body) != "answer" {
					return errors.New("wrong answer: " + string(body))
				}
				return nil
			}
			load := servetest.Load{Addr: r.addr, Conns: 40, Interval: 5 * time.Millisecond, Duration: patience, Check: check}
			if form.secure {
				load.TLS = clientTLS()
				load.Conns = 10
			}
			single := load
			single.Conns, single.ConnectPerRequest = load.Conns/2, true
			single.Request = []byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			ctx, cancel := context.WithCancel(context.Background())
			var kept, once *servetest.Outcome
			var group sync.WaitGroup
			group.Go(func() { kept = load.Run(ctx) })
			group.Go(func() { once = single.Run(ctx) })
			servetest.WantSoon(t, "the load is under way", func() bool { return served.Load() > 300 })
			r.stop(t)
			cancel()
			group.Wait()
			servetest.Want(t, "kept connections lost nothing", kept.Failed, 0)
			servetest.Want(t, "one-request connections lost nothing", once.Failed, 0)
			servetest.Want(t, "fresh connections are not idle", once.IdleClosed, 0)
			servetest.Want(t, "all answers are right", kept.WrongAnswers+once.WrongAnswers, 0)
			servetest.Want(t, "all that was served was answered", int64(kept.Answered+once.Answered), served.Load())
			servetest.Want(t, "nothing was cut", r.DrainReport().Cut, 0)
			if t.Failed() {
				t.Logf("kept: %v\nonce: %v", kept, once)
			}
		})
	}
}

// TestDrainHandlers: a slow handler finishes, an idle connection ends, and a
// half-sent body is read and answered after the stop began.
func TestDrainHandlers(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			entered, release := make(chan string, 4), make(chan struct{})
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/slow":
					entered <- "slow"
					<-release
				case "/post":
					var b [4]byte
					io.ReadFull(r.Body, b[:])
					entered <- "post"
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Errorf("%s: %v", r.URL, err)
				}
				io.WriteString(w, "read "+string(body))
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			idle, idleR := r.dial(t)
			io.WriteString(idle, getSlash)
			answer(t, "before the stop", idleR)
			slow, slowR := r.dial(t)
			io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
			post, postR := r.dial(t)
			io.WriteString(post, "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nhalf")
			half, halfR := r.dial(t)
			io.WriteString(half, getSlash+"GET /half HTTP/1.1\r\nHo")
			answer(t, "before a half head", halfR)
			within(t, "a handler runs", entered)
			within(t, "a handler runs", entered)
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				stopped <- r.Shutdown(ctx)
			}()
			if _, err := idleR.ReadByte(); err != io.EOF {
				t.Errorf("the idle connection: %v, want its end", err)
			}
			servetest.WantSoon(t, "no new connections", func() bool {
				c, err := net.DialTimeout("tcp", r.addr, time.Second)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			select {
			case err := <-stopped:
				t.Fatalf("stopped with requests under way: %v", err)
			default:
			}
			io.WriteString(post, "done")
			resp, body := answer(t, "a half-sent body", postR)
			if body != "read done" || !resp.Close {
				t.Errorf("after the stop began: %q, close %v", body, resp.Close)
			}
			io.WriteString(half, "st: h\r\n\r\n")
			if resp, _ = answer(t, "a half-sent head", halfR); !resp.Close {
				t.Error("the answer to a half-sent head does not close")
			}
			close(release)
			resp, body = answer(t, "the slow handler", slowR)
			if body != "read " || !resp.Close {
				t.Errorf("slow: %q, close %v", body, resp.Close)
			}
			servetest.Must(t, "drained", within(t, "Shutdown returns", stopped))
			servetest.WantErr(t, "Serve", within(t, "Serve returns", r.ended), http.ErrServerClosed)
			servetest.Want(t, "finished after the stop", r.DrainReport().Finished, 3)
			servetest.Want(t, "nothing cut", r.DrainReport().Cut, 0)
		})
	}
}

// TestStuckHandler: at the deadline Shutdown gives up, and Close cuts.
func TestStuckHandler(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			entered, left := make(chan struct{}), make(chan error, 1)
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				<-r.Context().Done()
				left <- r.Context().Err()
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			c, br := r.dial(t)
			io.WriteString(c, getSlash)
			within(t, "the handler runs", entered)
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			servetest.WantErr(t, "the deadline passes", r.Shutdown(ctx), context.DeadlineExceeded)
			select {
			case err := <-left:
				t.Fatalf("Shutdown ended the handler: %v", err)
			default:
			}
			servetest.Must(t, "Close", r.Close())
			servetest.WantErr(t, "its context", within(t, "the handler ends", left), context.Canceled)
			servetest.Want(t, "the cut is counted", r.DrainReport().Cut, 1)
			if _, err := br.ReadByte(); err == nil {
				t.Error("a cut connection answered")
			}
			servetest.WantErr(t, "Serve", within(t, "Serve returns", r.ended), http.ErrServerClosed)
		})
	}
}

// TestHijackedContext: the context of a request whose connection was hijacked lives
// until the handler returns, also where it is first asked for after that.
func TestHijackedContext(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				conn, rw, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				done := r.Context().Done()
				line, _ := rw.ReadString('\n')
				select {
				case <-done:
					line = "the context has ended\n"
				default:
				}
				io.WriteString(conn, line)
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			// One whose request is there when it is accepted is not in the epoll set yet.
			for range 50 {
				c, br := r.dial(t)
				io.WriteString(c, getSlash+"lives\n")
				line, err := br.ReadString('\n')
				servetest.Must(t, "read", err)
				servetest.Want(t, "the handler says", line, "lives\n")
				c.Close()
			}
			r.stop(t)
		})
	}
}

// TestDrainHijacked: a hijacked connection is the handler's; nobody waits for it.
func TestDrainHijacked(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			release := make(chan struct{})
			taken := make(chan struct{})
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				close(taken)
				<-release
				io.WriteString(conn, "still here\n")
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			c, br := r.dial(t)
			io.WriteString(c, getSlash)
			within(t, "hijacked", taken)
			r.stop(t)
			servetest.Must(t, "Close", r.Close())
			close(release)
			line, err := br.ReadString('\n')
			if line != "still here\n" || err != nil {
				t.Errorf("after the stop: %q %v", line, err)
			}
		})
	}
}

// TestStopTwice: Shutdown and Close in any order, any number, before Serve too.
func TestStopTwice(t *testing.T) {
	servetest.CheckLeaks(t)
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			r := startServer(t, func(http.ResponseWriter, *http.Request) {}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			c, br := r.dial(t)
			io.WriteString(c, getSlash)
			answer(t, "before the stop", br)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					servetest.Must(t, "Shutdown", r.Shutdown(context.Background()))
				})
			}
			group.Wait()
			for range 2 {
				servetest.Must(t, "Close", r.Close())
				servetest.Must(t, "Shutdown after Close", r.Shutdown(context.Background()))
			}
			servetest.WantErr(t, "Serve", within(t, "Serve returns", r.ended), http.ErrServerClosed)
			l := listenTCP(t)
			servetest.WantErr(t, "a stopped server", r.Serve(l), http.ErrServerClosed)
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener of a stopped server: %v, want it closed", err)
			}
		})
	}
	for _, stop := range []func(*serve.Server) error{
		(*serve.Server).Close,
		func(s *serve.Server) error { return s.Shutdown(context.Background()) },
	} {
		s := &serve.Server{Handler: http.NotFoundHandler()}
		servetest.Must(t, "stop before Serve", stop(s))
		servetest.Must(t, "again", stop(s))
		l := listenTCP(t)
		servetest.WantErr(t, "Serve after the stop", s.Serve(l), http.ErrServerClosed)
		l.Close()
	}
}

// TestManyListeners: one server, clear and TLS and Unix, stopped at once.
func TestManyListeners(t *testing.T) {
	servetest.CheckLeaks(t)
	s := &serve.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi") }), TLSConfig: serverTLS()}
	unixListener, err := net.Listen("unix", t.TempDir()+"/s")
	servetest.Must(t, "unix", err)
	clear, secure := listenTCP(t), listenTCP(t)
	ended := make(chan error, 3)
	go func() { ended <- s.Serve(clear) }()
	go func() { ended <- s.Serve(unixListener) }()
	go func() { ended <- s.ServeTLS(secure, "", "") }()
	for _, l := range []net.Listener{clear, unixListener, secure} {
		var c net.Conn
		if l == secure {
			c, err = tls.Dial("tcp", l.Addr().String(), clientTLS())
		} else {
			c, err = net.Dial(l.Addr().Network(), l.Addr().String())
		}
		servetest.Must(t, "dial", err)
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, getSlash)
		_, body := answer(t, l.Addr().Network(), bufio.NewReader(c))
		servetest.Want(t, "body", body, "hi")
	}
	servetest.Must(t, "Shutdown", s.Shutdown(context.Background()))
	for range 3 {
		servetest.WantErr(t, "Serve", within(t, "Serve returns", ended), http.ErrServerClosed)
	}
}

// TestServeErrors: what Serve refuses.
func TestServeErrors(t *testing.T) {
	servetest.CheckLeaks(t)
	if err := new(serve.Server).Serve(nil); err == nil || !strings.Contains(err.Error(), "listener must not be nil") {
		t.Errorf("nil listener: %v", err)
	}
	l := listenTCP(t)
	defer l.Close()
	s := new(serve.Server)
	if err := s.ServeTLS(l, "", ""); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("no certificate: %v", err)
	}
	if err := s.ServeTLS(l, "/nonexistent.crt", "/nonexistent.key"); err == nil {
		t.Error("files that do not exist")
	}
	s.Close()
	stop := make(chan struct{})
	ok := http.NotFoundHandler()
	cert, _ := testCert()
	for _, test := range []struct {
		info serve.SecureServingInfo
		h    http.Handler
		want string
	}{
		{serve.SecureServingInfo{Certificates: []tls.Certificate{cert}}, ok, "listener must not be nil"},
		{serve.SecureServingInfo{Listener: l, Certificates: []tls.Certificate{cert}}, nil, "handler must not be nil"},
		{serve.SecureServingInfo{Listener: l}, ok, "certificate"},
		{serve.SecureServingInfo{Listener: l, Certificates: []tls.Certificate{cert}, MinTLSVersion: tls.VersionTLS11}, ok, "TLS 1.2"},
	} {
		a, b, err := test.info.Serve(test.h, time.Second, stop)
		if a != nil || b != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v %v %v, want %q", a, b, err, test.want)
		}
	}
	if a, b, err := serve.RunServer(ok, nil, serve.ServerOptions{}, time.Second, stop); a != nil || b != nil || err == nil {
		t.Errorf("RunServer without a listener: %v", err)
	}
}
