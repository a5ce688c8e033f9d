package h2

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// TestGather: what one step answers leaves in few writes, none of them large,
// however much was asked for in it.
func TestGather(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		n       int
		writes  int // at most
		answer  func(c *peer, id uint32)
	}{
		{"100 small answers", hello, 100, 1, func(c *peer, id uint32) { c.wantAnswer("small", id, 200, "hello") }},
		{"12,000 heads", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, 12000, 20, func(c *peer, id uint32) { c.wantAnswer("a head", id, 204, "") }},
		{"100 answers of 2,000 bytes", sized, 100, 6, func(c *peer, id uint32) { c.wantAnswer("sized", id, 200, pattern(2000)) }},
	} {
		scriptIn(t, forms[0], tt.name, func(t *testing.T, fm form) {
			c := connect(t, fm, tt.handler)
			c.update(0, 1<<20)
			c.settle()
			c.h.mu.Lock()
			before := c.h.writes
			c.h.largest = 0
			c.h.mu.Unlock()
			c.inOne(func() {
				for i := range tt.n {
					c.get(uint32(2*i+1), "/n/2000")
				}
			})
			c.settle()
			for i := range min(tt.n, 100) {
				tt.answer(c, uint32(2*i+1))
			}
			for _, g := range c.queue {
				if g.typ == xhttp2.FrameHeaders && !g.end() || g.typ == xhttp2.FrameRSTStream {
					t.Fatalf("got %v", g)
				}
			}
			if len(c.queue) < tt.n-100 {
				t.Fatalf("%d frames behind the first hundred answers, want %d", len(c.queue), tt.n-100)
			}
			c.queue = nil
			c.h.mu.Lock()
			writes, largest := c.h.writes-before, c.h.largest
			c.h.mu.Unlock()
			if writes > tt.writes || largest > 64<<10 {
				t.Errorf("%d writes of up to %d bytes, want %d of 64 KiB at most", writes, largest, tt.writes)
			}
			c.wantLive("afterwards")
		})
	}
}

// TestGatheredLeaves: what a handler has written and not flushed leaves when it
// waits for the peer.
func TestGatheredLeaves(t *testing.T) {
	script(t, "before a wait for the body", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, pattern(gatherSize+1)) // more than is kept back
			b, _ := io.ReadAll(r.Body)
			w.Write(b)
		})
		c.post(1, "/")
		c.wantHeaders("a head", 1, 200)
		c.wantData("what was written", 1, pattern(gatherSize+1))
		c.dataEnd(1, "def")
		c.wantDataEnd("and the rest", 1, "def")
	})
	script(t, "with much unread, credit leaves too", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		})
		c.post(1, "/")
		const total, piece = 2 << 20, 16000
		sent, credit := 0, c.cfg.StreamWindow
		for sent < total {
			c.settle()
			for _, g := range c.queue {
				if g.typ == xhttp2.FrameWindowUpdate && g.id == 1 {
					credit += int(g.n)
				}
			}
			c.queue = nil
			if credit < piece {
				t.Fatalf("the handler has read all of %d bytes, and credit is %d", sent, credit)
			}
			for ; credit >= piece; credit -= piece {
				c.data(1, pattern(piece))
				sent += piece
			}
		}
		c.dataEnd(1, "")
		c.wantAnswer("all", 1, 200, fmt.Sprint(sent))
	})
}

// TestSmallWrites: a handler that writes byte by byte makes few frames, with
// and without a declared length, and its flushes are kept to.
func TestSmallWrites(t *testing.T) {
	script(t, "small writes", func(t *testing.T, fm form) {
		const total = 3 * gatherSize / 2
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/declared" {
				w.Header().Set("Content-Length", fmt.Sprint(total))
			}
			for _, b := range []byte(pattern(total)) {
				w.Write([]byte{b})
			}
		})
		for i, path := range []string{"/unknown", "/declared"} {
			id := uint32(2*i + 1)
			c.get(id, path)
			c.settle()
			frames := 0
			for _, g := range c.queue {
				if g.typ == xhttp2.FrameData {
					frames++
				}
			}
			if frames != 2 {
				t.Errorf("%s: %d bytes in %d DATA frames, want 2", path, total, frames)
			}
			c.wantAnswer(path, id, 200, pattern(total))
		}
	})
}
