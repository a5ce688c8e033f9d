package h2

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// RFC 9218: which answer comes first.

// queued opens streams 1, 3, 5, ... with these priorities; "-" gives none. The
// answers of 40,000 bytes wait until their windows open.
func queued(t *testing.T, fm form, priorities ...string) *peer {
	t.Helper()
	c := dial(t, fm, sized)
	c.preface(window(0))
	c.update(0, 10<<20)
	for i, p := range priorities {
		id := uint32(2*i + 1)
		if p == "-" {
			c.get(id, "/c/40000")
		} else {
			c.get(id, "/c/40000", "priority", p)
		}
		c.wantHeaders("a head needs no window", id, 200)
	}
	c.wantIdle("all wait")
	return c
}

// order opens all windows at once and tells on which streams DATA came; 40,000
// bytes are three frames.
func (p *peer) order() (ids []uint32) {
	p.t.Helper()
	p.settings(window(1 << 20))
	p.wantSettingsAck("the windows open")
	for _, g := range p.queue {
		if g.typ == xhttp2.FrameData {
			ids = append(ids, g.id)
		}
	}
	p.queue = nil
	return ids
}

func TestRFC9218Order(t *testing.T) {
	for _, tt := range []struct {
		name       string
		priorities []string
		want       []uint32
	}{
		{"4.1 urgency", []string{"u=5", "u=1", "u=3", "u=0"}, []uint32{7, 7, 7, 3, 3, 3, 5, 5, 5, 1, 1, 1}},
		{"4.1 no signal is urgency 3", []string{"u=4, i", "-", "u=2, i"}, []uint32{5, 5, 5, 3, 3, 3, 1, 1, 1}},
		{"4.2 incremental answers share", []string{"u=3, i", "i", "i=?1"}, []uint32{1, 3, 5, 1, 3, 5, 1, 3, 5}},
		{"4.2 others come one after the other", []string{"u=3", "i=?0", "u=3, i=?0"}, []uint32{1, 1, 1, 3, 3, 3, 5, 5, 5}},
		{"4.2 no signal at all: they share", []string{"-", "-"}, []uint32{1, 3, 1, 3, 1, 3}},
		{"4.1 out of range or of the wrong type is ignored", []string{"u=9, i", "u=-1, i", "u=x, i", "u=3, i"}, []uint32{1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7}},
		{"10 one that does not share holds up those behind it only", []string{"i", "u=3", "i"}, []uint32{1, 3, 3, 3, 5, 1, 5, 1, 5}},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			c := queued(t, fm, tt.priorities...)
			if got := c.order(); !slices.Equal(got, tt.want) {
				t.Errorf("DATA came on %v, want %v", got, tt.want)
			}
			c.wantLive("afterwards")
		})
	}
	script(t, "10 by identifier, whatever the order of the windows", func(t *testing.T, fm form) {
		c := queued(t, fm, "u=3", "u=3", "u=3")
		c.inOne(func() {
			for _, id := range []uint32{5, 1, 3} {
				c.update(id, 40000)
			}
		})
		c.settle()
		var ids []uint32
		for _, g := range c.queue {
			ids = append(ids, g.id)
		}
		c.queue = nil
		if want := []uint32{1, 1, 1, 3, 3, 3, 5, 5, 5}; !slices.Equal(ids, want) {
			t.Errorf("DATA came on %v, want %v", ids, want)
		}
	})
}

func TestRFC9218Update(t *testing.T) {
	update := func(c *peer, id uint32, field string) { c.fr.WritePriorityUpdate(id, field); c.send() }
	script(t, "7.1 PRIORITY_UPDATE of what waits", func(t *testing.T, fm form) {
		c := queued(t, fm, "u=3", "u=3", "u=3")
		update(c, 5, "u=0")
		update(c, 1, "u=7")
		update(c, 99, "u=1")
		c.wantIdle("no window yet")
		if got, want := c.order(), []uint32{5, 5, 5, 3, 3, 3, 1, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("DATA came on %v, want %v", got, want)
		}
		update(c, 1, "u=1")
		c.wantLive("a closed stream's is ignored")
	})
	script(t, "7.1 PRIORITY_UPDATE of what is in a ring", func(t *testing.T, fm form) {
		c := dial(t, fm, sized)
		c.preface(window(1 << 20))
		for _, id := range []uint32{1, 3, 5} {
			c.get(id, "/c/60000", "priority", "u=3")
		}
		c.forget() // the connection's window is used up
		update(c, 5, "u=1")
		update(c, 3, "u=2, i")
		c.update(0, 1<<20)
		c.settle()
		var ids []uint32
		for _, g := range c.queue {
			if g.typ == xhttp2.FrameData {
				if n := len(ids); n == 0 || ids[n-1] != g.id {
					ids = append(ids, g.id)
				}
			}
		}
		c.queue = nil
		// Some stream had the connection's window before (portable: any).
		if !slices.Equal(ids, []uint32{5, 3}) && !slices.Equal(ids, []uint32{5, 3, 1}) && !slices.Equal(ids, []uint32{3, 1}) && !slices.Equal(ids, []uint32{5, 1}) {
			t.Errorf("DATA came on %v, want 5, 3, 1", ids)
		}
	})
	connErrors(t, "7.1", []violation{
		{"PRIORITY_UPDATE on a stream", raw(xhttp2.FramePriorityUpdate, 0, 1, "\x00\x00\x00\x01u=1"), xhttp2.ErrCodeProtocol},
		{"PRIORITY_UPDATE for stream 0", raw(xhttp2.FramePriorityUpdate, 0, 0, "\x00\x00\x00\x00u=1"), xhttp2.ErrCodeProtocol},
		{"PRIORITY_UPDATE of 3 bytes", raw(xhttp2.FramePriorityUpdate, 0, 0, "\x00\x00\x00"), xhttp2.ErrCodeFrameSize},
		{"PRIORITY_UPDATE for a push", raw(xhttp2.FramePriorityUpdate, 0, 0, "\x00\x00\x00\x02u=1"), xhttp2.ErrCodeProtocol},
	})
	script(t, "7.1 a field that is no dictionary", func(t *testing.T, fm form) {
		c := queued(t, fm, "u=5, i", "u=5, i")
		update(c, 3, "not a (dictionary")
		c.wantIdle("no error")
		if got, want := c.order(), []uint32{3, 3, 3, 1, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("DATA came on %v, want %v: it means the default", got, want)
		}
	})
	connErrors(t, "2.1", []violation{
		{"NO_RFC7540_PRIORITIES of 2", func(c *peer) { c.settings(xhttp2.Setting{ID: 9, Val: 2}) }, xhttp2.ErrCodeProtocol},
	})
}

// TestSmallBesideDownload: a small answer does not wait for a large one that
// was asked for before, but for what lies in the socket already.
func TestSmallBesideDownload(t *testing.T) {
	for _, prio := range []string{"-", "u=4", "u=7, i", "u=3, i"} {
		script(t, "download: "+prio, func(t *testing.T, fm form) {
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/large" {
					sized(w, r)
					return
				}
				w.Header().Set("Content-Length", "600000")
				for range 6 {
					if _, err := w.Write([]byte(strings.Repeat("x", 100_000))); err != nil {
						t.Errorf("the download broke: %v", err)
					}
				}
			})
			c.preface(window(10 << 20))
			c.update(0, 10<<20)
			c.h.stop(0)
			if prio == "-" {
				c.get(1, "/large")
			} else {
				c.get(1, "/large", "priority", prio)
			}
			c.settle()
			c.get(3, "/n/10")
			c.get(5, "/c/15000")
			c.settle()
			c.h.take(highWater + 100_000)
			c.wantAnswer("a small answer", 3, 200, pattern(10))
			c.wantAnswer("a frame's worth", 5, 200, pattern(15000))
			if c.over[1] {
				t.Fatal("the download is over already: nothing was shown")
			}
			c.h.take(-1)
			c.wantAnswer("the download", 1, 200, strings.Repeat("x", 600_000))
			c.wantLive("afterwards")
		})
	}
}
