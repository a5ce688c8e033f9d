package h2

import (
	"net/http"
	"testing"
	"unsafe"
)

// TestAllocs: a recycled request costs no allocation, a fresh one the few that
// its handler may keep.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	typed := func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = octetStream
		w.Write(helloBytes)
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		recycle bool
		load    load
		want    float64 // a request
	}{
		{"recycled", benchHello, true, load{streams: 1}, 0},
		{"recycled, 100 in a read", benchHello, true, load{streams: 100}, 0},
		{"recycled, many fields", benchHello, true, load{streams: 10, fields: browserFields}, 0},
		{"recycled, a field set", typed, true, load{streams: 10}, 0},
		{"recycled, POST", benchDiscard, true, load{streams: 10, body: 100}, 0},
		{"fresh", benchHello, false, load{streams: 1}, 4},
		{"fresh, 100 in a read", benchHello, false, load{streams: 100}, 4},
		{"fresh, many fields", benchHello, false, load{streams: 10, fields: browserFields}, 6}, // a map of more than eight is three
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := benchConn(t, tt.handler, tt.recycle, tt.load)
			steps := 0
			got := testing.AllocsPerRun(200, func() { h.step(); steps++ }) / float64(tt.load.streams)
			if got > tt.want {
				t.Errorf("%v allocations a request, want %v at most", got, tt.want)
			}
			h.check(t, steps*tt.load.streams, 14)
		})
	}
}

// TestIdleConnIsSmall: between requests a connection holds its struct, its
// tables and the last heads, and no buffer.
func TestIdleConnIsSmall(t *testing.T) {
	for _, recycle := range []bool{false, true} {
		h := benchConn(t, http.HandlerFunc(benchDiscard), recycle, load{streams: 10, body: 100})
		h.step()
		c := h.conn
		if c.in != nil || c.out != nil || len(c.streams) != 0 || c.spare != nil || c.block != nil || c.inline != nil || len(c.deferred) != 0 ||
			len(c.waiting) > 0 || c.held != 0 || c.unread != 0 {
			t.Errorf("recycle %v: an idle connection holds a buffer, or something of a request", recycle)
		}
	}
	if size := unsafe.Sizeof(Conn{}); size > 1024 {
		t.Errorf("Conn has %d bytes, want 1 KiB at most", size)
	}
}
