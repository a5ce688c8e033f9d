package h2

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// What lies in memory since one side does not read (H2-5, H2-7, S-2): bounds by
// the engine's own fields, and what ends it.

// uploader sends DATA as far as the server's windows allow.
type uploader struct {
	*peer
	conn    int // the server's connection window
	streams map[uint32]int
	size    int // of a frame
}

func newUploader(p *peer) *uploader {
	u := &uploader{peer: p, conn: initialWindow, streams: map[uint32]int{}, size: 16 << 10}
	p.settle()
	u.credit()
	return u
}

// begin opens streams whose content follows.
func (u *uploader) begin(path string, window int, ids ...uint32) {
	for _, id := range ids {
		u.post(id, path)
		u.streams[id] = window
	}
	u.settle()
}

// credit takes the WINDOW_UPDATE frames that came.
func (u *uploader) credit() {
	rest := u.queue[:0]
	for _, g := range u.queue {
		switch {
		case g.typ != xhttp2.FrameWindowUpdate:
			rest = append(rest, g)
		case g.id == 0:
			u.conn += int(g.n)
		default:
			u.streams[g.id] += int(g.n)
		}
	}
	u.queue = rest
}

// fill sends on stream id until a window is closed, or max bytes are sent.
func (u *uploader) fill(id uint32, max int) (sent int) {
	for sent < max {
		n := min(u.size, u.conn, u.streams[id], max-sent)
		if n <= 0 {
			break
		}
		u.data(id, strings.Repeat("x", n))
		u.conn -= n
		u.streams[id] -= n
		sent += n
		u.settle()
		u.credit()
	}
	return sent
}

func odd(from, n uint32) (ids []uint32) {
	for i := range n {
		ids = append(ids, from+2*i)
	}
	return ids
}

// TestConnectionCredit: what no handler reads is bounded for the connection,
// and does not stall the uploads beside it before that.
func TestConnectionCredit(t *testing.T) {
	script(t, "unread bytes of a hundred streams", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		u := newUploader(c)
		ids := odd(1, defaultMaxStreams)
		u.begin("/", defaultStreamWindow, ids...)
		sent := 0
		for _, id := range ids {
			sent += u.fill(id, 1<<20)
		}
		c.engine(func(e *Conn) {
			if e.unread != sent {
				t.Errorf("%d bytes are unread, want the %d that were sent", e.unread, sent)
			}
			if e.unread > 2*defaultConnWindow || e.unread < defaultConnWindow {
				t.Errorf("%d bytes are unread, want between one window of %d and two", e.unread, defaultConnWindow)
			}
			if e.withheldAt == 0 || e.recvWin != u.conn {
				t.Errorf("credit is not kept back: the window is %d, the peer knows of %d", e.recvWin, u.conn)
			}
			bytes := 0
			for _, s := range e.streams {
				for _, b := range s.body.bufs {
					bytes += cap(b.B)
				}
			}
			if bytes > 2*e.unread {
				t.Errorf("%d unread bytes lie in buffers of %d", e.unread, bytes)
			}
		})
		c.wantIdle("the peer waits for credit")
		c.data(1, strings.Repeat("x", u.conn+1))
		c.wantEnd("a byte above the window", 199, xhttp2.ErrCodeFlowControl)
	})
	script(t, "a stream's window", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		u := newUploader(c)
		u.begin("/", defaultStreamWindow, 1)
		if n := u.fill(1, 1<<20); n != defaultStreamWindow {
			t.Errorf("an unread stream took %d bytes, want %d", n, defaultStreamWindow)
		}
		c.wantIdle("and no more")
		c.data(1, "x")
		c.wantReset("a byte above it", 1, xhttp2.ErrCodeFlowControl)
		c.wantLive("open")
	})
	script(t, "a slow reader beside an upload", func(t *testing.T, fm form) {
		g := newGates(t)
		var got atomic.Int64
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				g.wait("slow")
			}
			n, _ := io.Copy(io.Discard, r.Body)
			got.Add(n)
		})
		u := newUploader(c)
		u.begin("/slow", defaultStreamWindow, odd(1, 10)...)
		for _, id := range odd(1, 10) {
			u.fill(id, 1<<20)
		}
		u.begin("/fast", defaultStreamWindow, 101)
		const size = 3 << 20
		if n := u.fill(101, size); n != size {
			t.Errorf("the upload stands at %d bytes beside 640 KiB unread", n)
		}
		if n := got.Load(); n != 0 {
			t.Fatal("an upload has ended")
		}
		c.dataEnd(101, "")
		c.wantAnswer("the upload", 101, 200, "")
		if n := got.Load(); n != size {
			t.Errorf("read %d bytes, want %d", n, size)
		}
		g.open("slow")
		c.settle()
		u.credit()
		for _, id := range odd(1, 10) {
			c.dataEnd(id, "")
			c.wantAnswer("in the end", id, 200, "")
		}
		c.engine(func(e *Conn) {
			if e.unread != 0 || e.recvWin+defaultConnWindow/creditFraction < defaultConnWindow {
				t.Errorf("%d bytes unread, a window of %d", e.unread, e.recvWin)
			}
		})
	})
	script(t, "a window grows with its reader, up to a limit", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		u := newUploader(c)
		u.begin("/", defaultStreamWindow, 1)
		// A reader that is quick enough for the window to stay half open needs no
		// larger one: how many rounds it takes is the scheduler's to say.
		for grown, round := false, 0; !grown && round < 1000; round++ {
			// All of the window at once, as over a long path.
			c.inOne(func() {
				for u.streams[1] > 0 && u.conn > 0 {
					n := min(u.size, u.conn, u.streams[1])
					c.data(1, strings.Repeat("x", n))
					u.conn -= n
					u.streams[1] -= n
				}
			})
			c.settle()
			u.credit()
			c.engine(func(e *Conn) {
				if b := &e.streams[1].body; b.target > defaultMaxStreamWindow || b.window > defaultMaxStreamWindow {
					t.Fatalf("a window of %d on its way to %d, want at most %d", b.window, b.target, defaultMaxStreamWindow)
				}
				grown = e.streams[1].body.target == defaultMaxStreamWindow
			})
		}
		c.engine(func(e *Conn) {
			if b := &e.streams[1].body; b.target != defaultMaxStreamWindow {
				t.Errorf("a reader that keeps up has a window of %d, want %d", b.target, defaultMaxStreamWindow)
			}
		})
	})
	script(t, "what is thrown away is given back", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/close" {
				r.Body.Close()
				<-r.Context().Done()
			}
		})
		u := newUploader(c)
		for i := range uint32(100) {
			path := []string{"/", "/close"}[i%2]
			u.begin(path, defaultStreamWindow, 2*i+1)
			c.inOne(func() { // a part of it before the answer, the rest behind
				for range 4 {
					c.data(2*i+1, strings.Repeat("x", 16<<10))
				}
			})
			u.conn -= 64 << 10
			if path == "/close" {
				c.settle()
				c.cancel(2*i + 1)
			}
			c.settle()
			u.credit()
			if u.conn < defaultConnWindow/2 {
				t.Fatalf("the peer's window is %d behind upload %d%s", u.conn, i, c.fate())
			}
		}
		c.engine(func(e *Conn) {
			if e.unread != 0 {
				t.Errorf("%d bytes are unread of streams that are over", e.unread)
			}
		})
	})
}

// TestSlowReaderIsReset: who keeps the credit of its neighbours and reads
// nothing for 10 s is reset, so that theirs goes on.
func TestSlowReaderIsReset(t *testing.T) {
	script(t, "withheld credit", func(t *testing.T, fm form) {
		var got atomic.Int64
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/slow":
				<-r.Context().Done()
			case "/reads":
				// A little at a time: it moves, it is only slow.
				b := make([]byte, 100)
				for {
					if _, err := r.Body.Read(b); err != nil {
						return
					}
					select {
					case <-time.After(4 * time.Second):
					case <-r.Context().Done():
					}
				}
			default:
				n, _ := io.Copy(io.Discard, r.Body)
				got.Add(n)
			}
		})
		u := newUploader(c)
		u.begin("/fast", defaultStreamWindow, 1)
		u.fill(1, 100) // which earns it no time of its own
		u.begin("/reads", defaultStreamWindow, 3)
		u.fill(3, 1<<20)
		ids := odd(5, 49)
		u.begin("/slow", defaultStreamWindow, ids...)
		for _, id := range ids {
			u.fill(id, 1<<20)
		}
		if n := u.fill(1, 16<<10); n != 0 {
			t.Fatalf("the windows are not exhausted: %d bytes more", n)
		}
		time.Sleep(withholdTimeout - time.Millisecond)
		c.wantIdle("9.999 s")
		time.Sleep(time.Millisecond)
		c.settle()
		reset := 0
		for _, g := range c.queue {
			if g.typ == xhttp2.FrameRSTStream && g.code == xhttp2.ErrCodeCancel {
				reset++
				if g.id == 1 || g.id == 3 {
					t.Errorf("stream %d is reset, though its handler reads", g.id)
				}
			}
		}
		if n := c.cfg.Counters.Withheld.Load(); reset == 0 || n != uint64(reset) {
			t.Errorf("%d streams were reset, Withheld = %d", reset, n)
		}
		u.credit()
		c.queue = nil
		const size = 4 << 20
		if n := 100 + u.fill(1, size-100); n != size {
			t.Errorf("the neighbour's upload stands at %d bytes", n)
		}
		c.dataEnd(1, "")
		c.wantAnswer("the neighbour's upload", 1, 200, "")
		if n := got.Load(); n != size {
			t.Errorf("read %d bytes, want %d", n, size)
		}
		c.engine(func(e *Conn) {
			if e.unread > defaultConnWindow {
				t.Errorf("%d bytes are still unread", e.unread)
			}
			if e.withheldAt != 0 {
				t.Error("credit is still kept back")
			}
		})
	})
	script(t, "a reader that has waited long is not slow", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-r.Context().Done()
				return
			}
			b := make([]byte, 10)
			r.Body.Read(b)
			select { // works on what it got
			case <-time.After(2 * time.Second):
			case <-r.Context().Done():
			}
			io.Copy(io.Discard, r.Body)
		})
		u := newUploader(c)
		u.begin("/waits", defaultStreamWindow, 1)
		ids := odd(3, 49)
		u.begin("/slow", defaultStreamWindow, ids...)
		u.fill(ids[0], 1<<20)
		for _, id := range ids[1:] {
			for u.conn > 100 && u.fill(id, min(16<<10, u.conn-100)) > 0 {
			}
		}
		c.engine(func(e *Conn) {
			if e.withheldAt == 0 {
				t.Fatal("credit is not kept back")
			}
		})
		time.Sleep(withholdTimeout - time.Second)
		if n := u.fill(1, 20); n != 20 {
			t.Fatalf("sent %d bytes, want 20", n)
		}
		time.Sleep(1500 * time.Millisecond)
		c.settle()
		reset := 0
		for _, g := range c.queue {
			if g.typ == xhttp2.FrameRSTStream {
				if reset++; g.id == 1 {
					t.Error("it is reset a second and a half after its first byte")
				}
			}
		}
		if reset == 0 {
			t.Error("nobody is reset")
		}
	})
	script(t, "nobody is reset while there is credit", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		u := newUploader(c)
		u.begin("/", defaultStreamWindow, odd(1, 15)...)
		for _, id := range odd(1, 15) {
			u.fill(id, 1<<20)
		}
		time.Sleep(time.Minute)
		c.wantLive("960 KiB unread for a minute")
	})
}

// TestStalledOutput: answers whose peer gives no window (H2-5, CVE-2019-9511).
func TestStalledOutput(t *testing.T) {
	// download is a handler that writes size bytes in pieces.
	download := func(size, piece int, wrote *atomic.Int64) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for n := 0; n < size; n += piece {
				if _, err := w.Write(make([]byte, piece)); err != nil {
					return
				}
				wrote.Add(int64(piece))
			}
		}
	}
	noWindow := xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0}
	closed := func(t *testing.T, fm form, h http.HandlerFunc) *peer {
		c := connect(t, fm, h)
		c.settings(noWindow)
		c.wantSettingsAck("no window")
		return c
	}
	for _, piece := range []int{1000, 16 << 10, 1 << 20} {
		script(t, fmt.Sprintf("H2-5 a stream, pieces of %d", piece), func(t *testing.T, fm form) {
			var wrote atomic.Int64
			c := closed(t, fm, download(2<<20, piece, &wrote))
			c.get(1, "/")
			c.wantHeaders("the head needs no window", 1, 200)
			c.engine(func(e *Conn) {
				if e.held > maxStreamOutput || e.held < maxStreamOutput-piece || e.held == 0 {
					t.Errorf("%d bytes are queued, want about %d and no more", e.held, maxStreamOutput)
				}
				if n := cap(e.streams[1].out.B); n > 2*maxStreamOutput {
					t.Errorf("they lie in %d bytes", n)
				}
			})
			c.wantIdle("the handler waits")
			c.update(1, 1000)
			c.wantBytes("a window of 1,000", 1, 1000)
			c.update(1, 20<<20)
			c.wantBytes("the connection's window", 1, initialWindow-1000)
			c.update(0, 20<<20)
			total := initialWindow
			for range 2000 {
				c.settle()
				done := false
				for _, g := range c.queue {
					total += len(g.data)
					done = done || g.end()
				}
				if c.queue = nil; done {
					break
				}
			}
			if want := (2<<20 + piece - 1) / piece * piece; total != want {
				t.Errorf("%d bytes came, want %d", total, want)
			}
		})
	}
	script(t, "H2-5 a hundred streams of 10 MB", func(t *testing.T, fm form) {
		var wrote atomic.Int64
		c := closed(t, fm, download(10<<20, 10_000, &wrote))
		for _, id := range odd(1, defaultMaxStreams) {
			c.get(id, "/")
		}
		c.wantBounds("all of them wait")
		c.engine(func(e *Conn) {
			if e.held > maxConnOutput+defaultMaxStreams*minStreamOutput {
				t.Errorf("%d bytes are queued, want at most %d and %d for each stream", e.held, maxConnOutput, minStreamOutput)
			}
			for id, s := range e.streams {
				if s.out == nil || len(s.out.B)-s.off < minStreamOutput {
					t.Errorf("stream %d has no share of it", id)
				} else if n := len(s.out.B) - s.off; n > maxStreamOutput {
					t.Errorf("stream %d has %d bytes queued, want at most %d", id, n, maxStreamOutput)
				}
			}
		})
		for _, id := range odd(1, defaultMaxStreams) {
			c.cancel(id)
		}
		c.engine(func(e *Conn) {
			if e.held != 0 || e.running != 0 || wrote.Load() > 2<<20 {
				t.Errorf("after their resets %d bytes are queued, %d handlers run; %d bytes were written", e.held, e.running, wrote.Load())
			}
		})
		c.forget()
		c.wantLive("open")
	})
	script(t, "H2-5 handlers that have returned", func(t *testing.T, fm form) {
		c := closed(t, fm, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, gatherSize)) })
		for i := range uint32(500) {
			c.get(2*i+1, "/")
		}
		c.wantBounds("their answers wait")
		c.engine(func(e *Conn) {
			if e.open != defaultMaxStreams || e.running != 0 {
				t.Errorf("%d streams are open, %d handlers run; want %d and none", e.open, e.running, defaultMaxStreams)
			}
		})
	})
	script(t, "H2-5 the connection's window", func(t *testing.T, fm form) {
		var wrote atomic.Int64
		c := connect(t, fm, download(1<<20, 10_000, &wrote))
		for _, id := range odd(1, 20) {
			c.get(id, "/")
		}
		c.wantBounds("they wait")
		total := 0
		for _, g := range c.queue {
			total += len(g.data)
		}
		if total != initialWindow {
			t.Errorf("%d bytes came, want %d", total, initialWindow)
		}
		c.forget()
		time.Sleep(defaultWriteIdleTimeout - time.Millisecond)
		c.wantLive("59.999 s")
		time.Sleep(time.Millisecond)
		c.wantCalm("60 s in which the peer took nothing", ReasonStalled)
	})
	script(t, "H2-5 60 s", func(t *testing.T, fm form) {
		var wrote atomic.Int64
		c := closed(t, fm, download(1<<20, 10_000, &wrote))
		c.get(1, "/")
		c.wantHeaders("the head", 1, 200)
		time.Sleep(defaultWriteIdleTimeout - time.Millisecond)
		c.wantLive("59.999 s")
		time.Sleep(time.Millisecond)
		c.wantCalm("60 s", ReasonStalled)
		if n := c.cfg.Counters.TimedOut.Load(); n != 1 {
			t.Errorf("TimedOut = %d, want 1", n)
		}
	})
	script(t, "H2-5 60 s, the handler has returned", func(t *testing.T, fm form) {
		c := closed(t, fm, hello)
		c.get(1, "/")
		c.wantHeaders("the head", 1, 200)
		time.Sleep(defaultWriteIdleTimeout - time.Millisecond)
		c.wantLive("59.999 s")
		time.Sleep(time.Millisecond)
		c.wantCalm("60 s", ReasonStalled)
	})
	script(t, "H2-5 one of two streams", func(t *testing.T, fm form) {
		var wrote atomic.Int64
		c := connect(t, fm, download(1<<20, 10_000, &wrote))
		c.update(0, 1<<20)
		c.get(1, "/")
		c.forget()
		c.get(3, "/")
		c.forget()
		for range 59 {
			time.Sleep(time.Second)
			c.update(3, 10_000)
			c.forget()
		}
		c.wantLive("59 s: one of them moves")
		for range 280 {
			time.Sleep(time.Second)
			c.update(3, 1000)
			c.settle()
		}
		var reset []got
		for _, g := range c.queue {
			if g.typ == xhttp2.FrameRSTStream || g.typ == xhttp2.FrameGoAway {
				reset = append(reset, g)
			}
		}
		if len(reset) != 1 || reset[0].id != 1 || reset[0].code != xhttp2.ErrCodeEnhanceYourCalm {
			t.Errorf("got %v, want one RST_STREAM(1) ENHANCE_YOUR_CALM%s", reset, c.fate())
		}
		c.queue = nil
		c.wantLive("the connection goes on")
	})
	script(t, "H2-5 none", func(t *testing.T, fm form) {
		var wrote atomic.Int64
		c := connectWith(t, fm, download(1<<20, 10_000, &wrote), func(cfg *Config) { cfg.WriteIdleTimeout = -1 })
		c.settings(noWindow)
		c.wantSettingsAck("no window")
		c.get(1, "/")
		c.wantHeaders("the head", 1, 200)
		time.Sleep(24 * time.Hour)
		c.wantLive("a day")
	})
}

// TestDripDoesNotExtend: only 240 bytes a second earn more time (H2-5, CVE-2019-9517).
func TestDripDoesNotExtend(t *testing.T) {
	// drip gives rate bytes of window each second, and returns how long it lasted.
	drip := func(t *testing.T, fm form, rate uint32, seconds int) (c *peer, lasted time.Duration) {
		c = connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, strings.NewReader(strings.Repeat("x", 10<<20)))
		})
		c.settings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
		c.wantSettingsAck("no window")
		c.get(1, "/")
		c.forget()
		begin := time.Now()
		for range seconds {
			time.Sleep(time.Second)
			c.update(1, rate)
			c.update(0, rate)
			c.settle()
			if c.fate() != "" {
				break
			}
			c.queue = nil
		}
		return c, time.Since(begin)
	}
	script(t, "H2-5 a byte a second", func(t *testing.T, fm form) {
		c, lasted := drip(t, fm, 1, 600)
		if lasted > 61*time.Second {
			t.Errorf("it lasted %v", lasted)
		}
		c.wantCalm("a byte a second", ReasonStalled)
	})
	script(t, "H2-5 120 bytes a second", func(t *testing.T, fm form) {
		// It earns half of the time it takes: 60 s + t/2 = t.
		c, lasted := drip(t, fm, 120, 600)
		if lasted < 118*time.Second || lasted > 121*time.Second {
			t.Errorf("it lasted %v, want 120 s", lasted)
		}
		c.wantCalm("120 bytes a second", ReasonStalled)
	})
	script(t, "H2-5 240 bytes a second", func(t *testing.T, fm form) {
		c, lasted := drip(t, fm, defaultWriteMinRate, 600)
		if lasted != 600*time.Second {
			t.Errorf("it lasted %v, want 10 min", lasted)
		}
		c.wantLive("for ten minutes")
	})
}

// TestReadingStops: a peer that asks and does not read is not heard any more.
func TestReadingStops(t *testing.T) {
	field := strings.Repeat("f", 500)
	for _, tt := range []struct {
		name    string
		stops   bool // else the streams that are open stop it
		handler http.HandlerFunc
	}{
		{"heads", true, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Field", field) }},
		{"small content", false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, field) }},
		{"large content", false, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 100_000)) }},
	} {
		script(t, "H2-5 "+tt.name, func(t *testing.T, fm form) {
			var handled, most atomic.Int64
			var c *peer
			c = connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				handled.Add(1)
				c.h.conn.mu.Lock()
				if out := c.h.conn.out; out != nil {
					most.Store(max(most.Load(), int64(cap(out.B))))
				}
				c.h.conn.mu.Unlock()
				tt.handler(w, r)
			})
			c.settings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
			c.update(0, 1<<30)
			c.forget()
			c.h.stop(0)
			asked, open, left := 0, 0, 0
			for left == 0 && asked < 20_000 && open <= defaultMaxStreams/2 {
				n := defaultMaxStreams / 2
				if tt.stops && !fm.portable {
					n = 10_000 // in one step
				}
				c.inOne(func() {
					for range n {
						c.get(uint32(2*asked+1), "/")
						asked++
					}
				})
				c.wantBounds("the peer does not read")
				c.engine(func(e *Conn) { open = e.open })
				c.h.mu.Lock()
				for _, p := range c.h.in {
					left += len(p)
				}
				c.h.mu.Unlock()
			}
			c.h.mu.Lock()
			waits := len(c.h.kept)
			c.h.mu.Unlock()
			var choked bool
			c.engine(func(e *Conn) { choked = e.choked })
			if choked != tt.stops || (left > 0) != tt.stops {
				t.Errorf("stopped reading: %v, with %d bytes left; want it: %v", choked, left, tt.stops)
			}
			if limit := maxUnsent + 2*(writeSize+64<<10); waits > limit {
				t.Errorf("%d bytes wait for the peer, want at most %d", waits, limit)
			}
			if most.Load() > 128<<10 {
				t.Errorf("%d bytes were gathered for one write", most.Load())
			}
			was := handled.Load()
			time.Sleep(time.Second)
			c.settle()
			if handled.Load() != was {
				t.Error("handlers were started, though nothing was read")
			}
			c.h.take(-1)
			ends := 0
			c.settle()
			for _, g := range c.queue {
				if g.end() {
					ends++
				}
			}
			if c.queue = nil; ends != asked {
				t.Errorf("%d answers of %d%s", ends, asked, c.fate())
			}
			c.wantLive("it reads again")
		})
	}
}
