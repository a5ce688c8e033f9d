package h3

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Attacks on one connection. Floods of control frames, unknown frames and field
// sections are in limits_test.go, slow peers in timeout_test.go.

// TestRapidReset: CVE-2023-44487. Handlers that run are counted, not streams
// that are open; and a stream gives no credit while its handler runs.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	t.Run("handlers that do not heed it", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		s := listen(t, g.serve, func(cfg *Config) { cfg.MaxStreams = 3 })
		c := s.connect()
		opened := 0
		for ; opened < 1000; opened++ {
			str, err := c.q.OpenStream()
			if err != nil {
				break
			}
			write(t, str, headers(get("/")...))
			if opened < 3 {
				servetest.WantSoon(t, "it runs", func() bool { return g.running.Load() == int64(opened)+1 })
			}
			str.CancelWrite(cancelled)
			str.CancelRead(cancelled)
		}
		servetest.Want(t, "no more than the credit for streams", opened, 3+2*creditBatch)
		servetest.Want(t, "three run", g.running.Load(), 3)
		close(g.open)
		servetest.WantSoon(t, "all are over", func() bool { return s.busy() == 0 && g.running.Load() == 0 })
		servetest.Want(t, "never more than three", g.most.Load(), 3)
		c.wantLive("there is credit again")
	})
	t.Run("handlers that return", func(t *testing.T) {
		t.Parallel()
		s := listen(t, echo, func(cfg *Config) { cfg.MaxStreams = 3 })
		c := s.connect()
		for range 500 {
			x := c.open(headers(post("/")...) + data("abc"))
			x.CancelWrite(cancelled)
			x.CancelRead(cancelled)
		}
		c.wantLive("each stream has given its credit back")
		servetest.WantSoon(t, "all are over", func() bool { return s.busy() == 0 })
	})
	t.Run("made by us", func(t *testing.T) { // CVE-2025-8671
		t.Parallel()
		s := listen(t, unreached(t), func(cfg *Config) { cfg.MaxStreams = 3 })
		c := s.connect()
		for range 300 {
			c.open(headers(get("/", "connection", "close")...))
		}
		c.wantLive("each stream has given its credit back")
		servetest.WantSoon(t, "they are counted", func() bool { return s.count().Malformed.Load() == 300 })
		servetest.WantSoon(t, "none is active", func() bool { return s.busy() == 0 })
	})
}

// TestHalfHeads: streams whose heads do not come take the places of handlers,
// for as long as S-1 lets them.
func TestHalfHeads(t *testing.T) {
	t.Parallel()
	script(t, "as many as may be", func(t *testing.T, n *network) {
		s, c := n.connect(hello, func(cfg *Config) { cfg.MaxStreams = 5 })
		for range 5 {
			c.open("\x01")
		}
		time.Sleep(defaultReadHeadTimeout - 3*slack)
		x := c.request(headers(get("/")...))
		time.Sleep(slack)
		servetest.Want(t, "all places are taken", s.busy(), 5)
		x.wantAnswer("then they are free", "200", "hello")
		servetest.Want(t, "each was too slow", s.count().TimedOut.Load(), 5)
	})
	script(t, "a client that leaves", func(t *testing.T, n *network) {
		s, c := n.connect(hello, func(cfg *Config) { cfg.MaxStreams = 5 })
		for range 30 { // more than have a place
			c.open("\x01")
		}
		time.Sleep(slack)
		c.q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "")
		time.Sleep(slack)
		servetest.Want(t, "nothing is left of it", s.busy()+s.Live(), 0)
	})
}

// TestTinyFrames: thousands of DATA frames of one byte (H2-7), and empty ones
// in between.
func TestTinyFrames(t *testing.T) {
	t.Parallel()
	const n = 20000
	s := listen(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		servetest.WantErr(t, "the body", err, nil)
		w.Write([]byte(http.StatusText(int(n / 100)))) // of n/100 bytes
	})
	c := s.connect()
	c.request(headers(post("/", "content-length", "20000")...)+strings.Repeat(data("x")+data(""), n)).
		wantAnswer("all bytes", "200", "OK")
	script(t, "empty ones are no progress", func(t *testing.T, n *network) {
		s, c := n.connect(echo)
		x := c.open(headers(post("/")...))
		for range 150 {
			time.Sleep(100 * time.Millisecond)
			x.write(data(""))
		}
		servetest.Want(t, "too slow", x.answer().status, "408")
		servetest.Want(t, "it is counted", s.count().TimedOut.Load(), 1)
	})
}

// TestHeapOfAttack: what a connection full of half requests makes us hold.
func TestHeapOfAttack(t *testing.T) {
	g := newGate()
	s := listen(t, g.serve)
	c := s.connect()
	c.wantLiveThrough(g)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range defaultMaxStreams {
		c.open(headers(post("/", "x-a", strings.Repeat("a", 2000))...) + data(strings.Repeat("x", 2000)))
	}
	servetest.WantSoon(t, "all run", func() bool { return g.running.Load() == defaultMaxStreams })
	held := int64(heap() - before)
	// 4 KB were sent on each; client and server are one process here.
	if most := int64(defaultMaxStreams * 40 << 10); held > most {
		t.Errorf("%d streams hold %d bytes, want at most %d", defaultMaxStreams, held, most)
	}
	close(g.open)
	servetest.WantSoon(t, "all are over", func() bool { return s.busy() == 0 })
}

// wantLiveThrough is wantLive with a handler that waits.
func (c *client) wantLiveThrough(g *gate) {
	c.t.Helper()
	go func() { g.open <- struct{}{} }()
	c.wantLive("at first")
}
