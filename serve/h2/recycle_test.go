package h2

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// TestRecycledNothingLeaks: what a handler does to a recycled request, or sets
// for its answer, is not seen by the next one, be its head the same or not.
// Under the race detector released buffers are overwritten (bufpool).
func TestRecycledNothingLeaks(t *testing.T) {
	script(t, "two connections in turn", func(t *testing.T, fm form) {
		n := 0
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			if len(w.Header()) != 0 {
				t.Errorf("request %d: the answer begins with fields %v", n, w.Header())
			}
			wantFields := map[string][]string{"X-A": {"1"}, "X-B": {"2", "3"}, "Cookie": {"a=b; c=d"}}
			for k, v := range wantFields {
				if !slices.Equal(r.Header[k], v) {
					t.Errorf("request %d: %s = %q, want %q", n, k, r.Header[k], v)
				}
			}
			if len(r.Header) != len(wantFields) || r.Form != nil || r.Pattern != "" || r.PathValue("x") != "" || r.URL.Path != "/p" ||
				r.URL.RawQuery != "a=b" || r.Host != "a" || r.Trailer != nil || r.MultipartForm != nil {
				t.Errorf("request %d: %+v", n, r)
			}
			b, err := io.ReadAll(r.Body)
			if want := strings.Repeat("body", n%4); string(b) != want || err != nil {
				t.Errorf("request %d: body %q, %v, want %q", n, b, err, want)
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
			r.Body = nil
			w.Header().Set("Content-Type", "x/"+fmt.Sprint(n))
			switch n % 5 {
			case 0:
				w.Header().Set("Trailer", "X-T")
				w.Header().Set("X-T", "1")
			case 1:
				w.Header().Set(http.TrailerPrefix+"X-T", "1")
			case 2:
				w.Header().Set("Content-Length", fmt.Sprint(n))
			}
			w.WriteHeader(200 + n%3)
			io.WriteString(w, strings.Repeat("b", n))
			if n%7 == 0 {
				w.(http.Flusher).Flush()
			}
		}))
		cfg.Recycle = true
		done := Complete(cfg)
		a, b := dialConfig(t, fm, done, log), dialConfig(t, fm, done, log)
		a.preface()
		b.preface()
		for i := range uint32(60) {
			c := a
			if i%3 == 2 {
				c = b
			}
			method := "GET"
			if i%6 > 3 {
				method = "POST" // another head, the same fields
			}
			id := 2*i + 1
			body := strings.Repeat("body", int(i+1)%4)
			flags := more
			if body == "" {
				flags = final
			}
			c.inOne(func() {
				c.headers(id, flags, ":method", method, ":scheme", "https", ":authority", "a", ":path", "/p?a=b",
					"x-a", "1", "cookie", "a=b", "x-b", "2", "cookie", "c=d", "x-b", "3")
				if body != "" {
					c.dataEnd(id, body)
				}
			})
			ans := c.wantAnswer("recycled", id, 200+int(i+1)%3, strings.Repeat("b", int(i+1)), "content-type", "x/"+fmt.Sprint(i+1))
			if hasTrailer := (i+1)%5 < 2; hasTrailer != (ans.trailer != nil) {
				t.Errorf("request %d: trailer %v", i+1, ans.trailer)
			}
		}
	})
	script(t, "after resets, panics and broken bodies", func(t *testing.T, fm form) {
		n := new(notes)
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			n.add("%s %s %v %v", r.URL.Path, b, err != nil, len(w.Header()))
			w.Header().Set("X-A", r.URL.Path)
			switch r.URL.Path {
			case "/panic":
				io.WriteString(w, "some")
				panic(http.ErrAbortHandler)
			case "/kept":
				io.WriteString(w, "kept back until the end")
			case "/short":
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, "short")
			}
		}))
		cfg.Recycle = true
		c := dialConfig(t, fm, Complete(cfg), log)
		c.preface()
		id := uint32(1)
		for range 5 {
			for _, path := range []string{"/panic", "/kept", "/short", "/reset", "/length", "/kept"} {
				c.post(id, path, "content-length", "4")
				switch path {
				case "/reset":
					c.settle()
					c.data(id, "bo")
					c.reset(id, xhttp2.ErrCodeCancel)
				case "/length":
					c.settle()
					c.dataEnd(id, "too long")
				default:
					c.dataEnd(id, "body")
				}
				c.settle()
				broken := path == "/reset" || path == "/length"
				body := "body"
				if broken {
					body = ""
				}
				n.mu.Lock()
				got := n.list[len(n.list)-1]
				n.mu.Unlock()
				if want := fmt.Sprintf("%s %s %v 0", path, body, broken); got != want && path != "/reset" {
					t.Errorf("the handler noted %q, want %q", got, want)
				}
				if path == "/kept" {
					c.wantAnswer("kept", id, 200, "kept back until the end", "x-a", path)
				}
				id += 2
			}
			c.forget()
		}
		c.wantLive("afterwards")
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
	script(t, "kept", func(t *testing.T, fm form) {
		var kept []*http.Request
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { kept = append(kept, r) })
		for i := range 20 {
			c.get(uint32(2*i+1), fmt.Sprintf("/%d", i/2), "x-n", fmt.Sprint(i/2))
			c.wantAnswer("a request", uint32(2*i+1), 200, "")
		}
		for i, r := range kept {
			r.Header.Set("X-Mine", fmt.Sprint(i))
			want := fmt.Sprint(i / 2)
			if r.URL.Path != "/"+want || r.RequestURI != "/"+want || r.Header.Get("X-N") != want || r.Header.Get("X-Mine") != fmt.Sprint(i) {
				t.Errorf("request %d became %v %v", i, r.URL, r.Header)
			}
			if err := r.Context().Err(); err == nil {
				t.Errorf("request %d: its context lives", i)
			}
			for _, other := range kept[:i] {
				if other == r || other.Header.Get("X-Mine") == fmt.Sprint(i) || other.URL == r.URL {
					t.Errorf("two requests share what they are made of")
				}
			}
		}
	})
}

// TestRecycledIsNotUsedWhileWatched: a request whose context somebody has
// derived from is not used again (lazyctx.Context.Exposed).
func TestRecycledIsNotUsedWhileWatched(t *testing.T) {
	script(t, "watched", func(t *testing.T, fm form) {
		var done []<-chan struct{}
		cfg, log := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, d := range done {
				if d == r.Context().Done() {
					t.Error("two requests have one context")
				}
			}
			done = append(done, r.Context().Done())
		}))
		cfg.Recycle = true
		c := dialConfig(t, fm, Complete(cfg), log)
		c.preface()
		for id := uint32(1); id < 20; id += 2 {
			c.get(id, "/")
			c.wantAnswer("a request", id, 200, "")
		}
		for _, d := range done {
			select {
			case <-d:
			default:
				t.Error("a context lives on")
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
	script(t, "some", func(t *testing.T, fm form) {
		var kept []*http.Request
		isKept := map[*http.Request]bool{}
		cfg, log := testConfig(choosing{func(w http.ResponseWriter, r *http.Request) {
			if isKept[r] {
				t.Error("a request that is kept is another's as well")
			}
			if r.URL.Path == "/kept" {
				kept, isKept[r] = append(kept, r), true
			}
		}, "/mine"})
		c := dialConfig(t, fm, Complete(cfg), log)
		c.preface()
		for i := range uint32(30) {
			path := "/mine"
			if i%3 == 2 {
				path = "/kept"
			}
			c.get(2*i+1, path, "x-n", fmt.Sprint(i))
			c.wantAnswer("a request", 2*i+1, 200, "")
		}
		for i, r := range kept {
			if r.URL.Path != "/kept" || r.Header.Get("X-N") != fmt.Sprint(3*i+2) {
				t.Errorf("request %d became %v %v", i, r.URL, r.Header)
			}
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
		name, path string
		want       float64
	}{{"recycled", "/hello", 0}, {"fresh", "/other", 4}} {
		h := benchConn(t, choosing{benchHello, tt.path}, false, load{streams: 10})
		steps := 0
		got := testing.AllocsPerRun(200, func() { h.step(); steps++ }) / 10
		if got > tt.want {
			t.Errorf("%s: %v allocations a request, want %v at most", tt.name, got, tt.want)
		}
		h.check(t, steps*10, 14)
	}
}
