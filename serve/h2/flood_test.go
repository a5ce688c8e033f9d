package h2

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// Floods of frames, rules H2-6 to H2-8: what is legal right below the limit,
// and what crosses it.

// TestLimitValues: the numbers of the rules, which the tests here and beside
// name by the engine's constants.
func TestLimitValues(t *testing.T) {
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"H2-1 MAX_CONCURRENT_STREAMS", defaultMaxStreams, 100},
		{"H2-1 resets, burst", resetBurst, 200},
		{"H2-1 resets a second", resetsPerSec, 33},
		{"H2-3 CONTINUATION frames", maxContinuations, 8},
		{"H2-4 bytes of fields", defaultFieldBytes, 65536},
		{"H2-4 fields", defaultFields, 100},
		{"H2-4 fields, and GOAWAY", hardFields, 1000},
		{"H2-5 output of a stream", maxStreamOutput, 65536},
		{"H2-5 output of a connection", maxConnOutput, 1 << 20},
		{"H2-5 stalled output", defaultWriteIdleTimeout, time.Minute},
		{"H2-5 bytes a second", defaultWriteMinRate, 240},
		{"H2-6 queued control frames", maxQueuedControl, 1000},
		{"H2-6 entries of SETTINGS", maxSettings, 32},
		{"H2-6 empty frames in a row", maxEmptyInRow, 1},
		{"H2-6 PRIORITY", priorityPerStream, 100},
		{"H2-6 WINDOW_UPDATE", []int{windowUpdatesFree, windowUpdatesPerUnit, dataWeight}, []int{5, 2, 10}},
		{"H2-6 overhead", []int{overheadShare, overheadFree}, []int{8, 1 << 20}},
		{"H2-11 preface", prefaceTimeout, 10 * time.Second},
		{"H2-11 SETTINGS", settingsTimeout, 2 * time.Second},
		{"H2-11 ACK", ackTimeout, 10 * time.Second},
		{"H2-12 round trip", drainGrace, 5 * time.Second},
		{"S-1 head", defaultReadHeadTimeout, 10 * time.Second},
		{"S-2 body, idle", defaultBodyIdleTimeout, time.Minute},
		{"S-2 body, bytes a second", []any{defaultBodyMinRate, bodyRateGrace}, []any{240, 10 * time.Second}},
		{"S-4 idle", defaultIdleTimeout, 75 * time.Second},
		{"H1-7 trailers", []int{maxTrailers, maxTrailerBytes}, []int{32, 8 << 10}},
		{"H1-12 target and method", []int{defaultTargetBytes, maxMethodBytes}, []int{16_384, 32}},
		{"H1-17 age", defaultMaxConnAge, time.Hour},
		{"linger", []any{lingerTimeout, maxLingerBytes}, []any{time.Second, 65536}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

// TestControlFlood: answers that the peer does not read (CVE-2019-9512,
// CVE-2019-9515).
func TestControlFlood(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(c *peer)
	}{
		{"PING", func(c *peer) { c.ping("12345678") }},
		{"SETTINGS", func(c *peer) { c.settings() }},
		{"SETTINGS and PING", func(c *peer) {
			if len(c.told)%2 == 0 {
				c.settings()
			} else {
				c.ping("12345678")
				c.told = append(c.told, -1) // to count
			}
		}},
	} {
		script(t, "H2-6 unread/"+tt.name, func(t *testing.T, fm form) {
			c := connect(t, fm, hello)
			c.h.stop(0)
			c.inOne(func() {
				for range maxQueuedControl {
					tt.ask(c)
				}
			})
			c.wantBounds("1,000 answers wait")
			if s := c.fate(); s != "" {
				t.Fatalf("1,000 answers wait: the connection ended%s", s)
			}
			tt.ask(c)
			c.settle()
			c.h.take(-1)
			c.wantCalm("1,001", ReasonControl)
		})
	}
	script(t, "H2-6 unread, then read", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.wantLive("at first")
		for range 3 {
			c.h.stop(0)
			c.inOne(func() {
				for range maxQueuedControl {
					c.ping("12345678")
				}
			})
			c.settle()
			c.h.take(-1)
			c.settle()
			if len(c.queue) != maxQueuedControl {
				t.Fatalf("%d answers, want %d%s", len(c.queue), maxQueuedControl, c.fate())
			}
			c.wantUncalmed("read in the end")
		}
	})
	script(t, "H2-6 refused streams, unread", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		c.inOne(func() {
			for id := uint32(1); id < 2*defaultMaxStreams; id += 2 {
				c.get(id, "/")
			}
		})
		c.wantIdle("as many as may be")
		c.h.stop(0)
		id := uint32(1 + 2*defaultMaxStreams)
		refused := func(n int) {
			c.inOne(func() {
				for range n {
					c.get(id, "/")
					id += 2
				}
			})
			c.settle()
		}
		refused(maxQueuedControl)
		if s := c.fate(); s != "" {
			t.Fatalf("1,000 streams refused: the connection ended%s", s)
		}
		c.wantBounds("1,000 streams refused")
		refused(1)
		c.h.take(-1)
		c.wantCalm("1,001", ReasonControl)
	})
	script(t, "H2-6 answers without a handler, unread", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.h.stop(0)
		c.inOne(func() {
			for id := uint32(1); id < 4000; id += 2 {
				c.headers(id, final, head4("TRACE", "/")...)
			}
		})
		c.settle()
		c.h.take(-1)
		c.wantCalm("2,000 times 405", ReasonControl)
	})
	script(t, "H2-6 over time, behind a socket that is slow", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for range maxQueuedControl {
			c.h.stop(0)
			for range 2 {
				c.ping("12345678")
				c.settle()
			}
			c.h.take(-1)
			c.settle()
			c.queue = slicesKeep(c.queue, xhttp2.FrameGoAway)
		}
		c.wantUncalmed("2,000 PINGs, two at a time")
	})
	script(t, "H2-6 a peer that reads", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for range 20 {
			c.inOne(func() {
				for range 500 {
					c.ping("12345678")
				}
			})
			c.wantUncalmed("500 PINGs")
		}
		if fm.portable {
			return // its writer has no chance within a step
		}
		c.inOne(func() {
			for range 2 * maxQueuedControl {
				c.settings()
			}
		})
		c.wantUncalmed("2,000 SETTINGS at once")
	})
}

// TestSettingsFlood: H2-6, CVE-2019-9515.
func TestSettingsFlood(t *testing.T) {
	entries := func(n int) string {
		var b []byte
		for i := range n {
			b = binary.BigEndian.AppendUint16(b, 4) // INITIAL_WINDOW_SIZE
			b = binary.BigEndian.AppendUint32(b, uint32(i))
		}
		return string(b)
	}
	script(t, "H2-6 32 entries, all of one setting", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.told = append(c.told, maxSettings-1)
		c.raw(xhttp2.FrameSettings, 0, 0, entries(maxSettings))
		c.wantSettingsAck("applied in order")
		c.engine(func(e *Conn) {
			if e.streamWin != maxSettings-1 {
				t.Errorf("the window is %d, want the last value, %d", e.streamWin, maxSettings-1)
			}
		})
		c.get(1, "/")
		c.wantAnswer("within a window of 31", 1, 200, "hello")
	})
	script(t, "H2-6 33 entries", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.raw(xhttp2.FrameSettings, 0, 0, entries(maxSettings+1))
		c.wantCalm("33 entries", ReasonSettings)
	})
	script(t, "H2-6 the largest frame, as the first", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantSettings("the server's")
		c.write(xhttp2.ClientPreface)
		c.raw(xhttp2.FrameSettings, 0, 0, entries(16384/6))
		c.wantCalm("2,730 entries", ReasonSettings)
	})
}

// TestEmptyFrames: H2-6, CVE-2019-9518: frames that carry nothing and end nothing.
func TestEmptyFrames(t *testing.T) {
	script(t, "H2-6 DATA", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		for range 20 {
			c.data(1, "")
			c.data(1, "x")
		}
		c.data(1, "")
		c.dataEnd(1, "")
		c.wantAnswer("one empty frame at a time", 1, 200, "POST / "+strings.Repeat("x", 20))
		c.post(3, "/")
		c.data(3, "")
		c.wantIdle("one")
		c.data(3, "")
		c.wantCalm("two in a row", ReasonEmptyFrames)
	})
	script(t, "H2-6 DATA of padding", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		c.raw(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "\x05     ")
		c.wantIdle("one")
		c.raw(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "\x05     ")
		c.wantCalm("two in a row", ReasonEmptyFrames)
	})
	script(t, "H2-6 DATA of two streams", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		for id := uint32(1); id < 40; id += 2 {
			c.post(id, "/")
			c.data(id, "")
		}
		c.wantIdle("each behind a head: not in a row")
		c.data(1, "")
		c.wantCalm("two in a row", ReasonEmptyFrames)
	})
	script(t, "H2-6 other frames between them", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		c.data(1, "")
		c.ping("12345678")
		c.settings()
		c.settle()
		c.data(1, "")
		c.wantCalm("two in a row all the same", ReasonEmptyFrames)
	})
	script(t, "H2-6 DATA with END_STREAM", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.inOne(func() {
			for id := uint32(1); id < 200; id += 2 {
				c.post(id, "/")
			}
			for id := uint32(1); id < 200; id += 2 {
				c.dataEnd(id, "")
			}
		})
		c.settle()
		for id := uint32(1); id < 200; id += 2 {
			c.wantAnswer("an empty body", id, 200, "hello")
		}
		c.wantLive("a hundred in a row")
	})
	script(t, "H2-6 CONTINUATION", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		block := c.fragment(head4("GET", "/")...)
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, block)
		c.fr.WriteContinuation(1, false, nil)
		c.fr.WriteContinuation(1, true, nil)
		c.send()
		c.wantAnswer("one, and an empty last one", 1, 200, "hello")
		c.headersFragment(3, xhttp2.FlagHeadersEndStream, block)
		c.fr.WriteContinuation(3, false, nil)
		c.send()
		c.wantIdle("one")
		c.fr.WriteContinuation(3, false, nil)
		c.send()
		c.wantCalm("two in a row", ReasonEmptyFrames)
	})
	script(t, "H2-6 HEADERS and CONTINUATION", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		block := c.fragment(head4("GET", "/")...)
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, nil)
		c.fr.WriteContinuation(1, true, block)
		c.send()
		c.wantAnswer("an empty HEADERS", 1, 200, "hello")
		c.headersFragment(3, 0, nil)
		c.fr.WriteContinuation(3, false, nil)
		c.send()
		c.wantCalm("two in a row", ReasonEmptyFrames)
	})
}

// TestPriorityFlood: H2-6: 100 for the connection and 100 for each stream.
func TestPriorityFlood(t *testing.T) {
	ways := map[string]func(c *peer){
		"PRIORITY":        func(c *peer) { c.fr.WritePriority(77, xhttp2.PriorityParam{Weight: 3}); c.send() },
		"PRIORITY_UPDATE": func(c *peer) { c.raw(0x10, 0, 0, "\x00\x00\x00\x01u=1") },
	}
	for name, say := range ways {
		rush := func(c *peer, n int) {
			c.inOne(func() {
				for range n {
					say(c)
				}
			})
		}
		script(t, "H2-6 "+name, func(t *testing.T, fm form) {
			c := connect(t, fm, hello)
			rush(c, priorityPerStream)
			c.wantUncalmed("100 without a stream")
			for id := uint32(1); id <= 5; id += 2 {
				c.get(id, "/")
				c.wantAnswer("a request", id, 200, "hello")
			}
			rush(c, 3*priorityPerStream)
			c.wantUncalmed("300 more for three streams")
			rush(c, 1)
			c.wantCalm("the 401st", ReasonPriority)
		})
	}
	script(t, "H2-6 both", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.inOne(func() {
			for range priorityPerStream / 2 {
				ways["PRIORITY"](c)
				ways["PRIORITY_UPDATE"](c)
			}
		})
		c.wantUncalmed("50 and 50")
		ways["PRIORITY"](c)
		c.wantCalm("the 101st", ReasonPriority)
	})
}

// TestWindowUpdateFlood: H2-6, CVE-2019-9517: 5 for the connection, two for a
// stream, twenty for a DATA frame of ours.
func TestWindowUpdateFlood(t *testing.T) {
	rush := func(c *peer, n int) {
		c.inOne(func() {
			for range n {
				c.update(0, 1)
			}
		})
	}
	script(t, "H2-6 before any stream", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		rush(c, windowUpdatesFree)
		c.wantUncalmed("five")
		rush(c, 1)
		c.wantCalm("six", ReasonWindowUpdates)
	})
	script(t, "H2-6 with streams", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/data" {
				io.WriteString(w, "one DATA frame")
			}
		})
		for id := uint32(1); id <= 7; id += 2 {
			c.get(id, "/")
		}
		c.forget()
		rush(c, windowUpdatesFree+4*windowUpdatesPerUnit)
		c.wantUncalmed("13 for four streams without content")
		c.get(9, "/data")
		c.forget()
		rush(c, windowUpdatesPerUnit+dataWeight*windowUpdatesPerUnit)
		c.wantUncalmed("22 for a DATA frame")
		c.fr.WriteWindowUpdate(9, 1)
		c.send()
		c.wantCalm("one more, on a stream that is closed", ReasonWindowUpdates)
	})
	script(t, "H2-6 a download whose reader takes a frame at a time", func(t *testing.T, fm form) {
		const size = 1 << 20
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, size)) })
		c.get(1, "/")
		for n := 0; n < size; {
			c.settle()
			was := n
			for _, g := range c.queue {
				if g.typ == xhttp2.FrameData && len(g.data) > 0 {
					n += len(g.data)
					c.update(0, uint32(len(g.data)))
					c.update(1, uint32(len(g.data)))
				}
			}
			if c.queue = nil; n == was {
				t.Fatalf("the download stands at %d bytes%s", n, c.fate())
			}
		}
		c.wantUncalmed("two for each frame")
	})
}

// TestOverhead: H2-6: bytes that are neither head nor body.
func TestOverhead(t *testing.T) {
	script(t, "H2-8 unknown frames", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		// All bytes / 8 may be payload + 1 MiB; there is no payload yet.
		const limit = overheadShare*(overheadFree+1) - 1
		var spent uint64
		c.engine(func(e *Conn) { spent = e.budget.bytes })
		for left := limit - int(spent); left > 0; {
			n := min(left, 16384+9)
			if left -= n; left > 0 && left < 9 {
				n, left = n-9, left+9
			}
			c.raw(0xbe, 0, 0, strings.Repeat("x", n-9))
		}
		c.wantBounds("8 MiB")
		c.engine(func(e *Conn) {
			if e.budget.bytes != limit || e.budget.payload != 0 {
				t.Fatalf("%d bytes, %d of them payload; want %d and none", e.budget.bytes, e.budget.payload, limit)
			}
		})
		c.wantIdle("8 MiB of nothing")
		c.write("\x00")
		c.wantCalm("a byte more", ReasonOverhead)
	})
	script(t, "H2-6 PING that is answered and read", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for range overheadShare * overheadFree / 16384 * 99 / 100 { // most of it, cheaply
			c.raw(0xbe, 0, 0, strings.Repeat("x", 16384-9))
		}
		c.wantIdle("unknown frames")
		for range overheadShare*overheadFree/100/(17*900) + 2 {
			c.inOne(func() {
				for range 900 {
					c.ping("12345678")
				}
			})
			c.settle()
			c.queue = slicesKeep(c.queue, xhttp2.FrameGoAway)
		}
		c.wantCalm("8 MiB, and PINGs the last of it", ReasonOverhead)
	})
	script(t, "H2-6 padding", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		c.post(1, "/")
		for range 36_000 / 100 {
			c.inOne(func() {
				for range 100 {
					c.raw(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "\xff"+"x"+strings.Repeat("\x00", 255))
				}
			})
			c.settle()
			c.queue = slicesKeep(c.queue, xhttp2.FrameGoAway)
		}
		c.wantCalm("a byte in 266", ReasonOverhead)
	})
	script(t, "H2-6 payload pays", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		c.post(1, "/")
		chunk := strings.Repeat("x", 16<<10)
		for range 1000 {
			c.data(1, chunk)
			c.settle()
		}
		c.wantUncalmed("16 MiB of DATA")
	})
}

// slicesKeep keeps the frames of one type.
func slicesKeep(gots []got, typ xhttp2.FrameType) (kept []got) {
	for _, g := range gots {
		if g.typ == typ {
			kept = append(kept, g)
		}
	}
	return kept
}

// TestTinyData: H2-7: DATA of a byte each, that nobody reads.
func TestTinyData(t *testing.T) {
	const most = tinyDataBudget / (tinyData - 1) // frames of one byte
	rush := func(c *peer, id uint32, n int) {
		c.inOne(func() {
			for range n {
				c.data(id, "x")
			}
		})
	}
	script(t, "H2-7 unread", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		c.post(1, "/")
		c.post(3, "/")
		rush(c, 1, most/2)
		rush(c, 3, most-most/2)
		c.wantIdle("within a second")
		time.Sleep(time.Minute)
		c.wantUncalmed("1,003 frames on two streams")
		c.engine(func(e *Conn) {
			// They lie in shared buffers.
			bytes := 0
			for _, s := range e.streams {
				for _, b := range s.body.bufs {
					bytes += cap(b.B)
				}
			}
			if bytes > 4*readSize {
				t.Errorf("%d unread bytes lie in buffers of %d", e.unread, bytes)
			}
		})
		rush(c, 3, 1)
		c.wantCalm("one more", ReasonTinyData)
	})
	script(t, "H2-7 a burst that its reader has no time for", func(t *testing.T, fm form) {
		w := newCrowd(t)
		c := connect(t, fm, w.ServeHTTP)
		w.letGo(t, "/")
		c.post(1, "/")
		rush(c, 1, 10_000)
		c.settle()
		time.Sleep(tinyGrace)
		rush(c, 1, 10_000)
		c.wantUncalmed("20,000 frames within a second")
		time.Sleep(time.Nanosecond)
		rush(c, 1, 1)
		c.wantCalm("one more a second later", ReasonTinyData)
	})
	script(t, "H2-7 on a stream that is refused", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.post(1, "/")
		c.forget()
		for range 10 {
			rush(c, 1, 1000)
		}
		c.wantUncalmed("nothing of it is kept")
	})
	script(t, "H2-7 a reader that keeps up", func(t *testing.T, fm form) {
		n := 0
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			b := make([]byte, 100)
			for {
				m, err := r.Body.Read(b)
				n += m
				if err != nil {
					fmt.Fprint(w, n, " ", err)
					return
				}
			}
		})
		c.post(1, "/")
		for range 15 {
			rush(c, 1, 3000) // of which its step leaves it no time to read any
			c.settle()
			time.Sleep(2 * tinyGrace)
		}
		c.wantUncalmed("45,000 frames of a byte")
		c.dataEnd(1, "")
		c.wantAnswer("all of them", 1, 200, "45000 EOF")
	})
	script(t, "H2-7 a reader comes late", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			g.wait("read")
			io.Copy(w, r.Body)
		})
		c.post(1, "/")
		rush(c, 1, most)
		c.wantIdle("a whole budget")
		g.open("read")
		c.settle()
		time.Sleep(2 * tinyGrace)
		rush(c, 1, most)
		c.wantUncalmed("it was earned back")
	})
}

// TestUnknownFrames: they are ignored and cost nothing but their bytes (H2-8).
func TestUnknownFrames(t *testing.T) {
	script(t, "H2-8 10,000", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		var was int
		c.engine(func(e *Conn) { was = len(e.streams) + e.control + e.open })
		for i := range 100 {
			c.inOne(func() {
				for j := range 100 {
					typ := xhttp2.FrameType(0x0a + (100*i+j)%0xf5)
					if typ == 0x10 { // PRIORITY_UPDATE
						continue
					}
					c.raw(typ, xhttp2.Flags(j), uint32(i), "unknown")
				}
			})
			c.wantIdle("ignored")
		}
		c.engine(func(e *Conn) {
			if n := len(e.streams) + e.control + e.open; n > was {
				t.Errorf("they left %d marks, want %d at most", n, was)
			}
		})
		c.get(1, "/")
		c.wantAnswer("a request behind them", 1, 200, "hello")
	})
	script(t, "H2-8 GOAWAY of the client", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for range 100 {
			c.goAway(0)
		}
		c.get(1, "/")
		c.wantAnswer("its streams are served", 1, 200, "hello")
	})
}
