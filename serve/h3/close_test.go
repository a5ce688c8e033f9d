package h3

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestCut: it closes what is left, and counts what had a request under way.
func TestCut(t *testing.T) {
	servetest.CheckLeaks(t)
	running, g := make(chan struct{}, 2), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			running <- struct{}{}
			<-g
		}
		hello(w, r)
	})
	ends := make(chan reply, 2)
	for _, path := range []string{"/", "/stuck", "/stuck"} {
		a := s.agent()
		if path == "/" {
			a.wantHello("one that is idle", path)
			continue
		}
		go func() { ends <- a.get(path) }()
		next(t, "the handler runs", running)
	}
	servetest.Want(t, "connections", s.Live(), 3)
	servetest.Want(t, "with a request under way", s.Cut(), 2)
	servetest.Want(t, "counted", s.cfg.Counters.Cut.Load(), 2)
	for range 2 {
		servetest.Want(t, "their clients are told", next(t, "the end", ends).err != nil, true)
	}
	servetest.WantSoon(t, "none is left, though handlers run", func() bool { return s.Live() == 0 })
	close(g)
}

// TestCloseWithStuckHandlers: Close does not wait for handlers, be they late,
// the leader's, or so many that the next waits for room.
func TestCloseWithStuckHandlers(t *testing.T) {
	for _, stuck := range []int{1, 2, 3} {
		const most = 2
		g := make(chan struct{})
		running := make(chan struct{}, stuck)
		ended := make(chan struct{}, stuck)
		s := serve(t, func(http.ResponseWriter, *http.Request) {
			running <- struct{}{}
			<-g
			ended <- struct{}{}
		}, func(cfg *Config) { cfg.MaxStreams = most })
		c := s.raw()
		for range stuck {
			str, err := c.q.OpenStream()
			servetest.Must(t, "a stream", err)
			servetest.Must(t, "a request", str.TryWriteAll(c.request))
			str.Close()
		}
		for range min(stuck, most) {
			next(t, "a handler runs", running)
		}
		if stuck > most {
			servetest.WantSoon(t, "the leader waits for room", func() bool {
				conn := s.only()
				word := conn.token.word.Load()
				return word%2 == 0 && conn.lateUntil.Load() != 0
			})
		}
		within(t, "Close", func() { servetest.WantErr(t, "Close", s.Close(), nil) })
		s.wantDrained("closed")
		wait(t, "the client is told", c.q.Context().Done())
		close(g)
		for range min(stuck, most) {
			next(t, "a handler's end", ended)
		}
	}
}

// TestEndWhileWaitingForRoom: a connection whose leader waits for room is known
// to be over when its client has gone, though its handlers are stuck.
func TestEndWhileWaitingForRoom(t *testing.T) {
	running, g := make(chan struct{}, 1), make(chan struct{})
	defer close(g)
	s := serve(t, func(http.ResponseWriter, *http.Request) {
		running <- struct{}{}
		<-g
	}, func(cfg *Config) { cfg.MaxStreams = 1 })
	c := s.raw()
	for range 2 {
		str, err := c.q.OpenStream()
		servetest.Must(t, "a stream", err)
		servetest.Must(t, "a request", str.TryWriteAll(c.request))
	}
	next(t, "a handler runs", running)
	c.q.CloseWithError(0x100, "")
	servetest.WantSoon(t, "the server sees the end", func() bool { return s.Live() == 0 })
}

// TestCloseWithHandshakes: those that are under way are refused, and nothing is
// left of them.
func TestCloseWithHandshakes(t *testing.T) {
	for _, drain := range []bool{false, true} {
		t.Run(map[bool]string{false: "Close", true: "Drain"}[drain], func(t *testing.T) {
			servetest.CheckLeaks(t)
			s := serve(t, hello)
			// A client that never hears anything.
			way := relayTo(t, s.addr, func(toClient bool) bool { return toClient })
			tr := &quic.Transport{Conn: socketFor(t)}
			defer tr.Close()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			dialled := make(chan error, 1)
			go func() {
				_, err := tr.Dial(ctx, way.front.LocalAddr(), clientTLS(), nil)
				dialled <- err
			}()
			servetest.WantSoon(t, "a handshake is under way", func() bool { return s.admission.open.Load() == 1 })
			if drain {
				s.Drain()
				s.wantDrained("their grace is over")
			}
			within(t, "Close", func() { servetest.WantErr(t, "Close", s.Close(), nil) })
			s.wantDrained("closed")
			servetest.WantSoon(t, "none is under way", func() bool { return s.admission.open.Load() == 0 })
			cancel()
			next(t, "the client gives up", dialled)
		})
	}
}

// TestCloseUnderLoad: it may come at any time, from more than one goroutine.
func TestCloseUnderLoad(t *testing.T) {
	servetest.CheckLeaks(t)
	for range 5 {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path)%3 == 0 {
				time.Sleep(time.Millisecond)
			}
			hello(w, r)
		})
		asked := make(chan struct{}, 100)
		done := make(chan struct{})
		const clients = 4
		for range clients {
			a := s.agent()
			a.wantHello("at first", "/")
			go func() {
				for path := "/"; a.get(path).err == nil; path += "x" {
					select {
					case asked <- struct{}{}:
					default:
					}
				}
				done <- struct{}{}
			}()
		}
		next(t, "they are at it", asked)
		twice := make(chan struct{})
		go func() { s.Close(); close(twice) }()
		within(t, "Close", func() { s.Close() })
		wait(t, "Close again", twice)
		s.wantDrained("closed")
		for range clients {
			next(t, "each client sees the end", done)
		}
	}
}
