package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// Handlers that wait, and what goes on meanwhile: in the event loop's form
// they are overtaken (peer.settle does it, as a standby would), in the portable
// form they have goroutines anyway.

func TestWaitingHandler(t *testing.T) {
	script(t, "the connection goes on", func(t *testing.T, fm form) {
		n, g := new(notes), newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fast" {
				hello(w, r)
				return
			}
			g.wait(r.URL.Path)
			n.add("%s %v", r.URL.Path, r.Context().Err())
			sized(w, r)
		})
		c.inOne(func() {
			c.get(1, "/n/100000")
			c.get(3, "/fast")
			c.get(5, "/wait")
			c.get(7, "/fast")
			c.ping("ping....")
			c.update(0, 1000)
			c.update(1, 1000)
			c.reset(5, xhttp2.ErrCodeCancel)
		})
		c.wantAnswer("another stream of the same read", 3, 200, "hello")
		c.wantAnswer("and one behind the next that waits", 7, 200, "hello")
		c.wantPing("PING", "ping....", true)
		c.wantIdle("the others wait")
		g.open("/wait")
		n.want(t, "RST_STREAM went on too", "/wait context canceled")
		g.open("/n/100000")
		c.wantHeaders("the first", 1, 200)
		c.wantBytes("both windows were widened", 1, initialWindow+1000-10)
		c.update(0, 100000)
		c.update(1, 100000)
		c.wantBytes("the rest", 1, 100000-initialWindow-1000+10)
		c.wantLive("afterwards")
	})
	script(t, "a sleep", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/sleep" {
				time.Sleep(time.Hour)
			}
			hello(w, r)
		})
		c.get(1, "/sleep")
		c.settle()
		for i := range uint32(20) {
			c.get(2*i+3, "/")
			c.wantAnswer("beside it", 2*i+3, 200, "hello")
		}
		c.wantLive("asleep")
		time.Sleep(time.Hour + time.Millisecond)
		c.wantAnswer("it wakes up; no idle timeout ended it", 1, 200, "hello")
		c.wantLive("afterwards")
	})
	script(t, "streams that wait for later ones of the same read", func(t *testing.T, fm form) {
		const last = 60
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			var i int
			fmt.Sscanf(r.URL.Path, "/%d", &i)
			if i < last {
				g.wait(fmt.Sprint("/", i+1))
			}
			g.open(fmt.Sprint("/", i))
			io.WriteString(w, r.URL.Path)
		})
		c.inOne(func() {
			for i := range last + 1 {
				c.get(uint32(2*i+1), fmt.Sprint("/", i))
			}
		})
		for i := range last + 1 {
			c.wantAnswer("each waits for the next", uint32(2*i+1), 200, fmt.Sprint("/", i))
		}
		c.wantLive("afterwards")
	})
	script(t, "more than may run, all waiting", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait("go"); hello(w, r) }, func(cfg *Config) { cfg.MaxStreams = 3 })
		c.inOne(func() {
			for i := range uint32(3) {
				c.get(2*i+1, "/")
			}
		})
		c.settle()
		for i := range uint32(3) {
			c.reset(2*i+1, xhttp2.ErrCodeCancel)
		}
		c.get(7, "/")
		c.post(9, "/")
		c.get(11, "/")
		c.wantIdle("a reset stream's handler still counts (H2-1): these wait")
		c.reset(11, xhttp2.ErrCodeCancel)
		c.wantIdle("one that waits is reset")
		g.open("go")
		c.wantAnswer("then they run", 7, 200, "hello")
		c.wantAnswer("then they run", 9, 200, "hello")
		c.wantReset("its body is not wanted", 9, xhttp2.ErrCodeNo)
		c.wantLive("afterwards")
	})
}

func TestHandlerEnds(t *testing.T) {
	ends := func(w http.ResponseWriter, r *http.Request) {
		_, how, _ := strings.Cut(r.URL.Path[1:], "/")
		switch when, _, _ := strings.Cut(r.URL.Path[1:], "/"); when {
		case "before":
		case "written":
			io.WriteString(w, "some")
		case "flushed":
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
		case "waited":
			time.Sleep(time.Second)
		case "read":
			io.ReadAll(r.Body)
		}
		switch how {
		case "panic":
			panic("oops")
		case "nil panic":
			panic(fmt.Errorf("an error"))
		case "abort":
			panic(http.ErrAbortHandler)
		case "goexit":
			runtime.Goexit()
		}
		hello(w, r)
	}
	for _, how := range []string{"panic", "nil%20panic", "abort", "goexit"} {
		script(t, how, func(t *testing.T, fm form) {
			c := connect(t, fm, ends)
			c.panics = true
			id := uint32(1)
			for _, when := range []string{"before", "written", "flushed", "waited", "read"} {
				c.inOne(func() {
					c.get(id, "/before/none")
					if when == "read" {
						c.post(id+2, "/"+when+"/"+how)
					} else {
						c.get(id+2, "/"+when+"/"+how)
					}
					c.get(id+4, "/before/none")
				})
				c.wantAnswer(when, id, 200, "hello")
				c.wantAnswer(when+": behind it in the same read", id+4, 200, "hello")
				if when == "read" {
					c.dataEnd(id+2, "body")
				}
				time.Sleep(2 * time.Second)
				if when == "flushed" {
					c.wantHeaders("flushed", id+2, 200)
					c.wantData("flushed", id+2, "some")
				}
				c.wantReset(when, id+2, xhttp2.ErrCodeInternal)
				id += 6
			}
			c.wantLive("the connection lives")
			panics, logged := uint64(0), strings.Count(c.log.String(), "panic serving 192.0.2.7:4711")
			if strings.Contains(how, "panic") {
				panics = 5
			}
			if got := c.cfg.Counters.Panics.Load(); got != panics || logged != int(panics) {
				t.Errorf("%d panics counted, %d logged, want %d", got, logged, panics)
			}
			if strings.Contains(how, "panic") && !strings.Contains(c.log.String(), "handoff_test.go") {
				t.Error("the log does not show where")
			}
		})
	}
}

func TestHandlersGoroutines(t *testing.T) {
	script(t, "writes of many goroutines", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for range 50 {
						io.WriteString(w, strings.Repeat(string(rune('a'+i)), 100))
						if i%2 == 0 {
							w.(http.Flusher).Flush()
						}
					}
				})
			}
			wg.Wait()
		})
		c.preface(window(30000))
		c.inOne(func() {
			for id := uint32(1); id < 6; id += 2 {
				c.get(id, "/")
			}
		})
		c.settle()
		c.update(0, 100000)
		for id := uint32(1); id < 6; id += 2 {
			c.wantHeaders("a head", id, 200)
			s, _ := c.wantBytes("as far as the window", id, 30000)
			c.update(id, 10000)
			rest, _ := c.wantBytes("the rest", id, 10000)
			for i := range 8 {
				if got := strings.Count(s+rest, string(rune('a'+i))); got != 5000 {
					t.Errorf("%d bytes of goroutine %d, want 5000", got, i)
				}
			}
		}
		c.wantLive("afterwards")
	})
	script(t, "calls after the handler has returned", func(t *testing.T, fm form) {
		n, g := new(notes), newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			go func() {
				g.wait("late")
				_, err := io.WriteString(w, "late")
				n.add("write: %v", err)
				n.add("flush: %v", http.NewResponseController(w).Flush())
				n.add("deadline: %v", http.NewResponseController(w).SetReadDeadline(time.Now()))
				w.WriteHeader(500)
				w.Header().Set("X-Late", "1")
				_, err = r.Body.Read(make([]byte, 1))
				n.add("read: %v", err)
				_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("late"))
				n.add("copy: %v", err)
				n.add("context: %v", r.Context().Err())
			}()
			_, _ = io.Copy(io.Discard, r.Body) // or what has not come is reset
			hello(w, r)
		})
		c.post(1, "/")
		c.dataEnd(1, "body")
		c.wantAnswer("answered", 1, 200, "hello")
		g.open("late")
		n.want(t, "late calls fail", "write: "+errOver.Error(), "flush: "+errOver.Error(), "deadline: "+errOver.Error(),
			"read: "+http.ErrBodyReadAfterClose.Error(), "copy: "+errOver.Error(), "context: context canceled")
		c.wantLive("and nothing is said")
	})
	script(t, "a body read by another goroutine than the writer", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			pr, pw := io.Pipe()
			go func() {
				_, err := io.Copy(pw, r.Body)
				pw.CloseWithError(err)
			}()
			io.Copy(w, pr)
		})
		c.post(1, "/")
		c.settle()
		for range 5 {
			c.data(1, "some ")
			c.settle()
		}
		c.dataEnd(1, "and the end")
		c.wantAnswer("copied", 1, 200, "some some some some some and the end")
	})
}

func TestContextEnds(t *testing.T) {
	waits := func(n *notes) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
			defer cancel()
			<-ctx.Done()
			_, werr := io.WriteString(w, "x")
			_, rerr := r.Body.Read(make([]byte, 1))
			n.add("%v, %v, %v", ctx.Err(), werr, rerr)
		}
	}
	script(t, "RST_STREAM", func(t *testing.T, fm form) {
		n := new(notes)
		c := connect(t, fm, waits(n))
		c.post(1, "/")
		c.settle()
		c.reset(1, xhttp2.ErrCodeCancel)
		c.wantLive("reset")
		n.want(t, "by the peer", "context canceled, h2: the peer has reset the stream, h2: the peer has reset the stream")
	})
	for name, end := range map[string]func(c *peer){
		"FIN":           func(c *peer) { c.h.hangup(nil) },
		"a reset":       func(c *peer) { c.h.hangup(errBroken) },
		"the cut":       func(c *peer) { c.h.shutdown() },
		"a write fails": func(c *peer) { c.h.failWrites(errBroken); c.ping("12345678") },
	} {
		script(t, name, func(t *testing.T, fm form) {
			n := new(notes)
			c := connect(t, fm, waits(n))
			c.post(1, "/")
			c.settle()
			end(c)
			c.wantClosed("over")
			n.want(t, "the connection is lost", "context canceled, h2: the connection is over, h2: the connection is over")
		})
	}
	script(t, "the answer", func(t *testing.T, fm form) {
		n, g := new(notes), newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			context.AfterFunc(ctx, func() { n.add("%v", ctx.Err()) })
			n.add("%v %v", ctx.Value(http.ServerContextKey), ctx.Value(http.LocalAddrContextKey))
			g.wait("go")
		})
		c.get(1, "/")
		c.settle()
		n.want(t, "runs", "<nil> 192.0.2.1:443")
		g.open("go")
		c.wantAnswer("answered", 1, 200, "")
		n.want(t, "returned", "context canceled")
	})
	script(t, "the server's", func(t *testing.T, fm form) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			io.WriteString(w, r.Context().Err().Error())
		}))
		c := dialAttached(t, fm, Complete(cfg), log, Attachment{Context: ctx})
		c.preface()
		c.get(1, "/")
		c.wantIdle("waits")
		cancel(errors.New("the end"))
		c.wantAnswer("ends requests too", 1, 200, "context canceled")
	})
	script(t, "a write waits for the window, a read for the body", func(t *testing.T, fm form) {
		n := new(notes)
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			var err error
			if r.URL.Path == "/read" {
				_, err = io.ReadAll(r.Body)
			} else {
				_, err = w.Write(make([]byte, 200_000))
			}
			n.add("%s %v %v", r.URL.Path, err, r.Context().Err())
		})
		c.preface(window(100))
		c.inOne(func() {
			c.post(1, "/read")
			c.post(3, "/write")
		})
		c.wantHeaders("writes", 3, 200)
		c.wantBytes("as far as the window", 3, 100)
		c.wantIdle("both wait")
		c.h.hangup(nil)
		c.settle()
		n.mu.Lock()
		got := strings.Join(n.list, "|")
		n.mu.Unlock()
		for _, want := range []string{"/read h2: the connection is over context canceled", "/write h2: the connection is over context canceled"} {
			if !strings.Contains(got, want) {
				t.Errorf("handlers noted %q, want %q", got, want)
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	script(t, "of a handler", func(t *testing.T, fm form) {
		n := new(notes)
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			begun := time.Now()
			if r.URL.Path == "/read" {
				rc.SetReadDeadline(begun.Add(time.Second))
				_, err := r.Body.Read(make([]byte, 10))
				n.add("%v %v", err, time.Since(begun))
				rc.SetReadDeadline(time.Time{})
				_, err = r.Body.Read(make([]byte, 10))
				n.add("%v", err)
				return
			}
			rc.SetWriteDeadline(begun.Add(time.Second))
			_, err := w.Write(make([]byte, 200_000))
			n.add("%v %v", err, time.Since(begun))
		})
		c.preface(window(100))
		c.post(1, "/read")
		c.settle()
		time.Sleep(2 * time.Second)
		n.want(t, "a read", "i/o timeout 1s")
		c.dataEnd(1, "here")
		c.wantAnswer("reads on", 1, 200, "")
		n.want(t, "a read without deadline", "<nil>")
		c.get(3, "/write")
		c.wantHeaders("writes", 3, 200)
		c.wantBytes("as far as the window", 3, 100)
		time.Sleep(2 * time.Second)
		n.want(t, "a write", "i/o timeout 1s")
		c.wantReset("an answer that is not whole", 3, xhttp2.ErrCodeInternal)
		c.wantLive("afterwards")
	})
}

// TestTakeover forces a takeover at every call that the engine makes to its
// host while a handler runs: none may lose a byte or let two goroutines step.
func TestTakeover(t *testing.T) {
	const most = 50 // above it, nothing is left to be overtaken
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			io.Copy(w, r.Body)
			w.Header().Set(http.TrailerPrefix+"X-T", "1")
		case "/flush":
			for i := range 5 {
				fmt.Fprint(w, i)
				w.(http.Flusher).Flush()
			}
		case "/panic":
			io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		case "/goexit":
			runtime.Goexit()
		default:
			sized(w, r)
		}
	}
	for at := 1; at <= most; at++ {
		scriptIn(t, forms[0], fmt.Sprintf("at call %d", at), func(t *testing.T, fm form) {
			cfg, log := testConfig(http.HandlerFunc(handler))
			cfg.Recycle = at%2 == 0
			c := dialConfig(t, fm, Complete(cfg), log)
			c.preface(window(20000))
			c.update(0, 1<<20)
			c.settle()
			before := c.h.takeovers()
			c.h.mu.Lock()
			c.h.takeIn = at
			c.h.mu.Unlock()
			c.inOne(func() {
				c.post(1, "/echo")
				c.get(3, "/n/10")
				c.get(5, "/flush")
				c.get(7, "/w/30000")
				c.data(1, "first ")
				c.get(9, "/panic")
				c.get(11, "/c/30000")
				c.get(13, "/goexit")
				c.get(15, "/n/0")
				c.dataEnd(1, "second")
				c.ping("12345678")
			})
			c.wantAnswer("small", 3, 200, pattern(10))
			if a := c.wantAnswer("echo", 1, 200, "first second"); a.trailer == nil {
				t.Error("no trailer")
			}
			c.wantAnswer("flushed", 5, 200, "01234")
			c.update(7, 10000)
			c.update(11, 10000)
			c.wantAnswer("many writes", 7, 200, pattern(30000))
			c.wantReset("panic", 9, xhttp2.ErrCodeInternal)
			c.wantAnswer("large", 11, 200, pattern(30000))
			c.wantReset("goexit", 13, xhttp2.ErrCodeInternal)
			c.wantAnswer("none", 15, 200, "")
			c.wantPing("ping", "12345678", true)
			c.wantLive("afterwards")
			c.h.mu.Lock()
			defer c.h.mu.Unlock()
			if c.h.takeIn > 0 {
				t.Logf("%d calls were left: nothing was forced", c.h.takeIn)
			} else if c.h.epoch == before {
				t.Error("nobody was overtaken")
			}
		})
	}
}

// TestTakeoverEverywhere takes every handler over, at a call of its own each,
// again and again on one connection.
func TestTakeoverEverywhere(t *testing.T) {
	for _, recycle := range []bool{false, true} {
		script(t, fmt.Sprintf("recycle %v", recycle), func(t *testing.T, fm form) {
			cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					echo(w, r)
					return
				}
				sized(w, r)
			}))
			cfg.Recycle = recycle
			c := dialConfig(t, fm, Complete(cfg), log)
			c.preface(window(1 << 20))
			c.update(0, 1<<30)
			id := uint32(1)
			for round := range 40 {
				c.h.mu.Lock()
				c.h.takeEach = round % 9
				c.h.mu.Unlock()
				first := id
				c.inOne(func() {
					for i := range 5 {
						switch i {
						case 3:
							c.post(id, "/p")
							c.dataEnd(id, fmt.Sprint("body ", id))
						default:
							c.get(id, fmt.Sprintf("/n/%d", id))
						}
						id += 2
					}
				})
				for i := range 5 {
					k := first + 2*uint32(i)
					if i == 3 {
						c.wantAnswer("a POST", k, 200, fmt.Sprint("POST /p body ", k))
					} else {
						c.wantAnswer("a GET", k, 200, pattern(int(k)))
					}
				}
			}
			c.wantLive("afterwards")
			if n := c.h.takeovers(); n < 40 && !fm.portable {
				t.Errorf("%d takeovers, want more", n)
			}
		})
	}
}
