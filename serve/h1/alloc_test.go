package h1

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
	for _, tt := range []struct {
		name    string
		handler string
		recycle bool
		req     string
		want    float64
	}{
		{"recycled", "plain", true, wrkRequest, 0},
		{"recycled with fields", "plain", true, browserRequest, 0},
		{"recycled, answer with a map", "typed", true, wrkRequest, 0 + 2}, // two slices by Header().Set
		{"fresh", "plain", false, wrkRequest, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, host := benchConn(benchHandlers()[tt.handler], tt.recycle, tt.req)
			c.OnReadable(host.now)
			got := testing.AllocsPerRun(1000, func() {
				host.left = 1
				c.OnReadable(host.now)
			})
			if got > tt.want {
				t.Errorf("%v allocations a request, want %v at most", got, tt.want)
			}
			if host.written == 0 {
				t.Error("nothing was answered")
			}
		})
	}
}

// TestAllocsVaried: where no head equals the one before it, the strings are new.
func TestAllocsVaried(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	for _, tt := range []struct {
		name    string
		recycle bool
		want    float64
	}{
		{"recycled", true, 1},
		{"fresh", false, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, host := benchConn(benchHandlers()["plain"], tt.recycle, varied(wrkRequest)...)
			got := testing.AllocsPerRun(1000, func() {
				host.left = 1
				c.OnReadable(host.now)
			})
			if got > tt.want {
				t.Errorf("%v allocations a request, want %v at most", got, tt.want)
			}
		})
	}
}

// TestIdleConnIsSmall: between requests a connection is its struct and nothing else.
func TestIdleConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 200 {
		t.Errorf("Conn has %d bytes, want 200 at most", size)
	}
	c, host := benchConn(http.HandlerFunc(hello), true, wrkRequest)
	host.left = 3
	c.OnReadable(host.now)
	if c.in != nil || c.out != nil || c.fresh != nil || c.cur.Load() != nil {
		t.Error("an idle connection holds a buffer or a request")
	}
}
