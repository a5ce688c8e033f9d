package serve

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// sharedServer serves g, and is shut down by stop.
func sharedServer(t *testing.T, g net.Listener, opts ServerOptions) (s *Server, stop func()) {
	t.Helper()
	opts.ErrorLog = slog.New(slog.NewTextHandler(io.Discard, nil))
	s = &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "answer") }), Options: opts}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(g) }()
	return s, sync.OnceFunc(func() {
		servetest.Must(t, "the drain ends", s.Shutdown(t.Context()))
		servetest.WantErr(t, "Serve", <-ended, http.ErrServerClosed)
	})
}

// TestFewSockets: with fewer sockets than shards, as a service manager may pass them
// on, every shard has its share of the connections.
func TestFewSockets(t *testing.T) {
	const shards, conns = 5, 400
	for _, sockets := range []int{1, 2, 3, 5, 7} {
		t.Run(fmt.Sprint(sockets), func(t *testing.T) {
			servetest.CheckLeaks(t)
			g, err := listener.Listen(t.Context(), listener.Config{Address: "127.0.0.1:0", Sockets: sockets})
			servetest.Must(t, "listen", err)
			s, stop := sharedServer(t, g, ServerOptions{Shards: shards})
			for range conns {
				c, err := net.Dial("tcp", g.Addr().String())
				servetest.Must(t, "dial", err)
				defer c.Close()
			}
			servetest.WantSoon(t, "all are there", func() bool { return s.Stats().Connections == conns })
			for i, sh := range s.shards {
				if n := sh.Live(); n < conns/shards/4 {
					t.Errorf("shard %d has %d of %d connections", i, n, conns)
				}
			}
			servetest.Must(t, "close", s.Close())
			stop()
		})
	}
}

// TestSharedDrain: sockets that somebody else has too are left with what is queued, so
// that their next user loses nobody; under load the drain ends all the same.
func TestSharedDrain(t *testing.T) {
	for _, loop := range []EventLoopMode{EventLoopOn, EventLoopOff} {
		t.Run(fmt.Sprintf("loop=%d", loop), func(t *testing.T) {
			servetest.CheckLeaks(t)
			manager, err := net.Listen("tcp", "127.0.0.1:0")
			servetest.Must(t, "listen", err)
			defer manager.Close()
			var over atomic.Bool
			var asked atomic.Int64
			var load sync.WaitGroup
			defer load.Wait()
			defer over.Store(true)
			for range 4 {
				load.Go(func() {
					for !over.Load() {
						if err := askOnce(manager.Addr().String()); err != nil {
							t.Errorf("request %d: %v", asked.Load(), err)
							return
						}
						asked.Add(1)
					}
				})
			}
			for range 6 {
				g, err := listener.FromListener(manager)
				servetest.Must(t, "the next user", err)
				g.Share()
				_, stop := sharedServer(t, g, ServerOptions{EventLoop: loop})
				before := asked.Load()
				servetest.WantSoon(t, "it serves", func() bool { return asked.Load() > before+50 || t.Failed() })
				stop()
			}
			// The last one's queue: there must be somebody for those that wait.
			g, err := listener.FromListener(manager)
			servetest.Must(t, "the last user", err)
			_, stop := sharedServer(t, g, ServerOptions{EventLoop: loop})
			over.Store(true)
			load.Wait()
			stop()
		})
	}
}

// askOnce makes one request on a connection of its own.
func askOnce(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(gatePatience))
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	b, readErr := io.ReadAll(c)
	if err := errors.Join(err, readErr); err != nil {
		return err
	}
	if len(b) == 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}
