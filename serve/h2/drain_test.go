package h2

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// The end of a connection: a drain's two GOAWAYs (H2-12, RFC 9113 §6.8), and
// what is read behind the last.

func TestDrain(t *testing.T) {
	const trip = "drain\x00\x00\x00"
	first := func(c *peer, why string) {
		c.t.Helper()
		c.wantGoAway(why, 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing(why+": its round trip", trip, false)
	}
	// wantGone wants FIN behind what came, and the end of the connection when the
	// peer closes.
	wantGone := func(c *peer, why string) {
		c.t.Helper()
		c.want(why)
		c.h.mu.Lock()
		fin := c.h.fin
		c.h.mu.Unlock()
		if !fin {
			c.t.Fatalf("%s: no FIN", why)
		}
		c.h.hangup(nil)
		c.wantClosed(why)
	}
	script(t, "H2-12 idle, a round trip", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.get(1, "/")
		c.wantAnswer("a request", 1, 200, "hello")
		c.h.startDrain()
		first(c, "the first")
		time.Sleep(time.Second)
		c.wantIdle("the round trip lasts")
		c.pong(trip)
		c.wantGoAway("the last", 1, xhttp2.ErrCodeNo)
		wantGone(c, "it was idle")
	})
	script(t, "H2-12 idle, 5 s", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.startDrain()
		first(c, "the first")
		time.Sleep(drainGrace - tick)
		c.wantIdle("4.999 s without an answer")
		time.Sleep(tick)
		c.wantGoAway("the last", 0, xhttp2.ErrCodeNo)
		wantGone(c, "it was idle")
	})
	script(t, "H2-12 the answer to another PING", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.startDrain()
		first(c, "the first")
		c.pong("strange.")
		c.pong("alive\x00\x00\x00")
		c.wantIdle("is none")
	})
	script(t, "H2-12 a request on its way", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.startDrain()
		first(c, "the first")
		c.get(1, "/")
		c.wantAnswer("it left before GOAWAY came", 1, 200, "hello")
		c.get(3, "/")
		c.pong(trip)
		c.wantAnswer("another", 3, 200, "hello")
		c.wantGoAway("the last names it", 3, xhttp2.ErrCodeNo)
		wantGone(c, "then the end")
	})
	script(t, "H2-12 a request that is here", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.mu.Lock()
		c.open(1)
		var b strings.Builder
		fr := xhttp2.NewFramer(&b, nil)
		fr.WriteRawFrame(xhttp2.FrameHeaders, final, 1, c.fragment(head4("GET", "/")...))
		c.h.in = append(c.h.in, []byte(b.String()))
		c.h.mu.Unlock()
		c.h.startDrain()
		first(c, "the first")
		c.wantAnswer("unread when the server stopped", 1, 200, "hello")
	})
	script(t, "H2-12 a running stream finishes, a late one is refused", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begun ")
			w.(http.Flusher).Flush()
			g.wait("go")
			io.Copy(w, r.Body)
			hello(w, r)
		})
		c.post(1, "/")
		c.wantHeaders("it runs", 1, 200)
		c.wantData("it runs", 1, "begun ")
		c.h.startDrain()
		first(c, "the first")
		c.pong(trip)
		c.wantGoAway("the last", 1, xhttp2.ErrCodeNo)
		time.Sleep(time.Minute)
		c.wantIdle("the stream runs")
		c.get(3, "/", "x-late", "but decoded")
		c.wantReset("late", 3, xhttp2.ErrCodeRefusedStream)
		c.post(5, "/", "x-late", "but decoded")
		c.wantReset("later", 5, xhttp2.ErrCodeRefusedStream)
		c.data(5, "ignored")
		c.wantLive("the connection goes on")
		c.dataEnd(1, "body ")
		g.open("go")
		_, end := c.wantBytes("it finishes", 1, len("body hello"))
		if !end {
			t.Error("the stream does not end")
		}
		wantGone(c, "behind the last stream")
		if n := c.cfg.Counters.Refused.Load(); n != 2 {
			t.Errorf("Refused = %d, want 2", n)
		}
	})
	script(t, "H2-12 identifiers never grow", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait("go") })
		c.get(1, "/")
		c.wantIdle("it runs")
		c.h.startDrain()
		first(c, "the first")
		c.pong(trip)
		c.wantGoAway("the last", 1, xhttp2.ErrCodeNo)
		c.get(7, "/")
		c.wantReset("late", 7, xhttp2.ErrCodeRefusedStream)
		c.h.startDrain()
		c.pong(trip)
		c.wantIdle("a second drain, and a second answer, say nothing new")
		c.raw(xhttp2.FramePing, 0, 0, "short")
		c.wantEnd("a violation names the same stream", 1, xhttp2.ErrCodeFrameSize)
		g.open("go")
	})
	script(t, "H2-12 before the preface", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantSettings("the server's")
		c.h.startDrain()
		first(c, "the first")
		c.inOne(func() {
			c.write(xhttp2.ClientPreface)
			c.settings()
			c.fr.WriteSettingsAck()
			c.get(1, "/")
		})
		c.wantSettingsAck("the client's")
		c.wantAnswer("its request was on its way", 1, 200, "hello")
		c.pong(trip)
		c.wantGoAway("the last", 1, xhttp2.ErrCodeNo)
		wantGone(c, "then the end")
	})
	script(t, "H2-12 a handler says Connection: close", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
		c.get(1, "/")
		first(c, "as net/http")
		c.wantAnswer("its answer", 1, 200, "", "connection", "")
		time.Sleep(drainGrace)
		c.wantGoAway("the last", 1, xhttp2.ErrCodeNo)
		wantGone(c, "then the end")
	})
}

func TestLinger(t *testing.T) {
	broken := func(t *testing.T, fm form) *peer {
		c := connect(t, fm, hello)
		c.raw(xhttp2.FramePing, 0, 0, "short")
		c.wantGoAway("a violation", 0, xhttp2.ErrCodeFrameSize)
		return c
	}
	open := func(c *peer, why string) {
		c.t.Helper()
		c.settle()
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		if !c.h.fin || c.h.closed {
			c.t.Fatalf("%s: FIN %v, closed %v; want FIN, and the connection open to read", why, c.h.fin, c.h.closed)
		}
	}
	script(t, "a second", func(t *testing.T, fm form) {
		c := broken(t, fm)
		time.Sleep(lingerTimeout - tick)
		open(c, "0.999 s")
		time.Sleep(tick)
		c.wantClosed("1 s")
	})
	script(t, "bytes do not extend it", func(t *testing.T, fm form) {
		c := broken(t, fm)
		for range 9 {
			time.Sleep(lingerTimeout / 10)
			c.write("under way")
		}
		open(c, "0.9 s")
		time.Sleep(lingerTimeout / 10)
		c.wantClosed("1 s")
	})
	script(t, "64 KiB", func(t *testing.T, fm form) {
		c := broken(t, fm)
		c.write(strings.Repeat("x", maxLingerBytes-len("PING fram")-len("short"))) // it counts too
		open(c, "64 KiB are thrown away")
		c.write("x")
		c.wantClosed("a byte more")
	})
	script(t, "the peer closes too", func(t *testing.T, fm form) {
		c := broken(t, fm)
		c.write("under way")
		open(c, "it may have more")
		c.h.hangup(nil)
		c.wantClosed("at once")
	})
	script(t, "behind what the peer has not taken", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.stop(0)
		c.ping("12345678")
		c.raw(xhttp2.FramePing, 0, 0, "short")
		c.settle()
		c.h.mu.Lock()
		if c.h.fin {
			t.Error("FIN before GOAWAY has left")
		}
		c.h.mu.Unlock()
		c.h.take(-1)
		c.wantPing("first", "12345678", true)
		c.wantGoAway("then", 0, xhttp2.ErrCodeFrameSize)
		open(c, "then FIN")
	})
}
