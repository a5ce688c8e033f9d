package handler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// from asks h as the client at addr.
func from(h http.Handler, addr, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	r.RemoteAddr = addr
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func newRateLimit(t *testing.T, opts RateLimitOptions) *Chain {
	t.Helper()
	s, err := NewRateLimit(opts)
	servetest.Must(t, "rate limit", err)
	return NewChain(NotFound{}, infos, s)
}

func TestRateLimit(t *testing.T) { synctest.Test(t, testRateLimit) }

func testRateLimit(t *testing.T) {
	refused := 0
	c := newRateLimit(t, RateLimitOptions{Rate: 0.5, Burst: 2, Refused: func(Info) { refused++ }})
	const a, b = "192.0.2.1:1000", "192.0.2.2:1000"
	want := func(why, addr string, code int, retry string) {
		t.Helper()
		got := from(c, addr, "/read")
		servetest.Want(t, why, got.Code, code)
		servetest.Want(t, why+": Retry-After", got.Header().Get("Retry-After"), retry)
	}
	want("the first of a burst", a, 404, "")
	want("the second", a, 404, "")
	want("the third", a, 429, "2")
	want("another port is the same client", "192.0.2.1:2000", 429, "2")
	want("another client", b, 404, "")
	servetest.Want(t, "exempt", from(c, a, "/exempt").Code, 404)
	time.Sleep(1500 * time.Millisecond)
	want("not yet, by what is told, rounded up", a, 429, "1")
	time.Sleep(500 * time.Millisecond)
	want("refusals took no token: one is there", a, 404, "")
	want("but one", a, 429, "2")
	time.Sleep(time.Hour)
	want("a pause fills the bucket", a, 404, "")
	want("twice", a, 404, "")
	want("not more", a, 429, "2")
	servetest.Want(t, "refusals told", refused, 5)
}

func TestRateLimitKeys(t *testing.T) { synctest.Test(t, testRateLimitKeys) }

func testRateLimitKeys(t *testing.T) {
	for _, q := range []struct {
		name, first, second string
		opts                RateLimitOptions
		same                bool
	}{
		{"an IPv6 /64 is one client", "[2001:db8::1]:1", "[2001:db8::ffff:1]:2", RateLimitOptions{}, true},
		{"two are two", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", RateLimitOptions{}, false},
		{"IPv4 in IPv6 is IPv4", "[::ffff:192.0.2.1]:1", "192.0.2.1:2", RateLimitOptions{}, true},
		{"and not one /64", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", RateLimitOptions{}, false},
		{"loopback counts", "127.0.0.1:1", "127.0.0.1:2", RateLimitOptions{}, true},
		{"unless it is exempt", "[::1]:1", "[::1]:2", RateLimitOptions{ExemptLoopback: true}, false},
		{"others are not", "192.0.2.1:1", "192.0.2.1:2", RateLimitOptions{ExemptLoopback: true}, true},
		{"a Unix socket is one client", "@", "@", RateLimitOptions{}, true},
		{
			"a key of one's own", "192.0.2.1:1", "192.0.2.2:1",
			RateLimitOptions{Key: func(*http.Request) string { return "all" }},
			true,
		},
	} {
		q.opts.Rate, q.opts.Burst = 1e-3, 1
		c := newRateLimit(t, q.opts)
		servetest.Want(t, q.name+": the first", from(c, q.first, "/").Code, 404)
		got := from(c, q.second, "/")
		servetest.Want(t, q.name, got.Code == 429, q.same)
		if q.same {
			servetest.Want(t, q.name+": a long wait", got.Header().Get("Retry-After"), "1000")
		}
	}
}

func TestRateLimitOptions(t *testing.T) {
	for _, bad := range []RateLimitOptions{
		{}, {Rate: -1}, {Rate: math.NaN()}, {Rate: math.Inf(1)}, {Rate: 1, Burst: -1}, {Rate: 1, MaxClients: -1}, {Rate: 1e-9, Burst: 100},
	} {
		_, err := NewRateLimit(bad)
		servetest.Want(t, fmt.Sprintf("%+v is refused", bad), err != nil, true)
	}
}

// The table is bounded: the client that was quiet for longest is forgotten.
func TestRateLimitBound(t *testing.T) {
	const limit = 100
	s := rateShard{limit: limit}
	now := int64(0)
	take := func(key uint64) bool { now++; return s.take(key, now, 1<<40, 1<<40) <= 0 }
	for key := range uint64(limit) {
		servetest.Want(t, "a new client has a token", take(key), true)
	}
	servetest.Want(t, "the eldest is known", take(0), false)
	servetest.Want(t, "one more comes", take(limit), true)
	servetest.Want(t, "who asked last is still known", take(0), false)
	servetest.Want(t, "the next has made room", take(1), true)
	servetest.Want(t, "which another one paid for", take(2), true)
	for range 10 * limit {
		take(rand.Uint64N(3 * limit))
		if len(s.buckets) != limit || len(s.index) != limit {
			t.Fatalf("%d buckets, %d in the index, want %d", len(s.buckets), len(s.index), limit)
		}
	}
	seen, at := map[int32]bool{}, s.newest
	for ; at != s.oldest; at = s.buckets[at].older {
		seen[at] = true
	}
	servetest.Want(t, "the list holds all", len(seen), limit-1)
}

func TestRateLimitBoundOne(t *testing.T) {
	s := rateShard{limit: 1}
	for i := range int64(10) {
		servetest.Want(t, "it is forgotten at once", s.take(uint64(i%2), i, 1<<40, 1<<40) <= 0, true)
	}
}
