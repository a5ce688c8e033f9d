package h2

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// What the engine tells its host, and is told by it.

func TestStates(t *testing.T) {
	script(t, "active and idle", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait(r.URL.Path) })
		states := func(why string, want ...http.ConnState) {
			t.Helper()
			c.settle()
			c.h.mu.Lock()
			defer c.h.mu.Unlock()
			if !slices.Equal(c.h.states, want) {
				t.Fatalf("%s: states %v, want %v", why, c.h.states, want)
			}
			c.h.states = nil
		}
		states("the prefaces, as in net/http", http.StateActive, http.StateIdle)
		c.get(1, "/1")
		states("the first stream", http.StateActive)
		c.get(3, "/3")
		c.settle()
		g.open("/1")
		states("another one is open")
		g.open("/3")
		states("none is", http.StateIdle)
		c.get(5, "/5")
		c.settle()
		c.reset(5, xhttp2.ErrCodeCancel)
		states("a reset stream is closed, though its handler runs", http.StateActive, http.StateIdle)
		g.open("/5")
		states("it ends")
		c.post(7, "/", "te", "gzip")
		states("malformed: nobody saw it")
		c.forget()
		c.wantLive("afterwards")
	})
}

func TestPreread(t *testing.T) {
	script(t, "bytes that were read to find the protocol", func(t *testing.T, fm form) {
		cfg, _ := testConfig(http.HandlerFunc(hello))
		h := newMemHost(fm.portable)
		c := &peer{t: t, h: h, cfg: Complete(cfg), log: new(logBuffer)}
		c.init()
		c.inOne(func() {
			c.write(xhttp2.ClientPreface)
			c.settings()
			c.get(1, "/")
			all := c.say.String()
			c.say.Reset()
			conn := NewConn(c.cfg, h, Attachment{})
			b := bufpool.Get(readSize)
			b.B = append(b.B, all[:40]...)
			conn.Preread(b)
			h.give([]byte(all[40:]))
			h.serve(conn)
		})
		c.wantSettings("the server's")
		c.wantSettingsAck("the client's")
		c.wantAnswer("a request", 1, 200, "hello")
		c.wantLive("afterwards")
	})
}

func TestDrainBefore(t *testing.T) {
	script(t, "a connection that begins while the server stops", func(t *testing.T, fm form) {
		cfg, _ := testConfig(http.HandlerFunc(hello))
		h := newMemHost(fm.portable)
		h.draining = true
		c := &peer{t: t, h: h, cfg: Complete(cfg), log: new(logBuffer)}
		c.init()
		h.serve(NewConn(c.cfg, h, Attachment{}))
		c.wantSettings("the server's")
		c.wantGoAway("at once", 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing("and a PING", string(pingDrain[:]), false)
		c.write(xhttp2.ClientPreface)
		c.settings()
		c.get(1, "/")
		c.wantSettingsAck("the client's")
		c.wantAnswer("what has left already is served", 1, 200, "hello")
		c.fr.WritePing(true, pingDrain)
		c.send()
		c.wantGoAway("the last", 1, xhttp2.ErrCodeNo)
		c.h.hangup(nil)
		c.wantClosed("both have closed")
	})
}

func TestShed(t *testing.T) {
	script(t, "memory is short (S-7)", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.mu.Lock()
		c.h.shed = true
		c.h.mu.Unlock()
		c.get(1, "/")
		c.wantGoAway("the next request ends the connection", 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing("in an orderly way", string(pingDrain[:]), false)
		c.wantAnswer("and is served", 1, 200, "hello")
		time.Sleep(drainGrace)
		c.wantGoAway("no round trip within five seconds", 1, xhttp2.ErrCodeNo)
		c.h.hangup(nil)
		c.wantClosed("both have closed")
	})
}

// TestCut: the server closes a connection in whatever state it is.
func TestCut(t *testing.T) {
	for name, prepare := range map[string]func(c *peer){
		"idle":              func(c *peer) {},
		"half a frame":      func(c *peer) { c.write("\x00\x00\x05\x01") },
		"half a block":      func(c *peer) { c.headersFragment(1, xhttp2.FlagHeadersEndStream, c.fragment(head4("GET", "/")...)[:2]) },
		"a body is awaited": func(c *peer) { c.post(1, "/echo") },
		"a body is unread":  func(c *peer) { c.post(1, "/wait"); c.data(1, "some") },
		"a window is awaited": func(c *peer) {
			c.get(1, "/n/300000")
			c.get(3, "/n/60000")
		},
		"the socket is stuck": func(c *peer) { c.update(0, 1<<20); c.h.stop(0); c.get(1, "/n/60000"); c.ping("12345678") },
		"a handler waits":     func(c *peer) { c.get(1, "/wait"); c.get(3, "/wait") },
		"lingering":           func(c *peer) { c.raw(xhttp2.FramePing, 0, 0, "") },
	} {
		script(t, name, func(t *testing.T, fm form) {
			g := newGates(t)
			c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/echo":
					io.Copy(w, r.Body)
				case "/wait":
					g.wait("go")
					hello(w, r)
				default:
					sized(w, r)
				}
			})
			prepare(c)
			c.settle()
			c.h.shutdown()
			g.open("go")
			c.settle()
			if !c.h.closed {
				t.Error("not closed")
			}
		})
	}
}
