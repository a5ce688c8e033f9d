package h3

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// allocs are those of the whole process for each request, client and QUIC
// included.
func allocs(t *testing.T, addr net.Addr) float64 {
	t.Helper()
	c := rawTo(t, addr)
	buf := make([]byte, 4<<10)
	ask := func(n int) {
		for range n {
			_, err := c.ask(buf)
			servetest.Must(t, "an answer", err)
		}
	}
	ask(100)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // pools keep what they have
	least := 0.0
	for i := range 5 { // the least: what else goes on in the process only adds
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const n = 300
		ask(n)
		runtime.ReadMemStats(&after)
		if got := float64(after.Mallocs-before.Mallocs) / n; i == 0 || got < least {
			least = got
		}
	}
	return least
}

// TestAllocs: what the engine allocates above QUIC, which is measured by a server
// that answers every stream with the same bytes.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	typed := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = octetStream
		w.Write(helloBytes)
	}
	base := allocs(t, floor(t, helloBytes))
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		recycle bool
		want    float64
	}{
		{"fresh", benchHello, false, 4},
		{"fresh, a field set", typed, false, 6},
		{"recycled", benchHello, true, 0},
		{"recycled, a field set", typed, true, 0},
	} {
		s := serve(t, tt.handler, func(cfg *Config) { cfg.Recycle = tt.recycle })
		got := allocs(t, s.addr) - base
		t.Logf("%s: %.2f allocations a request above the %.2f of QUIC and its client", tt.name, got, base)
		if got > tt.want+jitter {
			t.Errorf("%s: %.2f allocations a request, want %v at most", tt.name, got, tt.want)
		}
	}
}

// jitter: packets are cut as the scheduler wills, and one more or less for an
// acknowledgement costs.
const jitter = 1

var octetStream = []string{"application/octet-stream"}

// TestIdleConnIsSmall: a connection that nothing happens on keeps nothing of its
// requests.
func TestIdleConnIsSmall(t *testing.T) {
	s := serve(t, hello)
	a := s.agent()
	for range 5 {
		a.wantHello("an answer", "/")
	}
	c := s.only()
	servetest.WantSoon(t, "the last request is over", func() bool { return !c.busy() })
	c.sweep(time.Now().Add(2 * sweepInterval))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memo != nil || c.held != nil || len(c.active) != 0 {
		t.Error("it holds something of a request")
	}
	for _, s := range c.active[:cap(c.active)] {
		servetest.Want(t, "a stream that is over", s == nil, true)
	}
}
