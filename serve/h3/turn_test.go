package h3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// overtake takes the lead from the handler of w, as the watch would.
func overtake(w http.ResponseWriter) {
	s := w.(*response).s
	if s.turn != 0 {
		s.c.overtake(s.turn)
	}
}

// TestWaitingHandlers: whatever a handler waits for, the other streams of its
// connection are served meanwhile.
func TestWaitingHandlers(t *testing.T) {
	g := make(chan struct{})
	running := make(chan struct{}, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fast":
			hello(w, r)
			return
		case "/gate":
			running <- struct{}{}
			<-g
		case "/read":
			running <- struct{}{}
			io.Copy(io.Discard, r.Body)
		case "/write":
			running <- struct{}{}
			w.Write(make([]byte, 4<<20)) // beyond every window
			return
		}
		hello(w, r)
	})
	a := s.agent()
	a.wantHello("alone", "/fast")
	pr, pw := io.Pipe()
	gate, read, written := make(chan reply, 1), make(chan reply, 1), make(chan *http.Response, 1)
	go func() { gate <- a.get("/gate") }()
	<-running
	a.wantHello("beside one that does nothing", "/fast")
	go func() { read <- a.do(a.request(context.Background(), "POST", "/read", pr)) }()
	<-running
	a.wantHello("beside one that reads", "/fast")
	go func() {
		resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/write", nil))
		servetest.WantErr(t, "a long answer", err, nil)
		written <- resp
	}()
	<-running
	for range 50 {
		a.wantHello("beside one that writes", "/fast")
	}
	close(g)
	pw.Close()
	(<-gate).want(t, "it goes on where it was", 200, "hello")
	(<-read).want(t, "so does the reader", 200, "hello")
	resp := <-written
	n, err := io.Copy(io.Discard, resp.Body)
	servetest.WantErr(t, "the writer's answer", err, nil)
	servetest.Want(t, "is whole", n, 4<<20)
	servetest.Want(t, "all on one connection", s.cfg.Counters.Accepted.Load(), 1)
	if n := s.cfg.Counters.Overtaken.Load() + s.cfg.Counters.HandOffs.Load(); n == 0 {
		t.Error("nobody was overtaken, and nobody handed on")
	}
}

// TestLatePeriod: after a handler was overtaken the next ones get goroutines of
// their own, for a while.
func TestLatePeriod(t *testing.T) {
	inline := make(chan bool, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		inline <- w.(*response).s.turn != 0
		if r.URL.Path == "/slow" {
			overtake(w)
		}
		hello(w, r)
	})
	a := s.agent()
	ask := func(path string) bool {
		a.wantHello("an answer", path)
		return <-inline
	}
	servetest.Want(t, "a handler runs inline", ask("/"), true)
	ask("/slow")
	servetest.Want(t, "after one that was late it does not", ask("/"), false)
	s.only().lateUntil.Store(time.Now().UnixNano() - 1)
	servetest.Want(t, "in time it does again", ask("/"), true)
}

// TestHandlerEndings: however a handler ends, only its own stream is hit.
func TestHandlerEndings(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		when, how, _ := strings.Cut(r.URL.Path[1:], "/")
		switch when {
		case "written":
			io.WriteString(w, "some")
		case "flushed":
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
		case "overtaken":
			overtake(w)
		case "read":
			io.ReadAll(r.Body)
		}
		switch how {
		case "panic":
			panic("oops")
		case "nil":
			panic(nil)
		case "abort":
			panic(http.ErrAbortHandler)
		case "goexit":
			runtime.Goexit()
		}
		hello(w, r)
	})
	a := s.agent()
	panics := uint64(0)
	for _, how := range []string{"panic", "nil", "abort", "goexit"} {
		for _, when := range []string{"before", "written", "flushed", "overtaken", "read"} {
			r := a.do(a.request(context.Background(), "POST", "/"+when+"/"+how, strings.NewReader("body")))
			servetest.Want(t, fmt.Sprintf("%s, %s: the stream is reset", how, when), r.err != nil, true)
			a.wantHello("the connection lives", "/before/none")
			if how == "panic" || how == "nil" {
				panics++
			}
		}
	}
	servetest.Want(t, "all on one connection", s.cfg.Counters.Accepted.Load(), 1)
	servetest.Want(t, "panics counted", s.cfg.Counters.Panics.Load(), panics)
	servetest.Want(t, "panics logged", strings.Count(s.log.String(), "panic serving 127.0.0.1"), int(panics))
	servetest.Want(t, "the log shows where", strings.Contains(s.log.String(), "turn_test.go"), true)
}

// TestForcedOvertake: a handler may lose the lead at any point, and its answer is
// the same.
func TestForcedOvertake(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5<<10)
	for _, recycle := range []bool{false, true} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			at := func(point string) {
				if strings.Contains(r.URL.Path, point) {
					overtake(w)
				}
			}
			at("a")
			b, err := io.ReadAll(r.Body)
			at("b")
			w.Header().Set("X-Err", fmt.Sprint(err))
			w.Header().Set("Trailer", "X-T")
			w.Write(b)
			at("c")
			io.WriteString(w, long)
			at("d")
			w.Header().Set("X-T", "end")
			w.(http.Flusher).Flush()
			at("e")
		}, func(cfg *Config) { cfg.Recycle = recycle })
		a := s.agent()
		for mask := range 32 {
			path := "/"
			for i := range 5 {
				if mask>>i&1 == 1 {
					path += string(rune('a' + i))
				}
			}
			r := a.do(a.request(context.Background(), "POST", path, strings.NewReader("body")))
			r.want(t, path, 200, "body"+long)
			if r.err == nil {
				servetest.Want(t, path+": its trailer", r.Trailer.Get("X-T"), "end")
				servetest.Want(t, path+": the body was read", r.Header.Get("X-Err"), "<nil>")
			}
			// Late handlers do not lead; here every one begins as leader.
			s.only().lateUntil.Store(0)
		}
	}
}

// TestStress: many at once, some of which sleep, and each gets its own answer.
func TestStress(t *testing.T) {
	servetest.CheckLeaks(t)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n, ms, size int
		fmt.Sscanf(r.URL.RawQuery, "%d&%d&%d", &n, &ms, &size)
		if ms > 0 {
			time.Sleep(time.Duration(ms) * time.Millisecond)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("request %d: its body: %v", n, err)
		}
		w.Header().Set("X-N", fmt.Sprint(n))
		w.Write(b)
		io.WriteString(w, strings.Repeat("x", size))
	})
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 4 {
		a := s.agent()
		for range 50 {
			wg.Go(func() {
				for n := next.Add(1); n <= 1000; n = next.Add(1) {
					ms, size := 0, rand.IntN(2000)
					if n%5 == 0 {
						ms = rand.IntN(10)
					}
					if n%50 == 0 {
						size = 100_000
					}
					var body io.Reader
					sent := ""
					if n%3 == 0 {
						sent = strings.Repeat(fmt.Sprint(n, " "), 200)
						body = strings.NewReader(sent)
					}
					r := a.do(a.request(context.Background(), "POST", fmt.Sprintf("/%d?%d&%d&%d", n%7, n, ms, size), body))
					r.want(t, fmt.Sprintf("request %d", n), 200, sent+strings.Repeat("x", size))
					if r.err == nil && r.Header.Get("X-N") != fmt.Sprint(n) {
						t.Errorf("request %d got the fields of %s", n, r.Header.Get("X-N"))
					}
				}
			})
		}
	}
	wg.Wait()
	servetest.Want(t, "requests counted", s.cfg.Counters.Requests.Load(), 1000)
}

// TestHandlersOwnGoroutines: readers and writers that are not the handler's.
func TestHandlersOwnGoroutines(t *testing.T) {
	t.Run("one still reads when the handler returns", func(t *testing.T) {
		read := make(chan error, 1)
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			reading := make(chan struct{})
			go func() {
				b := make([]byte, 4)
				io.ReadFull(r.Body, b)
				close(reading)
				_, err := r.Body.Read(b)
				read <- err
			}()
			<-reading
			hello(w, r)
		})
		a := s.agent()
		pr, pw := io.Pipe()
		defer pw.Close()
		go io.WriteString(pw, "body")
		a.do(a.request(context.Background(), "POST", "/", pr)).want(t, "the answer does not wait for the rest", 200, "hello")
		select {
		case err := <-read:
			servetest.Want(t, "the reader is told", err != nil && !errors.Is(err, io.EOF), true)
		case <-time.After(patience):
			t.Error("the reader waits still")
		}
	})
	t.Run("calls after the handler has returned", func(t *testing.T) {
		late, done := make(chan struct{}), make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			go func() {
				defer close(done)
				<-late
				_, err := io.WriteString(w, "late")
				servetest.WantErr(t, "write", err, errOver)
				_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("late"))
				servetest.WantErr(t, "copy", err, errOver)
				rc := http.NewResponseController(w)
				servetest.WantErr(t, "flush", rc.Flush(), errOver)
				servetest.WantErr(t, "read deadline", rc.SetReadDeadline(time.Now()), errOver)
				servetest.WantErr(t, "write deadline", rc.SetWriteDeadline(time.Now()), errOver)
				w.WriteHeader(500)
				<-r.Context().Done() // the client can have its answer a moment before
				servetest.WantErr(t, "context", r.Context().Err(), context.Canceled)
				for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
					if _, err = r.Body.Read(make([]byte, 1)); errors.Is(err, http.ErrBodyReadAfterClose) {
						break
					}
				}
				servetest.WantErr(t, "read", err, http.ErrBodyReadAfterClose)
			}()
			hello(w, r)
		})
		a := s.agent()
		a.do(a.request(context.Background(), "POST", "/", strings.NewReader("body"))).want(t, "answered", 200, "hello")
		close(late)
		wait(t, "the late calls", done)
	})
	t.Run("writes of many", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for range 50 {
						io.WriteString(w, strings.Repeat(string(rune('a'+i)), 1000))
						if i%2 == 0 {
							w.(http.Flusher).Flush()
						}
					}
				})
			}
			wg.Wait()
		})
		r := s.agent().get("/")
		servetest.WantErr(t, "the answer", r.err, nil)
		for i := range 8 {
			servetest.Want(t, "bytes of each", strings.Count(r.body, string(rune('a'+i))), 50_000)
		}
	})
}
