package h1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const postTen = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

func TestEarlierAnswerBeforeBodyWait(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write(getHello + postTen)
		a := c.next("earlier answer leaves before the body wait", "GET", c.got())
		_ = a
		c.write("0123456789")
		c.wantFor("post", "POST", 200, "POST /p 0123456789")
	})
}

func TestEarlierAnswerBeforeUnreadWait(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				w.Write(make([]byte, 20000))
				return
			}
			hello(w, r)
		})
		c.write(getHello + postTen)
		c.next("earlier answer leaves while the unread body is awaited", "GET", c.got())
		c.write("0123456789")
		a := c.next("post", "POST", c.got())
		if len(a.body) != 20000 {
			t.Error(len(a.body))
		}
	})
}

func TestBodyIdleAdversary(t *testing.T) {
	script(t, "idle", func(t *testing.T, fm form) {
		var rerr error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { _, rerr = io.ReadAll(r.Body) })
		c.write(postTen + "0123")
		c.wantIdle("waits")
		time.Sleep(9 * time.Second)
		c.wantIdle("before 10 s")
		time.Sleep(61 * time.Second)
		a := c.next("408", "POST", c.got())
		if a.StatusCode != 408 || !a.Close {
			t.Errorf("%d %v", a.StatusCode, a.Close)
		}
		if rerr == nil {
			t.Error("no error")
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("closed after linger")
	})
	script(t, "drip above idle below rate", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
		for range 30 {
			c.write("x")
			time.Sleep(time.Second)
		}
		s := c.got()
		if s == "" {
			t.Fatal("a drip of 1 B/s lives on")
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("closed after linger")
	})
	script(t, "fast enough", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
		for range 200 {
			c.write(strings.Repeat("x", 300))
			time.Sleep(time.Second)
		}
		a := c.next("whole", "POST", c.got())
		if a.StatusCode != 200 || len(a.body) < 60000 {
			t.Error(a.StatusCode, len(a.body))
		}
	})
}

func TestHeadTimeoutAdversary(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/1.1\r\nHo")
		for range 9 {
			time.Sleep(time.Second)
			c.write("s")
		}
		c.wantIdle("before 10 s")
		time.Sleep(1500 * time.Millisecond)
		a := c.next("408", "GET", c.got())
		if a.StatusCode != 408 || !a.Close {
			t.Errorf("%d", a.StatusCode)
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("after linger")
	})
}

func TestIdleTimeoutAdversary(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello)
		c.want("a", 200, "hello")
		time.Sleep(74 * time.Second)
		c.wantIdle("74")
		c.write("") // a spurious wake-up is not life
		c.wantIdle("spurious")
		time.Sleep(2 * time.Second)
		c.wantClosed("76")
	})
	script(t, "no first byte", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantIdle("0")
		time.Sleep(76 * time.Second)
		c.wantClosed("76")
	})
}

func TestOwnReadDeadline(t *testing.T) {
	script(t, "future", func(t *testing.T, fm form) {
		var err error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(3 * time.Second))
			_, err = io.ReadAll(r.Body)
			w.WriteHeader(201)
		})
		c.write(postTen + "01")
		c.wantIdle("waits")
		time.Sleep(3100 * time.Millisecond)
		a := c.next("201", "POST", c.got())
		if a.StatusCode != 201 {
			t.Error(a.StatusCode)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
	script(t, "set while another goroutine waits", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			done := make(chan error)
			go func() {
				_, err := io.ReadAll(r.Body)
				done <- err
			}()
			time.Sleep(time.Second)
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(-1))
			if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("err = %v", err)
			}
		})
		c.write(postTen + "01")
		time.Sleep(1100 * time.Millisecond)
		if c.got() == "" {
			t.Error("no answer")
		}
	})
}

func TestContextOnBodyFault(t *testing.T) {
	script(t, "reset in the body", func(t *testing.T, fm form) {
		ended := false
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			done := ctx.Done()
			_, err := io.ReadAll(r.Body)
			if err == nil {
				t.Error("no error")
			}
			select {
			case <-done:
				ended = true
			case <-time.After(time.Minute):
			}
		})
		c.write(postTen + "01")
		c.wantIdle("waits")
		c.h.hangup(io.ErrClosedPipe)
		time.Sleep(2 * time.Minute)
		c.got()
		if !ended {
			t.Error("context not cancelled by a reset in the body")
		}
	})
	script(t, "FIN seen before the body was read", func(t *testing.T, fm form) {
		ended := false
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			io.ReadAll(r.Body)
			select {
			case <-r.Context().Done():
				ended = true
			case <-time.After(time.Minute):
			}
		})
		c.write(postTen + "0123456789")
		c.wantIdle("waits")
		c.h.hangup(nil)
		time.Sleep(2 * time.Minute)
		c.got()
		if !ended {
			t.Error("context not cancelled by a FIN that came before the body was read")
		}
	})
	script(t, "write error", func(t *testing.T, fm form) {
		ended := false
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			c := r.Context()
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			select {
			case <-c.Done():
				ended = true
			case <-time.After(time.Minute):
			}
		})
		c.h.mu.Lock()
		c.h.writeErr = io.ErrClosedPipe
		c.h.mu.Unlock()
		c.write(getHello)
		time.Sleep(2 * time.Minute)
		c.got()
		if !ended {
			t.Error("context not cancelled by a failed write")
		}
	})
	script(t, "derived context", func(t *testing.T, fm form) {
		ended := false
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
			defer cancel()
			<-ctx.Done()
			ended = errors.Is(ctx.Err(), context.Canceled)
		})
		c.write(getHello)
		c.wantIdle("w")
		c.h.hangup(nil)
		time.Sleep(time.Second)
		c.got()
		if !ended {
			t.Error("derived context not cancelled")
		}
	})
}

func TestDrainAdversary(t *testing.T) {
	script(t, "request in the socket already", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello)
		c.want("first", 200, "hello")
		// The request is there, the loop has not looked yet.
		c.h.mu.Lock()
		c.h.in = append(c.h.in, []byte(getHello))
		c.h.draining = true
		c.h.pending |= edgeDrain
		c.h.cond.Broadcast()
		c.h.mu.Unlock()
		a := c.next("the last one", "GET", c.got())
		if a.body != "hello" || !a.Close {
			t.Error(a.body, a.Close)
		}
		c.wantClosed("then closed")
	})
	script(t, "idle", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello)
		c.want("first", 200, "hello")
		c.h.startDrain()
		c.wantClosed("idle")
	})
	script(t, "new conn gets its grace", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantIdle("new")
		c.h.startDrain()
		time.Sleep(4 * time.Second)
		c.wantIdle("4 s")
		time.Sleep(1200 * time.Millisecond)
		c.wantClosed("5 s")
	})
	script(t, "new conn gets its request", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantIdle("new")
		c.h.startDrain()
		time.Sleep(4 * time.Second)
		c.write(getHello)
		a := c.want("served", 200, "hello")
		if !a.Close {
			t.Error("no close")
		}
		c.wantClosed("closed")
	})
	script(t, "half a head", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello[:10])
		c.wantIdle("half")
		c.h.startDrain()
		time.Sleep(6 * time.Second)
		c.write(getHello[10:])
		a := c.want("served", 200, "hello")
		if !a.Close {
			t.Error("no close")
		}
		c.wantClosed("closed")
	})
}

func TestSniffOverTwoWrites(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("<ht"))
			w.Write([]byte("ml>" + strings.Repeat("x", 30000)))
		})
		c.write(getHello)
		a := c.next("a", "GET", c.got())
		if ct := a.Header.Get("Content-Type"); ct != "text/html; charset=utf-8" {
			t.Error(ct)
		}
	})
}

// Late and foreign calls: handlers whose goroutines read and write on after
// the return.
func TestForeign(t *testing.T) {
	for _, recycle := range []bool{false} {
		script(t, fmt.Sprint("reader left behind, recycle ", recycle), func(t *testing.T, fm form) {
			var wg sync.WaitGroup
			cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					b := r.Body
					wg.Go(func() {
						p := make([]byte, 100)
						for {
							if _, err := b.Read(p); err != nil {
								return
							}
						}
					})
					time.Sleep(time.Second)
				}
				io.WriteString(w, "hello")
			}))
			cfg.Recycle = recycle
			c := dialConfig(t, fm, Complete(cfg), log)
			c.write(postTen + "012")
			c.wantIdle("w")
			time.Sleep(1100 * time.Millisecond)
			c.wantFor("answer although a reader waits", "POST", 200, "hello")
			wg.Wait()
			c.write("3456789" + getHello)
			c.want("the rest is drained, the next served", 200, "hello")
		})
	}
	script(t, "writers", func(t *testing.T, fm form) {
		var wg sync.WaitGroup
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			for range 4 {
				wg.Go(func() {
					for range 200 {
						w.Write([]byte("stale"))
						w.(http.Flusher).Flush()
						r.Context().Err()
					}
				})
			}
			time.Sleep(time.Millisecond)
		})
		for range 20 {
			c.write(getHello)
			time.Sleep(10 * time.Millisecond)
			c.next("an answer", "GET", c.got())
			wg.Wait()
		}
	})
}

// Takeovers at any point of a handler, beside hang-ups: for the race detector.
func TestOvertakeHammer(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "hello")
			if r.Method == "POST" {
				io.ReadAll(r.Body)
			}
		})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c.h.mu.Lock()
					busy := c.h.inHandler
					c.h.mu.Unlock()
					if busy {
						if !fm.portable {
							c.h.overtake()
						}
						c.h.conn.OnHangup()
					}
					time.Sleep(time.Microsecond)
				}
			}
		})
		for i := range 300 {
			if i%3 == 0 {
				c.write(postTen + "0123456789")
				c.wantFor("post", "POST", 200, "hello")
			} else {
				c.write(getHello + getHello)
				s := c.got()
				a := c.next("1", "GET", s)
				c.next("2", "GET", a.rest)
			}
		}
		close(stop)
		wg.Wait()
	})
}

func TestAmplification(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		big := strings.Repeat("v", 3000)
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Big", big)
			w.WriteHeader(204)
		})
		c.write(strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 550))
		c.got()
		if c.h.largest > 64<<10 {
			t.Errorf("one write of %d bytes", c.h.largest)
		}
	})
	script(t, "peer that takes nothing", func(t *testing.T, fm form) {
		if fm.portable {
			return
		}
		n := 0
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Write(make([]byte, 4000))
		})
		c.h.window = 0
		for range 20 {
			c.write(strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 600))
		}
		c.got()
		if b := c.h.Buffered(); b > 256<<10 {
			t.Errorf("%d bytes buffered, %d handlers", b, n)
		}
		c.h.take(-1)
		time.Sleep(time.Second)
		if s := c.got(); strings.Count(s, "HTTP/1.1 200") != 12000 {
			t.Error(strings.Count(s, "HTTP/1.1 200"))
		}
	})
}

func TestMaxBody(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			var mb *http.MaxBytesError
			if !errors.As(err, &mb) || mb.Limit != 5 || len(b) > 5 {
				t.Errorf("%q %v", b, err)
			}
		}))
		cfg.MaxBodyBytes = 5
		c := dialConfig(t, fm, Complete(cfg), log)
		c.write(postTen + "0123456789")
		a := c.next("413", "POST", c.got())
		if a.StatusCode != 413 || !a.Close {
			t.Error(a.StatusCode, a.Close)
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("closed")
	})
	script(t, "exactly", func(t *testing.T, fm form) {
		cfg, log := testConfig(http.HandlerFunc(echo))
		cfg.MaxBodyBytes = 10
		c := dialConfig(t, fm, Complete(cfg), log)
		c.write(postTen + "0123456789")
		c.wantFor("ok", "POST", 200, "POST /p 0123456789")
	})
}

func TestMaxBytesReader(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 5)
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, "large", http.StatusRequestEntityTooLarge)
			}
		})
		c.write(postTen + "0123456789" + getHello)
		s := c.got()
		a := c.next("413", "POST", s)
		if a.StatusCode != 413 {
			t.Error(a.StatusCode)
		}
	})
}

func TestStandardHandlersAdversary(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f.txt"), bytes.Repeat([]byte("0123456789"), 30000), 0o600)
	script(t, "FileServer", func(t *testing.T, fm form) {
		c := dial(t, fm, http.FileServer(http.Dir(dir)).ServeHTTP)
		c.write("GET /f.txt HTTP/1.1\r\nHost: a\r\n\r\n")
		if a := c.next("file", "GET", c.got()); len(a.body) != 300000 {
			t.Error(len(a.body))
		}
		c.write("GET /f.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=5-100004\r\n\r\n")
		if a := c.next("range", "GET", c.got()); a.StatusCode != 206 || len(a.body) != 100000 || a.body[0] != '5' {
			t.Error(a.StatusCode, len(a.body))
		}
		c.write("HEAD /f.txt HTTP/1.1\r\nHost: a\r\n\r\n")
		if a := c.next("head", "HEAD", c.got()); a.ContentLength != 300000 || a.rest != "" {
			t.Error(a.ContentLength, len(a.rest))
		}
		c.write(getHello)
		if a := c.next("404", "GET", c.got()); a.StatusCode != 404 {
			t.Error(a.StatusCode)
		}
	})
	script(t, "FileServer small window", func(t *testing.T, fm form) {
		c := dial(t, fm, http.FileServer(http.Dir(dir)).ServeHTTP)
		c.h.window = 100
		c.write("GET /f.txt HTTP/1.1\r\nHost: a\r\n\r\n" + getHello)
		for range 700 {
			time.Sleep(time.Millisecond)
			c.h.take(500)
		}
		a := c.next("file", "GET", c.got())
		if len(a.body) != 300000 {
			t.Error(len(a.body))
		}
		if b := c.next("404", "GET", a.rest); b.StatusCode != 404 {
			t.Error(b.StatusCode)
		}
	})
	script(t, "TimeoutHandler", func(t *testing.T, fm form) {
		h := http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			if r.Method == "POST" {
				<-r.Context().Done()
			}
			io.WriteString(w, "ok")
		}), time.Second, "late")
		c := dial(t, fm, h.ServeHTTP)
		c.write(getHello)
		c.want("in time", 200, "ok")
		c.write(postTen + "012")
		time.Sleep(1100 * time.Millisecond)
		a := c.next("late", "POST", c.got())
		if a.StatusCode != 503 {
			t.Error(a.StatusCode)
		}
		c.write("3456789" + getHello)
		c.want("after", 200, "ok")
	})
	script(t, "mux", func(t *testing.T, fm form) {
		m := http.NewServeMux()
		m.HandleFunc("GET /x/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("id")+r.Pattern) })
		for _, recycle := range []bool{false, true} {
			cfg, log := testConfig(m)
			cfg.Recycle = recycle
			c := dialConfig(t, fm, Complete(cfg), log)
			c.write("GET /x/7 HTTP/1.1\r\nHost: a\r\n\r\n")
			c.want("mux", 200, "7GET /x/{id}")
			c.write("GET /y HTTP/1.1\r\nHost: a\r\n\r\n")
			if a := c.next("404", "GET", c.got()); a.StatusCode != 404 {
				t.Error(a.StatusCode)
			}
		}
	})
}

// ReverseProxy over real upstream sockets cannot run in a bubble.
func TestReverseProxy(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d", r.URL.Path, len(b))
	}))
	defer up.Close()
	u, _ := url.Parse(up.URL)
	for _, fm := range forms {
		p := httputil.NewSingleHostReverseProxy(u)
		cfg, _ := testConfig(p)
		h := newMemHost(fm.portable)
		h.serve(NewConn(Complete(cfg), h, Attachment{}))
		feed := func(s string) {
			h.mu.Lock()
			h.in = append(h.in, []byte(s))
			h.mu.Unlock()
			h.edge(edgeReadable)
		}
		feed("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
		for range 100 {
			feed(strings.Repeat("x", 1000))
			time.Sleep(100 * time.Microsecond)
		}
		feed("POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
		time.Sleep(10 * time.Millisecond)
		feed("0\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		select {
		case <-h.ended:
		case <-time.After(10 * time.Second):
			t.Fatal("hangs ", fm.name, string(h.out))
		}
		s := string(h.out)
		for _, w := range []string{"/a 100000", "/b 5", "/c 0"} {
			if !strings.Contains(s, w) {
				t.Errorf("%s: %q misses %q", fm.name, s, w)
			}
		}
	}
}

func TestPanicAfterPipelined(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		if fm.portable {
			return
		}
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, "hello")
		})
		c.h.window = 10 // the kernel takes only a part of the first answer
		c.write(getHello + "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
		c.got()
		c.read = 0
		c.h.take(-1)
		c.want("the earlier answer is whole", 200, "hello")
		c.wantClosed("then the end")
	})
}

func TestCutWhileWaiting(t *testing.T) {
	script(t, "in Body.Read", func(t *testing.T, fm form) {
		var err error
		ended := make(chan struct{})
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			_, err = io.ReadAll(r.Body)
		})
		c.write(postTen)
		c.wantIdle("w")
		c.h.shutdown(t)
		<-ended
		if err == nil {
			t.Error("no error")
		}
	})
	script(t, "in Write", func(t *testing.T, fm form) {
		var err error
		ended := make(chan struct{})
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			for err == nil {
				_, err = w.Write(make([]byte, 50000))
			}
		})
		c.h.window = 0
		c.write(getHello)
		c.got()
		if b := c.h.Buffered(); b > 300<<10 {
			t.Errorf("%d buffered", b)
		}
		c.h.shutdown(t)
		<-ended
	})
}

func TestWriteDeadlineAdversary(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		var err error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			for err == nil {
				_, err = w.Write(make([]byte, 50000))
			}
		})
		c.h.window = 0
		c.write(getHello)
		time.Sleep(1100 * time.Millisecond)
		c.got()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestGoexitLeavesNothing(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		// t.FailNow-like end of the goroutine is the host's matter, but locks
		// must be free: a second look does not hang.
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/exit" {
				io.WriteString(w, "x")
				goexit()
			}
			hello(w, r)
		})
		c.write("GET /exit HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantClosed("ended")
	})
}

func TestUnknownAfterClose(t *testing.T) {
	script(t, "malformed then bytes", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + getHello)
		c.wantRefused("two hosts", 400)
	})
	script(t, "linger ends by bytes", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("BAD\r\n\r\n")
		c.next("400", "GET", c.got())
		for range 10 {
			c.write(strings.Repeat("x", 10000))
		}
		c.wantClosed("64 KiB are enough")
	})
	script(t, "linger ends by FIN", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("BAD\r\n\r\n")
		c.next("400", "GET", c.got())
		c.h.hangup(nil)
		c.wantClosed("FIN")
	})
}

func TestExpect(t *testing.T) {
	const head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
	script(t, "body already here", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write(head + "0123456789" + getHello)
		s := c.got()
		t.Logf("%q", s)
		if strings.Count(s, "HTTP/1.1 200") != 2 {
			t.Errorf("%q", s)
		}
	})
	script(t, "ignored in 1.0", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write(strings.Replace(head, "1.1", "1.0", 1))
		if s := c.got(); s != "" {
			t.Error(s)
		}
		c.write("0123456789")
		c.wantFor("x", "POST", 200, "POST /p 0123456789")
	})
}

func TestFullDuplexEcho(t *testing.T) {
	script(t, "x", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			p := make([]byte, 100)
			for {
				n, err := r.Body.Read(p)
				w.Write(p[:n])
				w.(http.Flusher).Flush()
				if err != nil {
					return
				}
			}
		})
		c.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		if s := c.got(); !strings.HasSuffix(s, "3\r\nabc\r\n") {
			t.Errorf("%q", s)
		}
		c.write("2\r\nde\r\n")
		if s := c.got(); s != "2\r\nde\r\n" {
			t.Errorf("%q", s)
		}
		c.write("0\r\n\r\n")
		if s := c.got(); s != "0\r\n\r\n" {
			t.Errorf("%q", s)
		}
		c.write(getHello)
		c.want("next", 200, "")
	})
}

func goexit() { runtime.Goexit() }

func TestClockAfterLongHandler(t *testing.T) {
	long := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			time.Sleep(100 * time.Second)
		}
		io.WriteString(w, "hello")
	}
	const req = "GET /long HTTP/1.1\r\nHost: a\r\n\r\n"
	script(t, "idle time begins at the answer", func(t *testing.T, fm form) {
		c := dial(t, fm, long)
		c.write(req)
		time.Sleep(101 * time.Second)
		c.want("the long one", 200, "hello")
		time.Sleep(70 * time.Second)
		c.wantIdle("70 s idle")
		c.write(getHello)
		c.want("next", 200, "hello")
	})
	script(t, "half a head behind it", func(t *testing.T, fm form) {
		c := dial(t, fm, long)
		c.write(req + getHello[:10])
		time.Sleep(101 * time.Second)
		c.want("the long one", 200, "hello")
		c.write(getHello[10:])
		c.want("next", 200, "hello")
	})
	script(t, "overtaken", func(t *testing.T, fm form) {
		c := dial(t, fm, long)
		c.write(req)
		c.wantIdle("w")
		if !fm.portable {
			c.h.overtake()
		}
		time.Sleep(101 * time.Second)
		c.want("the long one", 200, "hello")
		time.Sleep(70 * time.Second)
		c.wantIdle("70 s idle")
	})
}
