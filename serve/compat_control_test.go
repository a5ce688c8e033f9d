package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// Control: panics, contexts, hijacking, deadlines, hooks.
var compatControl = []compatCase{
	{name: "panic before the head", run: compatPanicBefore, must: []string{"error: cut"}},
	{name: "panic after the head", run: compatPanicAfter, must: []string{"body error: cut"}},
	{name: "abort", run: compatAbort, must: []string{"error: cut"}},
	{name: "Goexit", run: compatGoexit, must: []string{"error: cut"}},
	{name: "hijack", run: compatHijack, must: []string{"hijacked says hello", "read ahead \"early\\n\""}, over: overH1},
	{name: "hijack after the head", run: compatHijackLate, over: overH1},
	{name: "hijack while watched", run: compatHijackWatched, must: []string{"echo later"}, over: overH1},
	{name: "no hijack", run: compatNoHijack, must: []string{"Hijacker false", "hijack: feature not supported"}, over: overStreams},
	{name: "read deadline", run: compatReadDeadline, must: []string{"read timeout"}},
	{name: "read deadline of the next request", run: compatReadDeadlineNext, must: []string{"second read 5 nil"}},
	{name: "write deadline", run: compatWriteDeadline, must: []string{"write timeout"}},
	{name: "context ends with the peer", run: compatDisconnect, must: []string{"context canceled"}},
	{name: "context ends with the peer, after a body", run: compatDisconnectPost, must: []string{"context canceled"}},
	{name: "context of children", run: compatChildren, must: []string{"AfterFunc ran", "child context canceled"}},
	{name: "context after return", run: compatContextReturn, must: []string{"after: context canceled"}},
	{name: "context values", run: compatContextValues, must: []string{"base b conn c"}},
	{
		name: "connection states", run: compatConnState, must: []string{"new active idle active closed"}, mustH2: []string{"new active idle active idle active idle closed"},
		over: overH1 | overH2, // the hook is given a net.Conn: QUIC has none
	},
	{name: "many at once", run: compatMany, must: []string{"600 right"}},
}

func compatPanicBefore(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Lost", "1")
		if r.URL.Path == "/status" {
			w.WriteHeader(http.StatusOK)
		}
		if r.URL.Path == "/written" {
			io.WriteString(w, "lost")
		}
		panic("handler's")
	})
	for _, path := range []string{"/", "/status", "/written"} {
		x.ask("GET", path, nil)
		x.ask("POST", path, strings.NewReader("body"))
	}
}

func compatPanicAfter(x *compat) {
	arrived := make(chan struct{})
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		within(x.t, "what was flushed arrives", arrived)
		panic(errors.New("handler's"))
	})
	for _, path := range []string{"/", "/length"} {
		x.do(x.request("GET", path, nil), onArrival("begun", arrived))
	}
}

func compatAbort(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			io.WriteString(w, strings.Repeat("x", 100_000))
		}
		panic(http.ErrAbortHandler)
	})
	x.ask("GET", "/", nil)
	x.note("begun: %s", failure(x.drink("/begun")))
}

func compatGoexit(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/exit" {
			runtime.Goexit()
		}
		io.WriteString(w, "alive")
	})
	x.ask("GET", "/exit", nil)
	x.ask("GET", "/", nil)
}

func compatHijack(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			x.tell("hijack: %v", err)
			return
		}
		defer conn.Close()
		_, err = io.WriteString(w, "no")
		x.tell("write after: %v", err)
		_, _, err = w.(http.Hijacker).Hijack()
		x.tell("again: %v", err)
		x.tell("addresses %v %v", conn.LocalAddr(), strings.HasPrefix(conn.RemoteAddr().String(), "127.0.0.1:"))
		line, err := rw.ReadString('\n')
		x.tell("read ahead %q %s", line, kind(err))
		fmt.Fprintf(rw, "hijacked says hello\n")
		rw.Flush()
		line, err = rw.ReadString('\n')
		x.tell("read %q %s", line, kind(err))
		conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = rw.ReadByte()
		x.tell("deadline: %s", kind(err))
		conn.SetReadDeadline(time.Time{})
		fmt.Fprintf(conn, "context %v\n", r.Context().Err())
	})
	p := x.dial()
	p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nearly\n")
	p.line()
	x.note("hijacked says hello")
	p.send("late\n")
	p.line()
	p.line()
}

func compatHijackLate(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "0")
		if r.URL.Path == "/switch" {
			w.Header().Set("Upgrade", "thing")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
		} else {
			w.WriteHeader(http.StatusAccepted)
			w.(http.Flusher).Flush()
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			x.tell("hijack: %v", err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "raw\n")
	})
	for _, path := range []string{"/", "/switch"} {
		p := x.dial()
		p.send("GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: thing\r\n\r\n")
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil {
			x.note("%s", kind(err))
			continue
		}
		x.note("%s", resp.Status)
		p.line()
		p.line()
	}
}

func compatHijackWatched(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		done := r.Context().Done() // from here on the peer is watched
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			x.tell("hijack: %v", err)
			return
		}
		defer conn.Close()
		for range 2 {
			line, err := rw.ReadString('\n')
			x.tell("read %q %s", line, kind(err))
			fmt.Fprintf(conn, "echo %s", line)
		}
		select {
		case <-done:
			x.tell("context ended")
		default:
			x.tell("context alive")
		}
	})
	p := x.dial()
	p.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	p.send("early\n")
	p.line()
	p.send("later\n")
	p.line()
	x.note("echo later")
}

// compatNoHijack: an HTTP/2 connection is not one request's to take, and 101
// switches nothing.
func compatNoHijack(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		_, is := w.(http.Hijacker)
		x.tell("Hijacker %v", is)
		if r.URL.Path == "/switch" {
			w.Header().Set("Upgrade", "thing")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
		_, _, err := http.NewResponseController(w).Hijack()
		x.tell("hijack: %v", err)
		_, err = io.WriteString(w, "answered")
		x.tell("write: %v", err)
	})
	for _, path := range []string{"/", "/switch"} {
		p := x.dial()
		p.ask("GET", path)
		p.interims()
		p.answers("GET")
		p.rest()
	}
}

func compatReadDeadline(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		x.tell("set %v", rc.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
		n, err := io.ReadFull(r.Body, make([]byte, 10))
		x.tell("%d read %s", n, kind(err))
		w.WriteHeader(http.StatusRequestTimeout)
	})
	p := x.dial()
	p.ask("POST", "/", "Content-Length: 10")
	p.content("abc")
	p.answers("POST")
}

func compatReadDeadlineNext(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			return
		}
		body, err := io.ReadAll(r.Body)
		x.tell("second read %d %s", len(body), kind(err))
	})
	p := x.dial()
	p.ask("GET", "/first")
	p.answers("GET")
	p.ask("POST", "/second", "Content-Length: 5")
	p.content("ab")
	time.Sleep(100 * time.Millisecond) // beyond the first request's deadline
	p.content("cde")
	p.answers("POST")
}

func compatWriteDeadline(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("set %v", http.NewResponseController(w).SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		var err error
		for range 1000 { // more than all buffers together
			if _, err = w.Write(make([]byte, 100_000)); err != nil {
				break
			}
		}
		x.tell("write %s", kind(err))
	})
	p := x.dial()
	p.stall()
	p.ask("GET", "/")
	x.handlersDone()
}

// handlersDone waits until the handlers that were called have returned.
func (x *compat) handlersDone() {
	x.t.Helper()
	end := time.Now().Add(patience)
	for x.toldLines() == 0 {
		if time.Now().After(end) {
			x.t.Fatal("no handler was called")
		}
		time.Sleep(time.Millisecond)
	}
	x.settle()
}

func (x *compat) toldLines() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.served)
}

func compatDisconnect(x *compat) {
	running := make(chan struct{}, 1)
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("before: %v", r.Context().Err())
		running <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-time.After(patience):
		}
		x.tell("%v %v", r.Context().Err(), context.Cause(r.Context()))
	})
	for _, cut := range []func(*peer){func(p *peer) { p.conn.Close() }, (*peer).abandon} {
		p := x.dial()
		p.ask("GET", "/")
		within(x.t, "the handler runs", running)
		cut(p)
		x.settle()
	}
}

func compatDisconnectPost(x *compat) {
	running := make(chan struct{}, 1)
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		done := r.Context().Done() // asked for before the body is read
		body, err := io.ReadAll(r.Body)
		x.tell("read %q %s", body, kind(err))
		w.WriteHeader(http.StatusAccepted)
		w.(http.Flusher).Flush()
		running <- struct{}{}
		select {
		case <-done:
		case <-time.After(patience):
		}
		x.tell("%v", r.Context().Err())
	})
	for _, cut := range []func(*peer){func(p *peer) { p.conn.Close() }, (*peer).abandon} {
		p := x.dial()
		p.ask("POST", "/", "Content-Length: 4")
		p.content("body")
		within(x.t, "the handler runs", running)
		cut(p)
		x.settle()
	}
}

func compatChildren(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		ran := make(chan struct{})
		context.AfterFunc(r.Context(), func() { close(ran) })
		child, cancel := context.WithCancel(r.Context())
		x.t.Cleanup(cancel)
		late, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		<-late.Done()
		x.tell("late %v, request %v", late.Err(), r.Context().Err())
		x.handlers.Go(func() {
			<-ran
			<-child.Done()
			x.tell("AfterFunc ran")
			x.tell("child %v", child.Err())
		})
	})
	x.ask("GET", "/", nil)
}

func compatContextReturn(x *compat) {
	kept := make(chan context.Context, 2)
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/asked" {
			r.Context().Done()
		}
		_, has := r.Context().Deadline()
		x.tell("deadline %v", has)
		kept <- r.Context()
	})
	for _, path := range []string{"/", "/asked"} {
		x.ask("GET", path, nil)
		ctx := <-kept
		within(x.t, "the context ends", ctx.Done())
		x.note("after: %v", ctx.Err())
	}
}

type ctxKey string

func compatContextValues(x *compat) {
	x.settings.baseContext = func(l net.Listener) context.Context {
		return context.WithValue(context.Background(), ctxKey("base"), "b")
	}
	x.settings.connContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, ctxKey("conn"), "c")
	}
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("base %v conn %v none %v", r.Context().Value(ctxKey("base")), r.Context().Value(ctxKey("conn")), r.Context().Value(ctxKey("none")))
	})
	x.ask("GET", "/", nil)
}

func compatConnState(x *compat) {
	var mu sync.Mutex
	var states []string
	last := func() string {
		mu.Lock()
		defer mu.Unlock()
		return states[len(states)-1]
	}
	closed := make(chan struct{})
	x.settings.connState = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, s.String())
		if s == http.StateClosed {
			close(closed)
		}
	}
	x.serve(func(w http.ResponseWriter, r *http.Request) {})
	p := x.dial()
	p.ask("GET", "/")
	p.answers("GET")
	becomesIdle := func() { servetest.WantSoon(x.t, "the connection is idle", func() bool { return last() == "idle" }) }
	becomesIdle() // pipelined requests are not idle in between
	p.ask("GET", "/", p.closing()...)
	p.answers("GET")
	if x.streams() {
		becomesIdle() // HTTP/2 has no word for its last request
	}
	p.conn.Close()
	within(x.t, "the connection is closed", closed)
	mu.Lock()
	defer mu.Unlock()
	x.note("%s", strings.Join(states, " "))
}

// compatMany: answers do not get mixed up between connections.
func compatMany(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(r.URL.Path)%3 == 0 {
			time.Sleep(time.Millisecond) // the event loop hands leadership on
		}
		w.Header().Set("X-Path", r.URL.Path)
		w.Write(body)
	})
	var right int
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			for j := range 50 {
				path := fmt.Sprintf("/%d/%d", i, j)
				resp, err := x.client.Post(x.url+path, "text/plain", strings.NewReader(strings.Repeat(path, j*10)))
				if err != nil {
					x.t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil && resp.Header.Get("X-Path") == path && string(body) == strings.Repeat(path, j*10) {
					mu.Lock()
					right++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	x.note("%d right", right)
}
