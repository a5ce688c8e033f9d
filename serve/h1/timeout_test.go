package h1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"

func TestHeadTimeout(t *testing.T) {
	script(t, "S-1 half a head", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		time.Sleep(20 * time.Second)
		c.wantIdle("no byte, no head timeout")
		c.write("GET / HT")
		time.Sleep(defaultReadHeadTimeout - time.Second)
		c.wantIdle("9 s after its first byte")
		time.Sleep(2 * time.Second)
		c.wantRefused("11 s after its first byte", 408)
		if got := c.cfg.Counters.TimedOut.Load(); got != 1 {
			t.Errorf("TimedOut = %d, want 1", got)
		}
	})
	script(t, "S-1 a drip does not extend it", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		for i := range 9 {
			c.write(getHello[i : i+1])
			time.Sleep(time.Second)
		}
		c.wantIdle("9 bytes in 9 s")
		c.write(getHello[9:10])
		time.Sleep(1500 * time.Millisecond)
		c.wantRefused("after 10 s", 408)
	})
	script(t, "S-1 the second head has its own time", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		time.Sleep(8 * time.Second)
		c.write(getHello + getHello[:5])
		c.want("the first", 200, "hello")
		time.Sleep(8 * time.Second)
		c.write(getHello[5:])
		c.want("the second", 200, "hello")
	})
}

func TestIdleTimeout(t *testing.T) {
	script(t, "S-4 between requests", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		for range 3 {
			time.Sleep(70 * time.Second)
			c.write(getHello)
			c.want("idle for 70 s", 200, "hello")
		}
		time.Sleep(defaultIdleTimeout - time.Second)
		c.wantIdle("idle for 74 s")
		time.Sleep(2 * time.Second)
		c.wantClosed("idle for 76 s: without a word")
	})
	script(t, "S-4 before the first", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		time.Sleep(defaultIdleTimeout + time.Second)
		c.wantClosed("no byte for 76 s")
	})
	script(t, "none", func(t *testing.T, fm form) {
		cfg, log := testConfig(http.HandlerFunc(hello))
		cfg.IdleTimeout = -1
		c := dialConfig(t, fm, Complete(cfg), log)
		time.Sleep(24 * time.Hour)
		c.write(getHello)
		c.want("idle for a day", 200, "hello")
	})
}

func TestBodyIdle(t *testing.T) {
	script(t, "S-2 no byte", func(t *testing.T, fm form) {
		var got error
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, got = io.ReadAll(r.Body)
		}))
		cfg.BodyMinRate = -1
		c := dialConfig(t, fm, Complete(cfg), log)
		c.write(fmt.Sprintf(post, 10) + "a")
		time.Sleep(59 * time.Second)
		c.write("b")
		time.Sleep(59 * time.Second)
		c.wantIdle("a byte every 59 s is progress")
		time.Sleep(2 * time.Second)
		c.wantRefused("61 s without a byte", 408)
		var ne interface{ Timeout() bool }
		if !errors.As(got, &ne) || !ne.Timeout() {
			t.Errorf("Body.Read = %v, want a timeout", got)
		}
	})
}

func TestBodyRate(t *testing.T) {
	upload := func(t *testing.T, fm form, rate, seconds int) *peer {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		c.write(fmt.Sprintf(post, rate*seconds))
		for range seconds {
			c.write(strings.Repeat("x", rate))
			time.Sleep(time.Second)
		}
		return c
	}
	script(t, "S-2 slow, but fast enough", func(t *testing.T, fm form) {
		c := upload(t, fm, 300, 60)
		c.want("300 B/s", 200, "")
	})
	script(t, "S-2 too slow", func(t *testing.T, fm form) {
		c := upload(t, fm, 200, 9)
		if s := c.got(); !strings.HasPrefix(s, "HTTP/1.1 200") {
			t.Errorf("200 B/s for 9 s: got %q, want 200", s)
		}
		c = dial(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		c.write(fmt.Sprintf(post, 1<<20))
		for range 14 {
			c.write(strings.Repeat("x", 200))
			time.Sleep(time.Second)
		}
		a := c.next("200 B/s for 14 s", "POST", c.got())
		if a.StatusCode != 408 || !a.Close {
			t.Errorf("200 B/s for 14 s: got %d, close %v; want 408 that closes", a.StatusCode, a.Close)
		}
	})
}

func TestDrain(t *testing.T) {
	script(t, "idle", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello)
		c.want("a request", 200, "hello")
		c.h.startDrain()
		c.wantClosed("idle when the server stops")
	})
	script(t, "a request that the loop has not seen yet", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello)
		c.want("a request", 200, "hello")
		c.h.mu.Lock()
		c.h.draining = true
		c.h.in = append(c.h.in, []byte(getHello))
		c.h.pending |= edgeDrain | edgeReadable
		c.h.cond.Broadcast()
		c.h.mu.Unlock()
		a := c.want("it came before the end", 200, "hello")
		if !a.Close {
			t.Error("no Connection: close while draining")
		}
		c.wantClosed("then the end")
	})
	script(t, "new", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantIdle("nothing sent")
		c.h.startDrain()
		time.Sleep(defaultNewConnGrace - time.Second)
		c.wantIdle("4 s later")
		c.write(getHello)
		a := c.want("its first request", 200, "hello")
		if !a.Close {
			t.Error("no Connection: close while draining")
		}
		c.wantClosed("after it")
	})
	script(t, "new and silent", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantIdle("nothing sent")
		c.h.startDrain()
		time.Sleep(defaultNewConnGrace + time.Second)
		c.wantClosed("6 s later")
	})
	script(t, "half a head", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello[:9])
		c.wantIdle("half a head")
		c.h.startDrain()
		c.wantIdle("half a head when the server stops")
		c.write(getHello[9:])
		if a := c.want("its other half", 200, "hello"); !a.Close {
			t.Error("no Connection: close while draining")
		}
		c.wantClosed("after it")
	})
	script(t, "a handler runs", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			hello(w, r)
		})
		c.write(getHello)
		c.wantIdle("the handler sleeps")
		c.h.startDrain()
		time.Sleep(time.Minute)
		if a := c.want("its answer", 200, "hello"); !a.Close {
			t.Error("no Connection: close while draining")
		}
		c.wantClosed("after it")
	})
}

func TestConnAge(t *testing.T) {
	script(t, "H1-17 age", func(t *testing.T, fm form) {
		cfg, log := testConfig(http.HandlerFunc(hello))
		cfg.MaxConnAge = 10 * time.Minute
		c := dialConfig(t, fm, Complete(cfg), log)
		for i := range 20 {
			c.write(getHello)
			a := c.want("a request", 200, "hello")
			age := time.Duration(i) * time.Minute
			if a.Close && age < 9*time.Minute || !a.Close && age > 11*time.Minute {
				t.Fatalf("close = %v at an age of %v, want it at 10 min +-10 %%", a.Close, age)
			}
			if a.Close {
				c.wantClosed("too old")
				return
			}
			time.Sleep(time.Minute)
		}
		t.Error("never closed")
	})
	script(t, "H1-17 requests", func(t *testing.T, fm form) {
		cfg, log := testConfig(http.HandlerFunc(hello))
		cfg.MaxRequests = 3
		c := dialConfig(t, fm, Complete(cfg), log)
		for i := range 3 {
			c.write(getHello)
			if a := c.want("a request", 200, "hello"); a.Close != (i == 2) {
				t.Errorf("request %d: close = %v", i+1, a.Close)
			}
		}
		c.wantClosed("after the third")
	})
	script(t, "S-7 memory is short", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.h.mu.Lock()
		c.h.shed = true
		c.h.mu.Unlock()
		c.write(getHello)
		if a := c.want("a request", 200, "hello"); !a.Close {
			t.Error("no Connection: close")
		}
	})
}

func TestReadDeadline(t *testing.T) {
	script(t, "ResponseController, body", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
				t.Error(err)
			}
			begin := time.Now()
			_, err := io.ReadAll(r.Body)
			var ne interface{ Timeout() bool }
			if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Body.Read = %v, want os.ErrDeadlineExceeded", err)
			}
			if d := time.Since(begin); d < 3*time.Second || d > 4*time.Second {
				t.Errorf("Body.Read ended after %v, want 3 s", d)
			}
			w.WriteHeader(503)
		})
		c.write(fmt.Sprintf(post, 10) + "abc")
		time.Sleep(4 * time.Second)
		a := c.wantFor("the handler's own answer", "POST", 503, "")
		if !a.Close {
			t.Error("the answer keeps a connection whose body was not read")
		}
	})
	script(t, "ResponseController, the past", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(-time.Second))
			if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Body.Read = %v, want os.ErrDeadlineExceeded", err)
			}
		})
		c.write(fmt.Sprintf(post, 10) + "abc")
		c.got()
	})
	script(t, "it does not outlive its request", func(t *testing.T, fm form) {
		n := 0
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
			}
			echo(w, r)
		})
		c.write(fmt.Sprintf(post, 3) + "abc")
		c.wantFor("the first", "POST", 200, "POST / abc")
		c.write(fmt.Sprintf(post, 3))
		time.Sleep(5 * time.Second)
		c.write("abc")
		c.wantFor("the second", "POST", 200, "POST / abc")
	})
}

func TestWriteDeadline(t *testing.T) {
	script(t, "ResponseController, a peer that does not read", func(t *testing.T, fm form) {
		var failed error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(3 * time.Second))
			b := make([]byte, 64<<10)
			for range 100 {
				if _, failed = w.Write(b); failed != nil {
					return
				}
			}
		})
		c.h.take(1000)
		c.h.mu.Lock()
		c.h.window = 1000
		c.h.mu.Unlock()
		c.write(getHello)
		time.Sleep(5 * time.Second)
		c.got()
		if !errors.Is(failed, os.ErrDeadlineExceeded) {
			t.Errorf("Write = %v, want os.ErrDeadlineExceeded", failed)
		}
	})
}
