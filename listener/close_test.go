package listener

import (
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// While clients open a connection per request as fast as they can, the group
// closes: nobody whose connect succeeded may see a reset or an end of stream
// without an answer. Many sockets make the drain long, and with it the time in
// which a connection could slip into a queue that has been drained already;
// without Quiesce this test fails.
func TestCloseUnderLoad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs SO_ATTACH_FILTER")
	}
	for _, cfg := range []Config{
		{Network: "tcp", Address: "127.0.0.1:0", Sockets: 64},
		{Network: "tcp", Address: ":0", Sockets: 8},
		{Network: "unix", Address: filepath.Join(t.TempDir(), "s")},
	} {
		t.Run(cfg.Network+" "+filepath.Base(cfg.Address), func(t *testing.T) {
			for range 5 {
				loadAndClose(t, listen(t, cfg))
			}
		})
	}
}

// loadAndClose closes g while clients come.
func loadAndClose(t *testing.T, g *Group) {
	const clients, requests = 32, 200
	var served int
	var serveErr error
	var server, load sync.WaitGroup
	server.Go(func() { served, serveErr = serveEcho(g, 0) })

	var asked, lost atomic.Int64
	stop := make(chan struct{})
	for range clients {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := dialAddr(g.Addr(), 200*time.Millisecond)
				if err != nil {
					continue // refused or dropped: it was told, or will try elsewhere
				}
				asked.Add(1)
				if err := askEcho(c); err != nil {
					lost.Add(1)
					t.Errorf("a connected client was not served: %v", err)
					return
				}
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); asked.Load() < requests && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	must(t, "Close", g.Close())
	server.Wait()
	close(stop)
	load.Wait()
	must(t, "Accept", serveErr)
	wantNoneLost(t, int64(served), asked.Load())
	if asked.Load() < requests {
		t.Errorf("only %d requests: no load", asked.Load())
	}
}

// wantNoneLost: of a client that gave up connecting the server may know all the
// same, so there can be more served than asked, never less.
func wantNoneLost(t *testing.T, served, asked int64) {
	t.Helper()
	if served < asked {
		t.Errorf("%d connections served of %d connected clients", served, asked)
	}
}

// What the kernel has completed before Close, Accept returns after it.
func TestCloseDrainsQueues(t *testing.T) {
	for _, cfg := range []Config{
		{Network: "tcp", Address: "127.0.0.1:0", Sockets: 3},
		{Network: "unix", Address: filepath.Join(t.TempDir(), "s")},
	} {
		t.Run(cfg.Network, func(t *testing.T) {
			const clients = 60
			g := listen(t, cfg)
			first := dial(t, g)
			c, err := g.Accept()
			must(t, "Accept", err)
			_, _ = c.Close(), first.Close()

			conns := make([]net.Conn, clients)
			for i := range conns {
				conns[i] = dial(t, g)
			}
			must(t, "Close", g.Close())
			if c, err := dialAddr(g.Addr(), time.Second); err == nil {
				_ = c.Close()
				t.Error("connect after Close succeeded")
			}
			for i := range conns {
				c, err := g.Accept()
				must(t, "Accept of a queued connection", err)
				go echoOnce(c)
				_ = i
			}
			_, err = g.Accept()
			want(t, "Accept after the drain says net.ErrClosed", errors.Is(err, net.ErrClosed), true)
			for _, c := range conns {
				must(t, "queued client", askEcho(c))
			}
			must(t, "second Close", g.Close())
		})
	}
}

// The steps an event loop takes by itself: quiesce, wait, accept, close.
func TestQuiesceSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs raw accepts")
	}
	for _, cfg := range []Config{
		{Network: "tcp4", Address: "127.0.0.1:0", Sockets: 2},
		{Network: "tcp6", Address: "[::1]:0", Sockets: 2},
		{Network: "unix", Address: filepath.Join(t.TempDir(), "s")},
		{Network: "mptcp", Address: "127.0.0.1:0"}, // a listener of package net
	} {
		t.Run(cfg.Network, func(t *testing.T) {
			const clients = 20
			g := quiesceable(t, cfg)
			for range clients {
				dial(t, g)
			}
			must(t, "Quiesce", g.Quiesce())
			must(t, "Quiesce again", g.Quiesce())
			if c, err := dialAddr(g.Addr(), 50*time.Millisecond); err == nil {
				_ = c.Close()
				t.Error("connect to a quiesced group succeeded")
			}
			time.Sleep(g.RoundTrip())
			taken := 0
			for _, s := range g.Sockets() {
				for {
					fd, _, err := s.Accept()
					if err != nil {
						want(t, "class at the end of the queue", Classify(err), ClassAgain)
						break
					}
					taken++
					closeFD(fd)
				}
			}
			want(t, "queued connections", taken, clients)
			must(t, "Close", g.Close())
			for _, s := range g.Sockets() {
				want(t, "descriptor after Close", s.FD(), -1)
				_, _, err := s.Accept()
				want(t, "class after Close", Classify(err), ClassFatal)
				want(t, "Quiesce after Close", errors.Is(s.Quiesce(), net.ErrClosed), true)
			}
		})
	}
}

// quiesceable is listen, or an adopted listener.
func quiesceable(t *testing.T, cfg Config) *Group {
	if cfg.Network != "mptcp" {
		return listen(t, cfg)
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(true)
	l, err := lc.Listen(t.Context(), "tcp", cfg.Address)
	must(t, "listen", err)
	t.Cleanup(func() { _ = l.Close() })
	g, err := FromListener(l)
	must(t, "FromListener", err)
	return g
}

// A listener of package net, which is an MPTCP socket that takes no filter.
func TestCloseAdoptedUnderLoad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a way to quiesce")
	}
	for range 10 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, "listen", err)
		g, err := FromListener(l)
		must(t, "FromListener", err)
		loadAndClose(t, g)
		must(t, "close", l.Close())
	}
}

// A shared group leaves the sockets to the process that goes on with them.
func TestCloseSharedLeavesSocketAlive(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are not duplicated")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer l.Close()
	g, err := FromListener(l)
	must(t, "FromListener", err)
	g.Share()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = serveEcho(g, 0) }()
	must(t, "client of the group", askEcho(dial(t, g)))
	want(t, "round trip of a shared group", g.RoundTrip(), 0)
	must(t, "Close", g.Close())
	<-done

	c := dial(t, g) // the other holder's queue
	s, err := l.Accept()
	must(t, "Accept by the other holder", err)
	go echoOnce(s)
	must(t, "client of the other holder", askEcho(c))
}

func TestCloseBeforeAccept(t *testing.T) {
	g := listen(t, Config{Sockets: 2})
	must(t, "Close", g.Close())
	_, err := g.Accept()
	want(t, "Accept after Close", errors.Is(err, net.ErrClosed), true)
	want(t, "Listen after Close", errors.Is(g.Listen(), net.ErrClosed), true)
	must(t, "Close twice", g.Close())
}

// Close must not wait for a caller of Accept: http.Server closes its
// listeners under the lock its Accept loop needs.
func TestCloseWhileNobodyAccepts(t *testing.T) {
	g := listen(t, Config{Sockets: 2})
	dial(t, g)
	c, err := g.Accept()
	must(t, "Accept", err)
	_ = c.Close()
	dial(t, g)
	dial(t, g)
	done := make(chan error, 1)
	go func() { done <- g.Close() }()
	select {
	case err := <-done:
		must(t, "Close", err)
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for Accept")
	}
	for {
		c, err := g.Accept()
		if err != nil {
			break
		}
		_ = c.Close()
	}
}
