package h3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// The end of a connection, as drain.go draws it:
//
//	drain ──┬─ GOAWAY 2^62-4: requests that are on their way are served
//	        ├─ a round trip later GOAWAY with the last of them; what is above is rejected
//	        ├─ requests finish
//	        ├─ what was sent has arrived
//	        └─ CONNECTION_CLOSE, whether or not the client has closed (RFC 9114 §5.2)

// goAways reads the IDs of the GOAWAY frames behind SETTINGS.
func (c *rawClient) goAways() <-chan uint64 {
	ids := make(chan uint64, 10)
	go func() {
		defer close(ids)
		str, err := c.q.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		in := &input{str: str}
		defer in.release()
		if kind, err := in.varint(); err != nil || frame.StreamType(kind) != frame.StreamControl {
			return
		}
		for first := true; ; first = false {
			h, err := in.header()
			if err != nil {
				return
			}
			b, err := in.take(int(h.Length))
			if err != nil || first != (h.Type == frame.TypeSettings) {
				return
			}
			if h.Type == frame.TypeGoAway {
				id, _ := frame.ParseID(b)
				ids <- id
			}
		}
	}()
	return ids
}

// next takes one, or fails the test.
func next[T any](tb testing.TB, why string, ch <-chan T) (v T) {
	tb.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			tb.Fatalf("%s: nothing more comes", why)
		}
		return v
	case <-time.After(patience):
		tb.Fatalf("%s: not in %v", why, patience)
		return v
	}
}

// TestDrain: the two GOAWAY, a request between them, one above the second, and
// the close.
func TestDrain(t *testing.T) {
	servetest.CheckLeaks(t)
	running, g := make(chan struct{}, 10), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		running <- struct{}{}
		<-g
		hello(w, r)
	})
	c := s.raw()
	ids := c.goAways()
	answers := make(chan error, 2)
	ask := func() {
		_, err := c.ask(make([]byte, 1<<10))
		answers <- err
	}
	go ask()
	next(t, "the handler runs", running)
	s.Drain()
	s.Drain() // the second call does not count
	servetest.Want(t, "first the highest id", next(t, "GOAWAY", ids), uint64(highestID))
	id := next(t, "GOAWAY again", ids)
	servetest.Want(t, "then the first that is not served", id, 4)
	// The client does not listen.
	str, err := c.q.OpenStreamSync(context.Background())
	servetest.Must(t, "a stream", err)
	servetest.Want(t, "is above it", uint64(str.StreamID()) >= id, true)
	_, err = c.askOn(str, make([]byte, 1<<10))
	var reset *quic.StreamError
	servetest.Want(t, "it is rejected", errors.As(err, &reset) && frame.Code(reset.ErrorCode) == frame.RequestRejected, true)
	servetest.Want(t, "and counted", s.cfg.Counters.Rejected.Load(), 1)
	select {
	case <-s.Drained():
		t.Error("it is over while a request is in flight")
	default:
	}
	close(g)
	servetest.WantErr(t, "the request in flight is answered", next(t, "its answer", answers), nil)
	s.wantDrained("a client that does not close")
	wait(t, "it is closed", c.q.Context().Done())
	var app *quic.ApplicationError
	if err := context.Cause(c.q.Context()); !errors.As(err, &app) || !app.Remote || frame.Code(app.ErrorCode) != frame.NoError {
		t.Errorf("the connection ends with %v, want H3_NO_ERROR", err)
	}
	servetest.Want(t, "nobody new is served", s.agent().get("/").err != nil, true)
	servetest.Want(t, "one handler has run", len(running), 0)
}

// TestDrainBetweenGoAways: what comes before the second GOAWAY is served.
func TestDrainBetweenGoAways(t *testing.T) {
	s := serve(t, hello)
	c := s.raw()
	buf := make([]byte, 1<<10)
	_, err := c.ask(buf)
	servetest.Must(t, "an answer", err)
	conn := s.only()
	servetest.Want(t, "the first GOAWAY", conn.sayGoAway(phaseGoAway), true)
	_, err = c.ask(buf)
	servetest.WantErr(t, "behind it a request is served", err, nil)
	servetest.Want(t, "the second GOAWAY", conn.sayGoAway(phaseLast), true)
	servetest.Want(t, "neither is said twice", conn.sayGoAway(phaseGoAway) || conn.sayGoAway(phaseLast), false)
	_, err = c.ask(buf)
	servetest.Want(t, "behind that one it is not", err != nil, true)
}

// TestDrainIdle: clients that do nothing are closed, and not waited for.
func TestDrainIdle(t *testing.T) {
	servetest.CheckLeaks(t)
	s := serve(t, hello)
	var clients []*rawClient
	for range 5 {
		c := s.raw()
		_, err := c.ask(make([]byte, 1<<10))
		servetest.Must(t, "an answer", err)
		clients = append(clients, c)
	}
	s.Drain()
	s.wantDrained("idle clients")
	for _, c := range clients {
		wait(t, "each is closed", c.q.Context().Done())
	}
}

// TestDrainSlowDownload: an answer that is being sent arrives, however slowly its
// client reads; with little credit its end waits for it.
func TestDrainSlowDownload(t *testing.T) {
	servetest.CheckLeaks(t)
	s := serve(t, text(mb3))
	a := s.agent(narrow)
	resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/", nil))
	servetest.Must(t, "the head", err)
	s.Drain()
	n := 0
	buf := make([]byte, 16<<10)
	for pause := 0; err == nil; pause++ {
		var k int
		k, err = resp.Body.Read(buf)
		n += k
		if pause%10 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	servetest.WantErr(t, "the end of the answer", err, io.EOF)
	servetest.Want(t, "is the whole of it", n, len(mb3))
	s.wantDrained("then it is over")
}

// TestDrainBlockedEnd: the last bytes of an answer wait for their client's credit
// when its handler has written them, and the drain waits with them.
func TestDrainBlockedEnd(t *testing.T) {
	for _, beyond := range []int{1, 100, 1200, 1400} {
		returned := make(chan struct{})
		size := 64<<10 + beyond
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(returned)
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Write(make([]byte, size)) // with the head a little more than the window
		})
		a := s.agent(narrow, func(cfg *quic.Config) { cfg.MaxStreamReceiveWindow = 64 << 10 })
		resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/", nil))
		servetest.Must(t, "the head", err)
		s.Drain()
		// Far more than an unhindered close takes; the client still reads nothing.
		select {
		case <-s.Drained():
			t.Errorf("%d bytes above the window: it is over before they were sent", beyond)
		case <-returned:
			t.Errorf("%d bytes above the window: the handler has returned though they wait", beyond)
		case <-time.After(300 * time.Millisecond):
		}
		n, err := io.Copy(io.Discard, resp.Body)
		servetest.WantErr(t, "the answer", err, nil)
		servetest.Want(t, "is whole", n, int64(size))
		s.wantDrained("then it is over")
	}
}

// TestDrainUnderLoad: while clients ask as fast as they can, no request is lost:
// none whose handler ran, and whose client saw an error.
func TestDrainUnderLoad(t *testing.T) {
	servetest.CheckLeaks(t)
	var ran sync.Map
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ran.Store(r.URL.Path, true)
		io.WriteString(w, strings.Repeat("x", len(r.URL.Path)*97))
	})
	var wg sync.WaitGroup
	var asked, answered atomic.Int64
	for i := range 8 {
		a := s.agent()
		for j := range 4 {
			wg.Go(func() {
				for n := 0; ; n++ {
					path := fmt.Sprintf("/%d/%d/%d", i, j, n)
					asked.Add(1)
					r := a.get(path)
					if r.err == nil {
						r.want(t, path, 200, strings.Repeat("x", len(path)*97))
						answered.Add(1)
						continue
					}
					if _, lost := ran.Load(path); lost {
						t.Errorf("%s: its handler has run, and its client got %v", path, r.err)
					}
					return
				}
			})
		}
	}
	servetest.WantSoon(t, "they are at it", func() bool { return answered.Load() > 500 })
	s.Drain()
	s.wantDrained("under load")
	wg.Wait()
	servetest.Want(t, "answered requests", s.cfg.Counters.Requests.Load(), uint64(answered.Load()))
}

// TestMaxRequests: a connection that has had its number is drained, and loses
// none.
func TestMaxRequests(t *testing.T) {
	s := serve(t, hello, func(cfg *Config) { cfg.MaxRequests = 20 })
	a := s.agent()
	n := 0
	for ; a.get("/").err == nil; n++ {
		if n > 10_000 {
			t.Fatal("it is never drained")
		}
	}
	servetest.Want(t, "at least as many as it should have, less a tenth", n >= 18, true)
	servetest.WantSoon(t, "it is closed", func() bool { return s.Live() == 0 })
	servetest.Want(t, "every handler's answer has arrived", s.cfg.Counters.Requests.Load(), uint64(n))
}

// TestSweepDrains: an old connection is drained, and so is an idle one.
func TestSweepDrains(t *testing.T) {
	for _, tune := range []func(*Config){
		func(cfg *Config) { cfg.MaxConnAge = time.Hour },
		func(cfg *Config) { cfg.IdleTimeout = time.Hour },
	} {
		s := serve(t, hello, tune)
		a := s.agent()
		a.wantHello("an answer", "/")
		c := s.only()
		servetest.WantSoon(t, "the request is over", func() bool { return !c.busy() })
		c.sweep(time.Now().Add(time.Minute))
		a.wantHello("it is neither old nor idle", "/")
		servetest.WantSoon(t, "the request is over", func() bool { return !c.busy() })
		c.sweep(time.Now().Add(2 * time.Hour))
		servetest.WantSoon(t, "it is closed", func() bool { return s.Live() == 0 })
	}
}

// TestShed: where memory is short a connection ends with the requests it has (S-7).
func TestShed(t *testing.T) {
	var short atomic.Bool
	s := serve(t, hello, func(cfg *Config) { cfg.Shed = short.Load })
	a := s.agent()
	a.wantHello("there is plenty", "/")
	servetest.Want(t, "and the connection stays", s.Live(), 1)
	short.Store(true)
	a.wantHello("the last request is answered", "/")
	servetest.WantSoon(t, "then it is closed", func() bool { return s.Live() == 0 })
}
