package link_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
)

// forms are the ways in which a handler may run.
var forms = []struct {
	name  string
	http2 bool
	opts  serve.ServerOptions
	shard bool // a shard is the request's home
}{
	{"tasks", false, serve.ServerOptions{Tasks: true}, true},
	{"goroutines", false, serve.ServerOptions{}, true},
	{"h2", true, serve.ServerOptions{Tasks: true}, true},
	{"portable", false, serve.ServerOptions{EventLoop: serve.EventLoopOff}, false},
}

// eachForm runs f with a function that serves h and answers one request's text.
func eachForm(t *testing.T, f func(t *testing.T, shard bool, ask func(ctx context.Context, h http.HandlerFunc) (string, error))) {
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			f(t, form.shard, func(ctx context.Context, h http.HandlerFunc) (string, error) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				opts := form.opts
				opts.ErrorLog = slog.New(slog.DiscardHandler)
				done := make(chan struct{})
				srv := &serve.Server{Options: opts, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(done)
					h(w, r)
				})}
				served := make(chan error, 1)
				go func() { served <- srv.Serve(l) }()
				defer func() {
					<-done // or Close would end the handler's waits
					srv.Close()
					if err := <-served; !errors.Is(err, http.ErrServerClosed) {
						t.Errorf("serve: %v", err)
					}
				}()
				p := new(http.Protocols)
				p.SetHTTP1(!form.http2)
				p.SetUnencryptedHTTP2(form.http2)
				tr := &http.Transport{Protocols: p}
				defer tr.CloseIdleConnections()
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/", nil)
				res, err := tr.RoundTrip(req)
				if err != nil {
					return "", err
				}
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				return string(b), err
			})
		})
	}
}

// upstream answers each line with "up " before it, over TLS if cfg is not nil,
// and the line "bye" with the end of the connection.
func upstream(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if cfg != nil {
				c = tls.Server(c, cfg)
			}
			wg.Go(func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil || line == "bye\n" {
						return
					}
					if line != "silence\n" {
						io.WriteString(c, "up "+line)
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func say(c link.Conn, line string) string {
	if err := c.WriteBoth([]byte(line), []byte("\n")); err != nil {
		return err.Error()
	}
	var b [512]byte
	n, err := c.Read(b[:])
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[:n]))
}

// TestConn: a connection is dialled, used, idle and used again, and tells when
// it cannot be.
func TestConn(t *testing.T) {
	cert, err := certs.SelfSigned([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		name, server := "clear", (*tls.Config)(nil)
		if secure {
			name, server = "TLS", &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		t.Run(name, func(t *testing.T) {
			addr := upstream(t, server)
			eachForm(t, func(t *testing.T, shard bool, ask func(context.Context, http.HandlerFunc) (string, error)) {
				got, err := ask(t.Context(), func(w http.ResponseWriter, r *http.Request) {
					home := link.HomeOf(r.Context(), &link.Portable{})
					if (home.Index() != 0) != shard {
						t.Errorf("home %d, is a shard's: want %v", home.Index(), shard)
					}
					c, err := home.Dial(r.Context(), "tcp", addr)
					if err != nil {
						t.Error(err)
						return
					}
					if secure {
						raw := c
						if c, err = link.Handshake(raw, &tls.Config{InsecureSkipVerify: true}, 10*time.Second); err != nil {
							t.Error(err)
							return
						}
					}
					defer c.Close()
					io.WriteString(w, say(c, "one"))
					if _, err := c.TryRead(make([]byte, 1)); err != link.ErrWouldBlock {
						t.Errorf("nothing is here: %v, want %v", err, link.ErrWouldBlock)
					}
					c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
					if got := say(c, "silence"); !strings.Contains(got, os.ErrDeadlineExceeded.Error()) {
						t.Errorf("behind the deadline: %q", got)
					}
					c.SetReadDeadline(time.Time{})
					c.Detach()
					if c.Stale() {
						t.Error("an idle connection is stale")
						return
					}
					c.Attach(r.Context())
					io.WriteString(w, " "+say(c, "two"))
					if got := say(c, "bye"); got != io.EOF.Error() {
						t.Errorf("at its end: %q, want EOF", got)
					}
				})
				if want := "up one up two"; got != want || err != nil {
					t.Errorf("got %q and %v, want %q", got, err, want)
				}
			})
		})
	}
}

// TestCancelled: a wait ends when the client leaves.
func TestCancelled(t *testing.T) {
	addr := upstream(t, nil)
	eachForm(t, func(t *testing.T, _ bool, ask func(context.Context, http.HandlerFunc) (string, error)) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		_, err := ask(ctx, func(_ http.ResponseWriter, r *http.Request) {
			c, err := link.HomeOf(r.Context(), &link.Portable{}).Dial(r.Context(), "tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			cancel()
			_, err = c.Read(make([]byte, 1))
			ended <- err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the client's error: %v", err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's wait ended with %v, want %v", err, context.Canceled)
		}
	})
}

// TestWaiter: a wait ends by Wake, of before too, and at its time; what Go runs
// has the same home.
func TestWaiter(t *testing.T) {
	eachForm(t, func(t *testing.T, _ bool, ask func(context.Context, http.HandlerFunc) (string, error)) {
		got, err := ask(t.Context(), func(w http.ResponseWriter, r *http.Request) {
			p := &link.Portable{}
			home := link.HomeOf(r.Context(), p)
			waiter := home.Waiter(r.Context())
			waiter.Wake()
			if err := waiter.Wait(time.Time{}); err != nil {
				t.Errorf("woken before: %v", err)
			}
			if err := waiter.Wait(time.Now().Add(10 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("at its time: %v", err)
			}
			same := false
			home.Go(context.WithoutCancel(r.Context()), func(ctx context.Context) {
				same = link.HomeOf(ctx, p).Index() == home.Index()
				waiter.Wake()
			})
			if err := waiter.Wait(time.Now().Add(10 * time.Second)); err != nil {
				t.Errorf("woken by another: %v", err)
			}
			if same {
				io.WriteString(w, "same")
			}
		})
		if got != "same" || err != nil {
			t.Errorf("got %q and %v, want %q", got, err, "same")
		}
	})
}
