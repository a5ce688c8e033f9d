package h2

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestGoodClients: what a client has every right to do spends no budget.
func TestGoodClients(t *testing.T) {
	wantCalmless := func(t *testing.T, c *peer) {
		t.Helper()
		c.wantUncalmed("a good client")
		for r := range numReasons {
			if n := c.cfg.Counters.Calmed[r].Load(); n > 0 {
				t.Errorf("counted %d times as %v", n, r)
			}
		}
	}
	// many asks n times in batches of 50, and wants each answer.
	many := func(t *testing.T, c *peer, n uint32, ask func(id uint32)) {
		const batch = 50
		if raceEnabled {
			n /= 10
		}
		for from := uint32(0); from < n; from += batch {
			c.inOne(func() {
				for i := range uint32(batch) {
					ask(2*(from+i) + 1)
				}
			})
			c.settle()
			ends, size := uint32(0), uint32(0)
			for _, g := range c.queue {
				if size += uint32(len(g.data)); g.end() {
					ends++
				}
			}
			c.queue = nil
			if ends != batch {
				t.Fatalf("%d answers of %d behind %d%s", ends, batch, from, c.fate())
			}
			if size > 0 {
				c.update(0, size)
			}
		}
		if got := c.cfg.Counters.Requests.Load(); got != uint64(n) {
			t.Errorf("Requests = %d, want %d", got, n)
		}
		wantCalmless(t, c)
	}
	script(t, "10,000 GETs", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		many(t, c, 10_000, func(id uint32) { c.get(id, "/") })
	})
	script(t, "10,000 GETs without content", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
		many(t, c, 10_000, func(id uint32) { c.get(id, "/") })
	})
	script(t, "10,000 small POSTs", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		many(t, c, 10_000, func(id uint32) {
			c.post(id, "/")
			c.data(id, "a few bytes")
			c.dataEnd(id, "")
		})
	})
	// gRPC's shape: many small messages, each in a DATA frame of its own.
	const messages = 5000
	message := strings.Repeat("m", 20)
	for name, burst := range map[string]int{"one at a time": 1, "in bursts of 2,500": 2500} {
		script(t, "5,000 messages each way/"+name, func(t *testing.T, fm form) {
			c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				b := make([]byte, len(message))
				for {
					if _, err := io.ReadFull(r.Body, b); err != nil {
						return
					}
					w.Write(b)
					w.(http.Flusher).Flush()
				}
			})
			c.post(1, "/")
			size := 0
			for range messages / burst {
				c.inOne(func() {
					for range burst {
						c.data(1, message)
					}
				})
				c.settle()
				n := 0
				for _, g := range c.queue {
					n += len(g.data)
				}
				c.queue = nil
				if size += n; n > 0 {
					c.update(1, uint32(n))
					c.update(0, uint32(n))
				}
			}
			if size != messages*len(message) {
				t.Errorf("%d bytes came back, want %d%s", size, messages*len(message), c.fate())
			}
			c.dataEnd(1, "")
			c.wantDataEnd("the end", 1, "")
			wantCalmless(t, c)
		})
	}
}
