package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// long gives n bytes that tell their place.
func long(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return b
}

// pipeWatch is a ResponseWriter that counts what goes by SendPipe.
type pipeWatch struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w pipeWatch) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w pipeWatch) engine() interface {
	TakesPipe(int64) bool
	SendPipe(int, int64) (int64, error)
} {
	return w.ResponseWriter.(interface {
		TakesPipe(int64) bool
		SendPipe(int, int64) (int64, error)
	})
}

func (w pipeWatch) TakesPipe(n int64) bool { return w.engine().TakesPipe(n) }

func (w pipeWatch) SendPipe(fd int, n int64) (int64, error) {
	n, err := w.engine().SendPipe(fd, n)
	w.sent.Add(n)
	return n, err
}

// TestLongAnswers: long content comes through as it is, in every form; over HTTP/1.1
// in clear text between event loop and clear upstream it does not pass through the
// program. The connection to the upstream is used again.
func TestLongAnswers(t *testing.T) {
	content := long(3<<20 + 7)
	var conns atomic.Int32
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := len(content)
		fmt.Sscan(r.URL.Query().Get("n"), &n)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		for b := content[:n]; len(b) > 0; {
			m := min(len(b), 100_000)
			w.Write(b[:m])
			w.(http.Flusher).Flush()
			b = b[m:]
		}
	}))
	origin.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	origin.Start()
	t.Cleanup(origin.Close)
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			conns.Store(0)
			p := newProxy(t, proxy.Options{Service: newService(t, proxy.ServiceOptions{}, origin.URL)})
			var sent atomic.Int64
			spliced := f.major == 1 && !f.secure && f.opts.Tasks
			front, client := f.serveFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if spliced {
					w = pipeWatch{w, &sent}
				}
				p.ServeHTTP(w, r)
			}))
			for _, n := range []int{100_000, 256 << 10, len(content), 1, 1 << 20} {
				sent.Store(0)
				a := do(t.Context(), client, "GET", fmt.Sprint(front, "/?n=", n), nil)
				if a.err != nil || a.status != 200 || !bytes.Equal([]byte(a.body), content[:n]) {
					t.Fatalf("%d bytes: %v, status %d, %d bytes", n, a.err, a.status, len(a.body))
				}
				if spliced && n > 256<<10 && sent.Load() == 0 {
					t.Errorf("%d bytes: none of them went by a pipe", n)
				}
			}
			if spliced && conns.Load() != 1 {
				t.Errorf("%d connections to the upstream, want 1", conns.Load())
			}
		})
	}
}

// raw is an upstream that answers each connection's first request by f.
func raw(t testing.TB, f func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				if _, err := c.Read(b); err == nil {
					f(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	servetest.Must(t, "descriptors", err)
	return len(d)
}

// TestLongAnswerFaults: what goes wrong in the middle of long content is seen by the
// client as cut, whole or not at all, and leaves no descriptor behind.
func TestLongAnswerFaults(t *testing.T) {
	const size = 4 << 20
	content := long(size)
	head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	for _, tt := range []struct {
		name     string
		upstream func(c net.Conn)
		whole    bool
	}{
		{"whole", func(c net.Conn) { c.Write(head); c.Write(content) }, true},
		{"cut in the middle", func(c net.Conn) { c.Write(head); c.Write(content[:size/2]) }, false},
		{"one byte is missing", func(c net.Conn) { c.Write(head); c.Write(content[:size-1]) }, false},
		{"reset", func(c net.Conn) {
			c.Write(head)
			c.Write(content[:size/2])
			c.(*net.TCPConn).SetLinger(0)
		}, false},
		{"silent in the middle", func(c net.Conn) {
			c.Write(head)
			c.Write(content[:size/2])
			io.Copy(io.Discard, c)
		}, false},
		{"more than was said", func(c net.Conn) {
			c.Write(head)
			c.Write(append(bytes.Clone(content), "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary"...))
			io.Copy(io.Discard, c)
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := unhurried()
			if tt.name == "silent in the middle" {
				o.IdleTimeout = short
			}
			p := newProxy(t, proxy.Options{Service: newService(t, o, raw(t, tt.upstream))})
			front, client := forms[0].serveFront(t, p)
			for range 3 {
				a := do(t.Context(), client, "GET", front, nil)
				switch {
				case a.status != 200:
					t.Fatalf("status %d, %v", a.status, a.err)
				case !bytes.Equal([]byte(a.body), content[:len(a.body)]):
					t.Fatal("other content")
				case tt.whole != (a.err == nil && len(a.body) == size):
					t.Fatalf("%d of %d bytes, %v", len(a.body), size, a.err)
				}
			}
		})
	}
}

// TestLongAnswerCancel: a client that reads nothing, and one that leaves, let go of
// upstream and pipe.
func TestLongAnswerCancel(t *testing.T) {
	const size = 64 << 20
	ended := make(chan struct{}, 1)
	origin := raw(t, func(c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
		for b := long(1 << 20); ; {
			if _, err := c.Write(b); err != nil {
				ended <- struct{}{}
				return
			}
		}
	})
	p := newProxy(t, proxy.Options{Service: newService(t, unhurried(), origin)})
	front, client := forms[0].serveFront(t, p)
	before := 0
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", front, nil)
		servetest.Must(t, "request", err)
		r, err := client.Do(req)
		servetest.Must(t, "answer", err)
		if _, err := io.CopyN(io.Discard, r.Body, 2<<20); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		cancel()
		r.Body.Close()
		<-ended
		if i == 0 {
			before = descriptors(t)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); descriptors(t) > before+8; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors after the first, %d after the last", before, descriptors(t))
		}
	}
}

// noPipe hides that an engine takes a pipe.
type noPipe struct{ http.ResponseWriter }

func (w noPipe) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// BenchmarkProxyLong is a long answer through a front over HTTP/1.1 from an upstream
// over HTTP/1.1, in clear text; "copied" hides that the front could take a pipe.
// cpu-ns/op is the process's, client and upstream included, which cost the same.
func BenchmarkProxyLong(b *testing.B) {
	for _, size := range []int{100 << 10, 256 << 10, 320 << 10, 512 << 10, 1 << 20, 16 << 20} {
		answer := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size), long(size)...)
		origin := raw(b, func(c net.Conn) {
			in := make([]byte, 4096)
			for {
				if _, err := c.Write(answer); err != nil {
					return
				}
				if _, err := c.Read(in); err != nil {
					return
				}
			}
		})
		p := newProxy(b, proxy.Options{Service: newService(b, proxy.ServiceOptions{}, origin)})
		for _, row := range []struct {
			name    string
			handler http.Handler
		}{
			{"passed", p},
			{"copied", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.ServeHTTP(noPipe{w}, r) })},
		} {
			b.Run(fmt.Sprintf("%dK/%s", size>>10, row.name), func(b *testing.B) {
				front, _ := recycling.serveFront(b, row.handler)
				a := ask(b, front)
				in := make([]byte, 256<<10)
				b.SetBytes(int64(size))
				before := cpuUsed()
				for b.Loop() {
					if _, err := a.Write(a.request); err != nil {
						b.Fatal(err)
					}
					for n, head := 0, 0; n < size+head; {
						m, err := a.Read(in)
						if err != nil {
							b.Fatal(err)
						}
						if n == 0 {
							head = bytes.Index(in[:m], []byte("\r\n\r\n")) + 4
						}
						n += m
					}
				}
				b.ReportMetric(float64(cpuUsed()-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
