package h2

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// Attacks by streams, rules H2-1 and H2-2: what is legal right below the limit,
// and what crosses it. Header blocks are in header_abuse_test.go, floods of other
// frames in flood_test.go, what lies unread in stall_test.go.

// engine looks at the engine's own fields, when nothing moves any more.
func (p *peer) engine(look func(c *Conn)) {
	p.t.Helper()
	p.settle()
	p.look(look)
}

// look looks at the engine's own fields as they are.
func (p *peer) look(look func(c *Conn)) {
	c := p.h.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	look(c)
}

// wantBounds holds what the engine keeps for this peer to the limits.
func (p *peer) wantBounds(why string) {
	p.t.Helper()
	p.settle()
	p.checkBounds(why)
}

// checkBounds is wantBounds at any moment.
func (p *peer) checkBounds(why string) {
	p.t.Helper()
	p.look(func(c *Conn) {
		out := 0
		if c.out != nil {
			out = cap(c.out.B)
		}
		block := 0
		if c.block != nil {
			block = len(c.block.bytes)
		}
		n := c.cfg.MaxStreams
		for _, b := range []struct {
			what     string
			got, max int
		}{
			{"running handlers", c.running, n},
			{"open streams", c.open, n},
			{"streams in the table", len(c.streams), n},
			{"waiting requests", len(c.waiting), n},
			{"deferred requests", len(c.deferred), n},
			{"bytes queued", c.held, maxConnOutput + n*gatherSize},
			{"bytes unread", c.unread, 2 * c.cfg.ConnWindow},
			{"bytes of tiny frames", c.budget.tiny, tinyDataBudget + initialWindow*tinyData},
			{"control frames", c.control, maxQueuedControl + 1},
			{"bytes gathered", out, 2 * (writeSize + 64<<10)},
			{"bytes of an unfinished header block", block, c.cfg.FieldBytes},
			{"remembered resets", len(c.resets), maxResets},
		} {
			if b.got > b.max {
				p.t.Errorf("%s: %d %s, want at most %d", why, b.got, b.what, b.max)
			}
		}
	})
}

// wantCalm wants the connection ended with ENHANCE_YOUR_CALM for r, and for r
// alone: one GOAWAY, nothing served behind it, and the transport closed though
// the peer does not close.
func (p *peer) wantCalm(why string, r Reason) {
	p.t.Helper()
	p.wantBounds(why)
	var last *got
	for i := range p.queue {
		if p.queue[i].typ == xhttp2.FrameGoAway {
			if last != nil {
				p.t.Errorf("%s: a second GOAWAY: %v", why, p.queue[i])
			}
			last = &p.queue[i]
		} else if last != nil {
			p.t.Errorf("%s: %v behind GOAWAY", why, p.queue[i])
		}
	}
	if last == nil || last.code != xhttp2.ErrCodeEnhanceYourCalm || last.data != r.String() {
		p.t.Fatalf("%s: got %.300v%s, want GOAWAY ENHANCE_YOUR_CALM %q", why, p.queue, p.fate(), r)
	}
	p.queue = nil
	for i := range numReasons {
		want := uint64(0)
		if i == r {
			want = 1
		}
		if n := p.cfg.Counters.Calmed[i].Load(); n != want {
			p.t.Errorf("%s: counted %d times as %v, want %d", why, n, i, want)
		}
	}
	p.engine(func(c *Conn) {
		if c.open+len(c.streams)+len(c.waiting)+len(c.deferred)+c.held+c.unread > 0 {
			p.t.Errorf("%s: %d streams, %d bytes queued, %d unread are left", why, c.open, c.held, c.unread)
		}
	})
	handled := p.cfg.Counters.Requests.Load()
	p.get(1<<31-1, "/canary")
	time.Sleep(lingerTimeout)
	p.wantClosed(why)
	if n := p.cfg.Counters.Requests.Load(); n != handled {
		p.t.Errorf("%s: a request behind it was served", why)
	}
}

// wantUncalmed wants the connection to go on, whatever came until now.
func (p *peer) wantUncalmed(why string) {
	p.t.Helper()
	p.wantBounds(why)
	for r := range numReasons {
		if n := p.cfg.Counters.Calmed[r].Load(); n > 0 {
			p.t.Fatalf("%s: the connection was ended: %v", why, r)
		}
	}
	p.forget()
	p.wantLive(why)
}

// cancel resets a stream of which an answer may be on its way.
func (p *peer) cancel(id uint32) { p.fr.WriteRSTStream(id, xhttp2.ErrCodeCancel); p.send() }

// crowd is a handler that ends when its gate opens, whatever happens to its
// stream, and counts how many run.
type crowd struct {
	*gates
	running, most, started atomic.Int64
}

func newCrowd(t *testing.T) *crowd { return &crowd{gates: newGates(t)} }

func (w *crowd) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	n := w.running.Add(1)
	w.started.Add(1)
	for m := w.most.Load(); n > m && !w.most.CompareAndSwap(m, n); {
		m = w.most.Load()
	}
	w.wait(r.URL.Path)
	w.running.Add(-1)
}

// letGo opens a gate at the end of the test.
func (w *crowd) letGo(t *testing.T, name string) {
	t.Cleanup(func() {
		select {
		case <-w.of(name):
		default:
			w.open(name)
		}
	})
}

// TestRapidReset: a reset makes no room for work (H2-1, CVE-2023-44487).
func TestRapidReset(t *testing.T) {
	rush := func(c *peer, from, n uint32) {
		c.inOne(func() {
			for id := from; id < from+2*n; id += 2 {
				c.get(id, "/")
				c.cancel(id)
			}
		})
	}
	wantCrowd := func(t *testing.T, c *peer, w *crowd, want int64) {
		t.Helper()
		c.engine(func(e *Conn) {
			if int64(e.running) != want || w.running.Load() != want {
				t.Errorf("%d handlers run, the engine counts %d, want %d", w.running.Load(), e.running, want)
			}
			if e.open != 0 || len(e.streams) != 0 || len(e.waiting) != 0 {
				t.Errorf("%d streams are open, %d in the table, %d wait; want none", e.open, len(e.streams), len(e.waiting))
			}
		})
		if w.most.Load() > defaultMaxStreams {
			t.Errorf("%d handlers ran at one time, want at most %d", w.most.Load(), defaultMaxStreams)
		}
	}
	script(t, "H2-1 the burst", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		rush(c, 1, resetBurst)
		c.wantUncalmed("200 resets")
		wantCrowd(t, c, w, defaultMaxStreams)
		if n := c.cfg.Counters.Resets.Load(); n != resetBurst {
			t.Errorf("Resets = %d, want %d", n, resetBurst)
		}
		rush(c, 1+2*resetBurst, 1)
		c.wantCalm("the 201st", ReasonResets)
	})
	script(t, "H2-1 in one segment", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		rush(c, 1, 5000)
		c.wantCalm("5,000 resets", ReasonResets)
		if w.most.Load() > defaultMaxStreams || w.started.Load() > defaultMaxStreams {
			t.Errorf("%d handlers ran, %d at one time, want at most %d", w.started.Load(), w.most.Load(), defaultMaxStreams)
		}
	})
	script(t, "H2-1 handlers that return at once", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		rush(c, 1, resetBurst)
		c.wantUncalmed("200 resets of streams that are over")
		rush(c, 1+2*resetBurst, 1)
		c.wantCalm("the 201st", ReasonResets)
	})
	script(t, "H2-1 of one stream", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.get(1, "/")
		c.wantAnswer("a request", 1, 200, "hello")
		c.inOne(func() {
			for range resetBurst {
				c.cancel(1)
			}
		})
		c.wantUncalmed("200 times the same")
		c.cancel(1)
		c.wantCalm("the 201st", ReasonResets)
	})
	script(t, "H2-1 the refill", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		rush(c, 1, resetBurst)
		c.wantUncalmed("the burst")
		id := uint32(1 + 2*resetBurst)
		for range 3 {
			time.Sleep(time.Second)
			rush(c, id, resetsPerSec)
			id += 2 * resetsPerSec
			c.wantUncalmed("33 in a second")
			wantCrowd(t, c, w, defaultMaxStreams)
		}
		time.Sleep(time.Second)
		rush(c, id, resetsPerSec+1)
		c.wantCalm("34 in a second", ReasonResets)
	})
	script(t, "H2-1 handlers end, others start", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		rush(c, 1, resetBurst/2)
		w.open("/")
		c.forget()
		wantCrowd(t, c, w, 0)
		rush(c, 201, resetBurst/2)
		c.get(401, "/")
		c.wantAnswer("afterwards", 401, 200, "")
	})
}

// TestWaitingRequests: what cannot run yet waits, as long as it is open.
func TestWaitingRequests(t *testing.T) {
	full := func(t *testing.T, fm form, w *crowd) *peer {
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/held")
		c.inOne(func() {
			for id := uint32(1); id < 2*defaultMaxStreams; id += 2 {
				c.get(id, "/held")
				c.cancel(id)
			}
		})
		c.wantIdle("100 handlers run, of streams that are reset")
		return c
	}
	wantWaiting := func(t *testing.T, c *peer, want int) {
		t.Helper()
		c.engine(func(e *Conn) {
			if len(e.waiting) != want || e.running > defaultMaxStreams {
				t.Errorf("%d requests wait, %d run; want %d and at most %d", len(e.waiting), e.running, want, defaultMaxStreams)
			}
		})
	}
	script(t, "H2-1 in order, when there is room", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := full(t, fm, w)
		w.open("/free")
		for i := range uint32(defaultMaxStreams) {
			if i%2 == 0 {
				c.get(201+2*i, "/free")
			} else {
				c.post(201+2*i, "/free")
			}
		}
		c.wantIdle("100 more wait")
		wantWaiting(t, c, defaultMaxStreams)
		if n := w.started.Load(); n != defaultMaxStreams {
			t.Errorf("%d handlers were started, want %d", n, defaultMaxStreams)
		}
		c.get(401, "/free")
		c.wantReset("no more may be open", 401, xhttp2.ErrCodeRefusedStream)
		w.open("/held")
		for i := range uint32(defaultMaxStreams) {
			if a := c.wantAnswer("it had to wait", 201+2*i, 200, ""); i%2 == 1 && !c.over[a.id] {
				t.Error("its stream is open")
			}
		}
		wantWaiting(t, c, 0)
	})
	script(t, "H2-1 a reset takes it out", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := full(t, fm, w)
		for i := range uint32(50) {
			c.get(201+2*i, "/free")
		}
		wantWaiting(t, c, 50)
		for i := range uint32(50) {
			c.reset(201+2*i, xhttp2.ErrCodeCancel)
		}
		wantWaiting(t, c, 0)
		w.open("/held")
		c.wantLive("nothing is left of them")
		if n := w.started.Load(); n != defaultMaxStreams {
			t.Errorf("%d handlers were started, want %d", n, defaultMaxStreams)
		}
	})
}

// TestMadeYouReset: resets that the peer makes us send cost it the same (H2-2,
// CVE-2025-8671), and end the handler.
func TestMadeYouReset(t *testing.T) {
	const window = 1000
	for _, tt := range []struct {
		name    string
		code    xhttp2.ErrCode
		handled bool
		do      func(c *peer, id uint32)
	}{
		{"WINDOW_UPDATE of 0", xhttp2.ErrCodeProtocol, true, func(c *peer, id uint32) {
			c.post(id, "/")
			c.raw(xhttp2.FrameWindowUpdate, 0, id, "\x00\x00\x00\x00")
		}},
		{"a window above 2^31-1", xhttp2.ErrCodeFlowControl, true, func(c *peer, id uint32) {
			c.get(id, "/")
			c.fr.WriteWindowUpdate(id, 1<<31-1)
			c.send()
		}},
		{"PRIORITY of 4 bytes", xhttp2.ErrCodeFrameSize, true, func(c *peer, id uint32) {
			c.get(id, "/")
			c.raw(xhttp2.FramePriority, 0, id, "\x00\x00\x00\x00")
		}},
		{"PRIORITY on itself", xhttp2.ErrCodeProtocol, true, func(c *peer, id uint32) {
			c.post(id, "/")
			c.fr.WritePriority(id, xhttp2.PriorityParam{StreamDep: id})
			c.send()
		}},
		{"HEADERS on itself", xhttp2.ErrCodeProtocol, false, func(c *peer, id uint32) {
			c.open(id)
			c.fr.WriteHeaders(xhttp2.HeadersFrameParam{
				StreamID: id, EndHeaders: true, EndStream: true,
				BlockFragment: c.fragment(head4("GET", "/")...), Priority: xhttp2.PriorityParam{StreamDep: id},
			})
			c.send()
		}},
		{"HEADERS after END_STREAM", xhttp2.ErrCodeStreamClosed, true, func(c *peer, id uint32) {
			c.get(id, "/")
			c.headers(id, final, "x", "y")
		}},
		{"DATA after END_STREAM", xhttp2.ErrCodeStreamClosed, true, func(c *peer, id uint32) {
			c.get(id, "/")
			c.data(id, "x")
		}},
		{"HEADERS within a request", xhttp2.ErrCodeProtocol, true, func(c *peer, id uint32) {
			c.post(id, "/")
			c.headers(id, more, "x", "y")
		}},
		{"a malformed request", xhttp2.ErrCodeProtocol, false, func(c *peer, id uint32) { c.get(id, "/", "te", "gzip") }},
		{"a malformed trailer", xhttp2.ErrCodeProtocol, true, func(c *peer, id uint32) {
			c.post(id, "/")
			c.headers(id, final, ":path", "/")
		}},
		{"more than content-length", xhttp2.ErrCodeProtocol, true, func(c *peer, id uint32) {
			c.post(id, "/", "content-length", "3")
			c.data(id, "1234")
		}},
		{"less than content-length", xhttp2.ErrCodeProtocol, true, func(c *peer, id uint32) {
			c.post(id, "/", "content-length", "3")
			c.dataEnd(id, "12")
		}},
		{"DATA above the stream's window", xhttp2.ErrCodeFlowControl, true, func(c *peer, id uint32) {
			c.post(id, "/")
			c.data(id, strings.Repeat("x", window+1))
		}},
	} {
		script(t, "H2-2 "+tt.name, func(t *testing.T, fm form) {
			var running, cancelled atomic.Int64
			c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) {
				running.Add(1)
				<-r.Context().Done()
				cancelled.Add(1)
			}, func(cfg *Config) { cfg.StreamWindow = window })
			tt.do(c, 1)
			if tt.handled {
				// The handler runs before the violation: that of a request whose body
				// comes would wait for it.
				c.wantReset("once", 1, tt.code)
				c.post(3, "/")
				c.wantIdle("a handler that waits")
				was := cancelled.Load()
				tt.do(c, 5)
				c.wantReset("twice", 5, tt.code)
				c.raw(xhttp2.FramePriority, 0, 3, "")
				c.wantReset("a reset", 3, xhttp2.ErrCodeFrameSize)
				if cancelled.Load() <= was {
					t.Error("the reset did not cancel the handler")
				}
			} else {
				for id := uint32(1); id <= 5; id += 2 {
					if id > 1 {
						tt.do(c, id)
					}
					c.wantReset("before any handler", id, tt.code)
				}
				if running.Load() > 0 {
					t.Error("a handler saw it")
				}
			}
			for id := uint32(7); id < 2*resetBurst; {
				c.inOne(func() {
					for range 50 {
						if id < 2*resetBurst {
							tt.do(c, id)
							id += 2
						}
					}
				})
				c.wantBounds("fifty more")
			}
			c.wantUncalmed("200 in all")
			if running.Load() != cancelled.Load() {
				t.Errorf("%d handlers started, %d of them were cancelled", running.Load(), cancelled.Load())
			}
			tt.do(c, 2*resetBurst+1)
			c.wantCalm("the 201st", ReasonResets)
		})
	}
	script(t, "H2-2 with the peer's own", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.inOne(func() {
			for id := uint32(1); id < 2*resetBurst; id += 4 {
				c.get(id, "/", "te", "gzip")
				c.get(id+2, "/")
				c.cancel(id + 2)
			}
		})
		c.wantUncalmed("100 and 100: one bucket for both")
		c.get(1001, "/", "te", "gzip")
		c.wantCalm("the 201st", ReasonResets)
	})
	script(t, "H2-2 the refill", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		id := uint32(1)
		rush := func(n int) {
			c.inOne(func() {
				for range n {
					c.get(id, "/", "te", "gzip")
					id += 2
				}
			})
		}
		rush(resetBurst)
		c.wantUncalmed("the burst")
		time.Sleep(time.Second)
		rush(resetsPerSec)
		c.wantUncalmed("33 in a second")
		time.Sleep(time.Second)
		rush(resetsPerSec + 1)
		c.wantCalm("34 in a second", ReasonResets)
	})
}

// TestFramesAfterReset: frames that were on their way when our RST_STREAM left
// are no violation (RFC 9113 §5.1, closed).
func TestFramesAfterReset(t *testing.T) {
	script(t, "as many uploads as may be open, all answered early", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		c.inOne(func() {
			for id := uint32(1); id < 2*defaultMaxStreams; id += 2 {
				c.post(id, "/")
			}
		})
		for id := uint32(1); id < 2*defaultMaxStreams; id += 2 {
			c.wantAnswer("its body is not wanted", id, 401, "")
			c.wantReset("its body is not wanted", id, xhttp2.ErrCodeNo)
		}
		c.inOne(func() {
			for id := uint32(1); id < 2*defaultMaxStreams; id += 2 {
				c.data(id, "on its way")
				c.dataEnd(id, "too")
			}
		})
		c.wantLive("they are ignored")
	})
	script(t, "the oldest is forgotten", func(t *testing.T, fm form) {
		const kept = 2 * defaultMaxStreams
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.post(1, "/")
		c.forget()
		for i := range uint32(kept - 1) {
			c.post(3+2*i, "/")
			c.forget()
		}
		c.data(1, "late")
		c.wantLive("as many as are remembered")
		c.engine(func(e *Conn) {
			if len(e.resets) != kept {
				t.Errorf("%d resets are remembered, want %d", len(e.resets), kept)
			}
		})
		last := uint32(3 + 2*kept)
		c.post(last, "/")
		c.forget()
		c.data(3, "late")
		c.wantLive("another one")
		c.data(1, "later")
		c.wantBounds("one more")
		c.wantEnd("a stream that was reset too long ago", last, xhttp2.ErrCodeStreamClosed)
	})
}
