package h1

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestRecycledNothingLeaks: what a handler does to a recycled request, or sets
// for its answer, is not seen by the next one, be its head the same or not.
func TestRecycledNothingLeaks(t *testing.T) {
	script(t, "3.2", func(t *testing.T, fm form) {
		n := 0
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			if len(w.Header()) != 0 {
				t.Errorf("request %d: the answer begins with fields %v", n, w.Header())
			}
			wantFields := map[string][]string{"X-A": {"1"}, "X-B": {"2", "3"}}
			for k, v := range wantFields {
				if !slices.Equal(r.Header[k], v) {
					t.Errorf("request %d: %s = %q, want %q", n, k, r.Header[k], v)
				}
			}
			if len(r.Header) != len(wantFields) || r.Form != nil || r.Pattern != "" || r.PathValue("x") != "" || r.URL.Path != "/p" || r.URL.RawQuery != "a=b" || r.Host != "a" {
				t.Errorf("request %d: %+v", n, r)
			}
			if r.Context().Err() != nil {
				t.Errorf("request %d: its context has ended", n)
			}
			r.ParseForm()
			r.Pattern, r.Host, r.URL.Path, r.URL.RawQuery, r.Method = "x", "x", "x", "x", "x"
			r.SetPathValue("x", "y")
			r.Header["X-A"][0] = "changed in place"
			r.Header["X-B"] = append(r.Header["X-B"], "more")
			r.Header.Set("X-C", "new")
			r.Trailer = http.Header{"X": nil}
			w.Header().Set("Content-Type", "x/"+fmt.Sprint(n))
			w.Header().Set("Trailer", "X-T")
			w.WriteHeader(200 + n%3)
			io.WriteString(w, strings.Repeat("b", n))
		}))
		cfg.Recycle = true
		done := Complete(cfg)
		a, b := dialConfig(t, fm, done, log), dialConfig(t, fm, done, log)
		for i := range 30 {
			c := a
			if i%3 == 2 {
				c = b
			}
			proto := "HTTP/1.1"
			if i%5 == 4 {
				proto = "HTTP/1.7" // another head, the same request
			}
			c.write("GET /p?a=b " + proto + "\r\nHost: a\r\nX-A: 1\r\nX-B: 2\r\nX-B: 3\r\n\r\n")
			ans := c.want("recycled", 200+(i+1)%3, strings.Repeat("b", i+1))
			if got, want := ans.Header.Get("Content-Type"), "x/"+fmt.Sprint(i+1); got != want {
				t.Errorf("Content-Type = %q, want %q", got, want)
			}
		}
	})
}

// recycling says for itself what Config.Recycle says for all.
type recycling struct {
	http.HandlerFunc
	ok bool
}

func (r recycling) RecycleRequests() bool { return r.ok }

func TestHandlerDecidesOnRecycling(t *testing.T) {
	for _, ok := range []bool{false, true} {
		if got := Complete(Config{Handler: recycling{hello, ok}, Recycle: !ok}).Recycle; got != ok {
			t.Errorf("Recycle = %v, the handler says %v", got, ok)
		}
	}
}

// TestFreshRequestsAreKept: by default a handler may keep its request for ever.
func TestFreshRequestsAreKept(t *testing.T) {
	script(t, "3.1", func(t *testing.T, fm form) {
		var kept []*http.Request
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { kept = append(kept, r) })
		for i := range 20 {
			c.write(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\nX-N: %d\r\n\r\n", i/2, i/2))
			c.want("a request", 200, "")
		}
		for i, r := range kept {
			r.Header.Set("X-Mine", fmt.Sprint(i))
			want := fmt.Sprint(i / 2)
			if r.URL.Path != "/"+want || r.RequestURI != "/"+want || r.Header.Get("X-N") != want || r.Header.Get("X-Mine") != fmt.Sprint(i) {
				t.Errorf("request %d became %v %v", i, r.URL, r.Header)
			}
			for _, other := range kept[:i] {
				if other == r || other.Header.Get("X-Mine") == fmt.Sprint(i) || other.URL == r.URL {
					t.Errorf("two requests share what they are made of")
				}
			}
		}
	})
}

// choosing lets those of its requests come back whose path it is told.
type choosing struct {
	http.HandlerFunc
	path string
}

func (choosing) RecyclesSomeRequests() bool { return true }

func (h choosing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.HandlerFunc(w, r)
	if r.URL.Path == h.path {
		w.(interface{ MayRecycle() }).MayRecycle()
	}
}

// TestSomeRecycled: of the requests of one connection those come back, and those
// alone, for which the handler says so.
func TestSomeRecycled(t *testing.T) {
	script(t, "3.1", func(t *testing.T, fm form) {
		var kept []*http.Request
		seen, isKept := map[*http.Request]bool{}, map[*http.Request]bool{}
		cameBack := false
		cfg, log := testConfig(choosing{func(w http.ResponseWriter, r *http.Request) {
			if isKept[r] {
				t.Error("a request that is kept is another's as well")
			}
			if r.URL.Path == "/kept" {
				kept, isKept[r] = append(kept, r), true
			}
			cameBack = cameBack || seen[r]
			seen[r] = true
		}, "/mine"})
		c := dialConfig(t, fm, Complete(cfg), log)
		for i := range 30 {
			path := "/mine"
			if i%3 == 2 {
				path = "/kept"
			}
			c.write(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: a\r\nX-N: %d\r\n\r\n", path, i))
			c.want("a request", 200, "")
		}
		for i, r := range kept {
			if r.URL.Path != "/kept" || r.Header.Get("X-N") != fmt.Sprint(3*i+2) {
				t.Errorf("request %d became %v %v", i, r.URL, r.Header)
			}
		}
		if !cameBack && !raceEnabled { // there sync.Pool drops at random
			t.Error("nothing has come back")
		}
	})
}

// TestSomeRecycledAllocs: what comes back costs as little as where all does, and
// what does not no more than where nothing does.
func TestSomeRecycledAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	for _, tt := range []struct {
		path string
		want float64
	}{{"/", 0}, {"/other", 3}} {
		c, host := benchConn(choosing{benchHandlers()["plain"], tt.path}, false, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.OnReadable(host.now)
		got := testing.AllocsPerRun(1000, func() {
			host.left = 1
			c.OnReadable(host.now)
		})
		if got > tt.want {
			t.Errorf("%s: %v allocations a request, want %v at most", tt.path, got, tt.want)
		}
	}
}
