package h3

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestDrainLossy: a connection is closed when its last answer has arrived, though
// datagrams are lost on the way.
func TestDrainLossy(t *testing.T) {
	sizes := []int{0, 10, 2000, 60_000, 200_000}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var size int
		fmt.Sscanf(r.URL.Path, "/%d", &size)
		w.Header().Set("Connection", "close") // drains it
		io.WriteString(w, strings.Repeat("x", size))
	})
	way := relayTo(t, s.addr, lossy(0.1))
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 5 {
				size := sizes[(i+j)%len(sizes)]
				a := agentTo(t, way.front.LocalAddr())
				a.get(fmt.Sprint("/", size)).want(t, fmt.Sprint(size, " bytes"), 200, strings.Repeat("x", size))
			}
		})
	}
	wg.Wait()
	servetest.WantSoon(t, "all were closed", func() bool { return s.Live() == 0 })
}

// TestDrainLostAnswer: the last answer is lost with the first repetitions of it.
func TestDrainLostAnswer(t *testing.T) {
	var losing atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var size, lost int
		fmt.Sscanf(r.URL.Path, "/%d/%d", &size, &lost)
		c := w.(*response).s.c
		go c.drain()
		servetest.WantSoon(t, "the second GOAWAY", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.phase == phaseLast
		})
		time.Sleep(50 * time.Millisecond) // what acknowledges it would tell of the loss
		if size == 0 {
			w.Header()["Date"] = nil
			w.WriteHeader(204)
		}
		losing.Store(int64(lost))
		io.WriteString(w, strings.Repeat("x", size))
	})
	way := relayTo(t, s.addr, func(toClient bool) bool { return toClient && losing.Load() > 0 && losing.Add(-1) >= 0 })
	for _, size := range []int{0, 10, 2000} {
		for _, lost := range []int{1, 3, 5, 7} {
			a := agentTo(t, way.front.LocalAddr())
			code := 200
			if size == 0 {
				code = 204
			}
			a.get(fmt.Sprintf("/%d/%d", size, lost)).want(t, fmt.Sprintf("%d bytes, %d datagrams lost", size, lost), code, strings.Repeat("x", size))
			losing.Store(0)
		}
	}
}
