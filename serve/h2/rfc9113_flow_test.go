package h2

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// RFC 9113 §5.2 and §6.9: flow control, in both directions. The peer itself
// holds every DATA frame to its windows (peer.charge).

func window(n uint32) xhttp2.Setting {
	return xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: n}
}

// pattern is content in which no two places look alike.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

// sized answers with pattern of the length that the path tells, with its length
// declared under /c/, in one write; under /w/ in writes of 1,000 bytes.
func sized(w http.ResponseWriter, r *http.Request) {
	var how string
	var n int
	fmt.Sscanf(strings.ReplaceAll(r.URL.Path, "/", " "), "%s %d", &how, &n)
	body := pattern(n)
	step := max(n, 1)
	switch how {
	case "c":
		w.Header().Set("Content-Length", fmt.Sprint(n))
	case "w":
		step = 1000
	}
	for len(body) > 0 {
		m := min(step, len(body))
		if _, err := io.WriteString(w, body[:m]); err != nil {
			return
		}
		body = body[m:]
	}
}

func TestRFC9113Section6WindowErrors(t *testing.T) {
	connErrors(t, "6.9", []violation{
		{"WINDOW_UPDATE of 0 on the connection", func(c *peer) { c.update(0, 0) }, xhttp2.ErrCodeProtocol},
		{"WINDOW_UPDATE of 3 bytes", raw(xhttp2.FrameWindowUpdate, 0, 1, "\x00\x00\x01"), xhttp2.ErrCodeFrameSize},
		{"WINDOW_UPDATE of 5 bytes", raw(xhttp2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x01\x00"), xhttp2.ErrCodeFrameSize},
		{"WINDOW_UPDATE of 0 on an idle stream", raw(xhttp2.FrameWindowUpdate, 0, 9, "\x00\x00\x00\x00"), xhttp2.ErrCodeProtocol},
		{"the connection's window above 2^31-1", func(c *peer) { c.update(0, 1<<31-1-initialWindow); c.update(0, 1<<31-1) }, xhttp2.ErrCodeFlowControl},
		{"SETTINGS that lift a window above 2^31-1", func(c *peer) { c.update(1, 1<<30); c.settings(window(1<<31 - 1)) }, xhttp2.ErrCodeFlowControl},
	})
	streamErrors(t, "6.9", []violation{
		{"WINDOW_UPDATE of 0", func(c *peer) { c.update(1, 0) }, xhttp2.ErrCodeProtocol},
		{"a stream's window above 2^31-1", func(c *peer) { c.update(1, 1<<31-1-initialWindow); c.update(1, 1) }, xhttp2.ErrCodeFlowControl},
		{"above 2^31-1 at once", func(c *peer) { c.update(1, 1<<31-1) }, xhttp2.ErrCodeFlowControl},
	})
	script(t, "6.9.1 windows of 2^31-1 to the byte", func(t *testing.T, fm form) {
		c := connect(t, fm, sized)
		c.update(0, 1<<31-1-initialWindow)
		c.settings(window(1<<31 - 1))
		c.wantSettingsAck("the largest there is")
		c.get(1, "/c/100000")
		c.wantAnswer("legal", 1, 200, pattern(100000))
		c.raw(xhttp2.FrameWindowUpdate, 0, 0, "\x80\x01\x86\xa0")
		c.wantLive("what was sent may be given back, the reserved bit is ignored")
	})
}

func TestRFC9113Section6Windows(t *testing.T) {
	for _, how := range []string{"c", "w", "n"} {
		script(t, "6.9.1 a stream's window, to the byte: "+how, func(t *testing.T, fm form) {
			c := dial(t, fm, sized)
			c.preface(window(10))
			c.get(1, "/"+how+"/10010")
			c.wantHeaders("the head needs no window", 1, 200)
			s, _ := c.wantBytes("ten bytes", 1, 10)
			c.wantIdle("the window is closed")
			for _, n := range []int{1, 9, 1000, 8989} {
				c.update(1, uint32(n))
				more, end := c.wantBytes("what the update lets pass", 1, n)
				s += more
				if end {
					t.Fatalf("the end at %d", len(s))
				}
			}
			c.wantIdle("one byte is left")
			c.update(1, 100)
			more, end := c.wantBytes("the last", 1, 1)
			if s += more; !end || s != pattern(10010) {
				t.Errorf("end %v, content right: %v", end, s == pattern(10010))
			}
			c.wantLive("afterwards")
		})
	}
	script(t, "6.9.1 a window of the very length of the content", func(t *testing.T, fm form) {
		c := dial(t, fm, sized)
		c.preface(window(100))
		c.get(1, "/c/100")
		c.wantAnswer("declared length", 1, 200, pattern(100))
		c.get(3, "/n/100")
		c.wantAnswer("its end needs no window", 3, 200, pattern(100))
	})
	script(t, "6.9.1 empty DATA and heads pass closed windows", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-T")
			w.(http.Flusher).Flush()
			w.Header().Set("X-T", r.URL.Path)
		})
		c.preface(window(0))
		c.get(1, "/t")
		c.wantHeaders("the head", 1, 200)
		g := c.wantTrailer("the trailer section", 1, "x-t", "/t")
		if !g.end() {
			t.Error("no END_STREAM")
		}
		c.get(3, "/")
		c.forget()
		c.wantLive("afterwards")
	})
	script(t, "6.9.1 the connection's window", func(t *testing.T, fm form) {
		c := dial(t, fm, sized)
		c.preface(window(1 << 20))
		c.get(1, "/c/60000")
		c.wantAnswer("the first has room", 1, 200, pattern(60000))
		c.get(3, "/c/60000")
		c.wantHeaders("a head needs none", 3, 200)
		s, _ := c.wantBytes("the second has what is left of 65,535", 3, 5535)
		c.get(5, "/n/3")
		c.wantHeaders("a third's head", 5, 200)
		c.wantIdle("and no content")
		c.update(3, 1000)
		c.wantIdle("the stream's window does not matter")
		c.update(0, 54465)
		c.wantDataEnd("the third has its turn (RFC 9218 10)", 5, pattern(3))
		more, _ := c.wantBytes("the second has the rest", 3, 54462)
		s += more
		c.wantIdle("three bytes are missing")
		c.update(0, 4)
		more, end := c.wantBytes("the last three", 3, 3)
		if s += more; s != pattern(60000) || !end {
			t.Error("wrong content")
		}
	})
	script(t, "6.9.2 SETTINGS change the windows of open streams", func(t *testing.T, fm form) {
		c := dial(t, fm, sized)
		c.preface(window(100))
		c.get(1, "/c/1000")
		c.wantHeaders("a head", 1, 200)
		s, _ := c.wantBytes("a hundred", 1, 100)
		c.settings(window(40))
		c.wantSettingsAck("the window is -60")
		c.update(1, 60)
		c.wantIdle("it is 0")
		c.update(1, 1)
		more, _ := c.wantBytes("it was 1", 1, 1)
		s += more
		c.get(3, "/c/1000")
		c.wantHeaders("a new stream", 3, 200)
		c.wantBytes("begins with forty", 3, 40)
		c.settings(window(0))
		c.wantSettingsAck("-40")
		c.update(3, 10)
		c.wantIdle("-30")
		c.settings(window(50))
		c.wantSettingsAck("20 for the second, 10 for the first")
		c.wantBytes("SETTINGS let pass", 3, 20)
		more, _ = c.wantBytes("on both", 1, 10)
		s += more
		c.settings(window(5000))
		c.wantSettingsAck("wide")
		more, end := c.wantBytes("the rest", 1, 889)
		if s += more; !end || s != pattern(1000) {
			t.Error("wrong content")
		}
		c.wantBytes("the rest", 3, 940)
		c.wantLive("afterwards")
	})
	script(t, "6.9.2 a negative window and an empty end", func(t *testing.T, fm form) {
		// The end of the second answer waits, with no content, until the socket
		// takes the first.
		g := newGates(t)
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/flushed" {
				io.WriteString(w, "0123456789")
				w.(http.Flusher).Flush()
				g.wait("go")
				return
			}
			sized(w, r)
		})
		c.preface(window(1 << 20))
		c.update(0, 1<<20)
		c.get(1, "/flushed")
		c.wantHeaders("a head", 1, 200)
		c.wantData("and some content", 1, "0123456789")
		c.h.stop(0)
		c.get(3, "/c/300000")
		c.settle()
		c.settings(window(0)) // -10 for the first
		c.settle()
		g.open("go")
		c.want("nothing leaves")
		c.h.take(-1)
		c.wantSettingsAck("applied")
		c.wantDataEnd("the end needs no window", 1, "")
		c.forget()
		c.wantLive("afterwards")
	})
	script(t, "6.9.2 streams that have not begun", func(t *testing.T, fm form) {
		c := connectWith(t, fm, sized, func(cfg *Config) { cfg.MaxStreams = 2 })
		c.post(1, "/c/100")
		c.inOne(func() {
			c.post(3, "/c/100")
			c.settings(window(30))
		})
		c.wantSettingsAck("shrunk")
		c.forget()
		c.reset(1, xhttp2.ErrCodeCancel)
		c.reset(3, xhttp2.ErrCodeCancel)
		c.wantLive("windows right (peer.charge)")
	})
	script(t, "6.9 RST_STREAM of what waits for a window", func(t *testing.T, fm form) {
		var n notes
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			sized(w, r)
			_, err := io.WriteString(w, "x")
			n.add("%v", err)
		})
		c.preface(window(10))
		c.get(1, "/n/200000")
		c.wantHeaders("a head", 1, 200)
		c.wantBytes("ten", 1, 10)
		c.wantIdle("the handler waits")
		c.reset(1, xhttp2.ErrCodeCancel)
		c.wantLive("dropped")
		n.want(t, "the writer learns of it", errReset.Error())
	})
	script(t, "6.9 a handler that has returned leaves its answer behind", func(t *testing.T, fm form) {
		var n notes
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { sized(w, r); n.add("returned") })
		c.preface(window(10))
		c.get(1, "/n/60000")
		c.wantHeaders("a head", 1, 200)
		c.wantBytes("ten", 1, 10)
		n.want(t, "64 KiB are kept for the peer (H2-5)", "returned")
		c.get(3, "/n/66000")
		c.wantHeaders("a head", 3, 200)
		c.wantBytes("ten", 3, 10)
		n.want(t, "no more than 64 KiB")
		c.update(3, 1000)
		c.wantBytes("some", 3, 1000)
		c.update(3, 40000)
		c.wantBytes("some more", 3, 40000)
		n.want(t, "it fits now", "returned")
		c.update(0, 1<<20)
		c.update(1, 1<<20)
		c.update(3, 1<<20)
		c.wantBytes("all", 1, 59990)
		c.wantBytes("all", 3, 24990)
		c.wantLive("afterwards")
	})
}

func TestRFC9113Section6Credit(t *testing.T) {
	script(t, "6.9.1 what the peer may send, to the byte", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) {
			g.wait("go")
			echo(w, r)
		}, func(cfg *Config) { cfg.StreamWindow = 1000 })
		c.forget()
		c.post(1, "/")
		c.raw(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "\x04"+pattern(995-4)+"\x00\x00\x00\x00")
		c.data(1, "1234")
		c.wantUpdates("padding may come again", 1, 0)
		c.wantIdle("the window is full")
		c.dataEnd(1, "x")
		c.wantReset("one byte more", 1, xhttp2.ErrCodeFlowControl)
		g.open("go")
		c.wantLive("the others live")
	})
	script(t, "6.9.1 the connection's receive window", func(t *testing.T, fm form) {
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(cfg *Config) { cfg.ConnWindow = initialWindow; cfg.StreamWindow = 1 << 20 })
		c.wantUpdates("there is no more than the initial one", 0, 0)
		c.post(1, "/")
		for range 6 {
			c.data(1, strings.Repeat("x", 10000))
		}
		c.wantUpdates("credit comes back on receipt", 0, 60000)
		for range 6 {
			c.data(1, strings.Repeat("x", 10000))
		}
		c.wantUpdates("but not while more than the window is unread", 0, 0)
		c.data(1, strings.Repeat("x", 5535))
		c.wantIdle("the window is full")
		c.data(1, "x")
		c.wantEnd("one byte more", 1, xhttp2.ErrCodeFlowControl)
	})
	script(t, "6.9 a stream's credit follows its reader", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) {
			b := make([]byte, 500)
			for _, gate := range []string{"1", "2", "3"} {
				g.wait(gate)
				io.ReadFull(r.Body, b[:400])
			}
			io.Copy(io.Discard, r.Body)
		}, func(cfg *Config) { cfg.StreamWindow = 1000; cfg.MaxStreamWindow = 1000 })
		c.post(1, "/")
		c.data(1, pattern(1000))
		c.wantUpdates("nothing was read", 1, 0)
		g.open("1")
		c.wantUpdates("400 were read", 1, 400)
		c.data(1, pattern(400))
		g.open("2")
		c.wantUpdates("400 more", 1, 400)
		g.open("3")
		c.wantUpdates("all was read; 200 are too few for a frame", 1, 400)
		c.dataEnd(1, pattern(800))
		c.wantAnswer("done", 1, 200, "")
		c.wantUpdates("no credit for what has ended", 1, 0)
	})
	script(t, "6.9 a handler that keeps up has a larger window", func(t *testing.T, fm form) {
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func(cfg *Config) { cfg.StreamWindow = 1000; cfg.MaxStreamWindow = 3000 })
		c.post(1, "/")
		total, have := 0, 1000
		for range 6 {
			c.data(1, strings.Repeat("x", have))
			total += have
			c.settle()
			got := 0
			for _, g := range c.queue {
				if g.id == 1 && g.typ == xhttp2.FrameWindowUpdate {
					got += int(g.n)
				}
			}
			c.forget()
			have = got
		}
		if have != 3000 {
			t.Errorf("the window is %d, want it to have grown to 3000", have)
		}
		c.dataEnd(1, "")
		c.wantAnswer("done", 1, 200, "")
	})
	script(t, "6.9 a slow reader does not stall its neighbours, for 10 s", func(t *testing.T, fm form) {
		var n notes
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-r.Context().Done()
				_, err := r.Body.Read(make([]byte, 1))
				n.add("%v", err)
				return
			}
			b, _ := io.ReadAll(r.Body)
			fmt.Fprint(w, len(b))
		}, func(cfg *Config) { cfg.ConnWindow = 100_000; cfg.StreamWindow = 100_000 })
		c.post(1, "/slow")
		c.post(3, "/slow")
		for range 9 {
			c.data(1, strings.Repeat("x", 10000))
			c.settle()
		}
		c.post(5, "/fast")
		for range 9 {
			c.data(5, strings.Repeat("x", 10000))
			c.settle()
		}
		c.dataEnd(5, "")
		c.wantAnswer("a neighbour", 5, 200, "90000")
		for range 2 {
			c.data(3, strings.Repeat("x", 10000))
			c.settle()
		}
		c.wantIdle("110,000 are unread: credit is withheld")
		time.Sleep(withholdTimeout - time.Millisecond)
		c.wantIdle("for ten seconds")
		time.Sleep(time.Millisecond)
		c.wantReset("the slow are reset", 1, xhttp2.ErrCodeCancel)
		c.wantReset("the slow are reset", 3, xhttp2.ErrCodeCancel)
		n.want(t, "and learn of it", errResetByUs.Error(), errResetByUs.Error())
		if got := c.cfg.Counters.Withheld.Load(); got != 2 {
			t.Errorf("Counters.Withheld = %d, want 2", got)
		}
		c.wantLive("afterwards")
	})
	script(t, "5.2 a large upload and download at once", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
		c.preface(window(20000))
		c.post(1, "/")
		want, have := pattern(400_000), ""
		credit := 64 << 10
		for sent := 0; len(have) < len(want); {
			if n := min(credit, 16384, len(want)-sent); n > 0 {
				if sent+n == len(want) {
					c.dataEnd(1, want[sent:])
				} else {
					c.data(1, want[sent:sent+n])
				}
				credit -= n
				sent += n
			}
			c.settle()
			for _, g := range c.queue {
				switch {
				case g.id == 1 && g.typ == xhttp2.FrameWindowUpdate:
					credit += int(g.n)
				case g.typ == xhttp2.FrameData && len(g.data) > 0:
					have += g.data
					c.update(0, uint32(len(g.data)))
					c.update(1, uint32(len(g.data)))
				}
			}
			c.queue = nil
		}
		if have != want {
			t.Error("the echo is not what was sent")
		}
		c.forget()
		c.wantLive("afterwards")
	})
}
