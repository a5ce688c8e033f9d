package h1

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Calls from goroutines of a handler: beside it, and after it. These tests use
// real time, since a goroutine that waits for a lock of the engine would stop
// the fake clock; none of them measures it.

// inRealTime runs f over each form of host, without a bubble.
func inRealTime(t *testing.T, name string, f func(t *testing.T, fm form)) {
	for _, fm := range forms {
		t.Run(name+"/"+fm.name, func(t *testing.T) { f(t, fm) })
	}
}

// until waits for n answers' worth of output, as ok tells.
func (p *peer) until(why string, ok func(out string) bool) string {
	p.t.Helper()
	deadline := time.AfterFunc(10*time.Second, func() { p.h.cond.Broadcast() })
	defer deadline.Stop()
	end := time.Now().Add(10 * time.Second)
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	for !ok(string(p.h.out)) {
		if time.Now().After(end) {
			p.t.Fatalf("%s: got %q", why, p.h.out)
		}
		p.h.cond.Wait()
	}
	return string(p.h.out)
}

func bodies(n int, body string) func(string) bool {
	return func(out string) bool { return strings.Count(out, body) >= n }
}

// TestForeignReader: a goroutine that reads the body while the handler waits
// for it, as httputil.ReverseProxy's transport does.
func TestForeignReader(t *testing.T) {
	inRealTime(t, "reads all", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			got := make(chan string)
			go func() {
				b, _ := io.ReadAll(r.Body)
				r.Body.Close()
				got <- string(b)
			}()
			io.WriteString(w, "<"+<-got+">")
		})
		for i := range 20 {
			c.write(fmt.Sprintf(post, 6) + "abc")
			time.Sleep(time.Millisecond)
			c.write("def")
			c.until("the answer", bodies(i+1, "<abcdef>"))
		}
	})
	inRealTime(t, "is left waiting", func(t *testing.T, fm form) {
		var wg sync.WaitGroup
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "POST" {
				io.WriteString(w, "<next>")
				return
			}
			reading := make(chan struct{})
			wg.Go(func() {
				b := make([]byte, 100)
				r.Body.Read(b)
				close(reading)
				if n, err := io.ReadFull(r.Body, b); err == nil {
					t.Errorf("a reader left behind got %d bytes", n)
				}
			})
			<-reading // and it goes on to wait for bytes that do not come
			time.Sleep(time.Millisecond)
			io.WriteString(w, "<answer>")
		})
		c.write(fmt.Sprintf(post, 50) + "abc")
		c.until("the handler returns though its goroutine reads", bodies(1, "<answer>"))
		wg.Wait()
		c.write(strings.Repeat("x", 47) + getHello)
		c.until("what it did not read is drained", bodies(1, "<next>"))
	})
	inRealTime(t, "early answer while the body is read", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			done := make(chan struct{})
			go func() {
				io.Copy(io.Discard, r.Body)
				close(done)
			}()
			io.WriteString(w, "<early>")
			w.(http.Flusher).Flush()
			<-done
			io.WriteString(w, "<late>")
		})
		c.write(fmt.Sprintf(post, 10) + "01234")
		time.Sleep(2 * time.Millisecond)
		c.write("56789")
		c.until("both parts", bodies(1, "<late>"))
	})
}

// TestForeignWriter: goroutines of a handler that write at the same time.
func TestForeignWriter(t *testing.T) {
	inRealTime(t, "beside each other", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			var wg sync.WaitGroup
			var mu sync.Mutex // net/http asks for one around Header alone; Write is safe here
			for range 8 {
				wg.Go(func() {
					for range 50 {
						io.WriteString(w, "[0123456789]")
						mu.Lock()
						w.(http.Flusher).Flush()
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			io.WriteString(w, "<end>")
		})
		c.write(getHello)
		s := c.until("all parts", func(out string) bool { return strings.HasSuffix(out, "0\r\n\r\n") })
		a := c.next("all parts", "GET", s)
		if want := strings.Repeat("[0123456789]", 400) + "<end>"; a.body != want {
			t.Errorf("body of %d bytes, want %d whole parts", len(a.body), 400)
		}
	})
	inRealTime(t, "after return", func(t *testing.T, fm form) {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "4")
			wg.Go(func() {
				b := make([]byte, 10)
				for {
					select {
					case <-stop:
						return
					default:
					}
					io.WriteString(w, "S")
					w.WriteHeader(599)
					w.(http.Flusher).Flush()
					r.Body.Read(b)
					http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Hour))
					http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
					r.Context().Err()
				}
			})
			io.Copy(io.Discard, r.Body)
			for range 4 {
				io.WriteString(w, "S")
			}
		})
		for i := range 50 {
			c.write(fmt.Sprintf(post, 3) + "abc")
			c.until("an answer", bodies(i+1, "Content-Length: 4\r\n"))
		}
		close(stop)
		wg.Wait()
	})
}

// TestOvertakenEverywhere: a takeover between any two calls of a handler.
func TestOvertakenEverywhere(t *testing.T) {
	c := dial(t, forms[0], func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for range 10 {
			io.WriteString(w, "0123456789")
		}
		w.(http.Flusher).Flush()
		w.Write(b)
		io.WriteString(w, "<end>")
	})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			c.h.mu.Lock()
			in := c.h.inHandler
			c.h.mu.Unlock()
			if in {
				c.h.overtake()
			}
			time.Sleep(10 * time.Microsecond)
		}
	})
	const requests = 300
	var want strings.Builder
	for i := range requests {
		body := fmt.Sprintf("%04d", i)
		c.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n" + body)
		fmt.Fprintf(&want, "%s%s<end>,", strings.Repeat("0123456789", 10), body)
	}
	s := c.until("all answers", bodies(requests, "<end>\r\n0\r\n\r\n"))
	close(stop)
	wg.Wait()
	var got strings.Builder
	for range requests {
		a := c.next("pipelined", "POST", s)
		got.WriteString(a.body + ",")
		s = a.rest
	}
	if got.String() != want.String() {
		t.Error("answers are mixed up, or in the wrong order")
	}
}

// TestHangupAnywhere: the peer goes away at any moment of a handler.
func TestHangupAnywhere(t *testing.T) {
	inRealTime(t, "hang-up", func(t *testing.T, fm form) {
		for i := range 50 {
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				io.Copy(io.Discard, r.Body)
				stopped := context.AfterFunc(ctx, func() {})
				defer stopped()
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(i) * 20 * time.Microsecond):
				}
				io.WriteString(w, "<end>")
			})
			c.write(fmt.Sprintf(post, 3) + "abc")
			time.Sleep(time.Duration(i) * 10 * time.Microsecond)
			c.h.hangup(nil)
			<-c.h.ended
		}
	})
}

// TestCutAnywhere: the server cuts a connection whose handler goes on.
func TestCutAnywhere(t *testing.T) {
	inRealTime(t, "cut", func(t *testing.T, fm form) {
		for i := range 50 {
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("a body that never ends was read")
				}
				for range 10 {
					io.WriteString(w, "after the cut")
					w.(http.Flusher).Flush()
				}
			})
			c.write(fmt.Sprintf(post, 30) + "abc")
			time.Sleep(time.Duration(i) * 10 * time.Microsecond)
			c.h.shutdown(t)
		}
	})
}

// TestRecycledContext: contexts derived from a request's may outlive it, as
// those of a transport do, also where requests are recycled.
func TestRecycledContext(t *testing.T) {
	inRealTime(t, "derived", func(t *testing.T, fm form) {
		var wg sync.WaitGroup
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), cfgKey{}, "v"))
			wg.Go(func() {
				<-ctx.Done()
				ctx.Value(http.ServerContextKey)
				cancel()
				if ctx.Err() == nil {
					t.Error("the context did not end with its request")
				}
			})
			io.WriteString(w, "<end>")
		}))
		cfg.Recycle = true
		c := dialConfig(t, fm, Complete(cfg), log)
		for i := range 100 {
			c.write(getHello)
			c.until("an answer", bodies(i+1, "<end>"))
		}
		wg.Wait()
	})
}

type cfgKey struct{}
