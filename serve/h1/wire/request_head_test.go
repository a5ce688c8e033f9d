package wire

import (
	"bytes"
	"testing"
)

// TestParseResult: what is told about an accepted head.
func TestParseResult(t *testing.T) {
	type result struct {
		method, target, host             string
		minor                            int
		length                           int64
		chunked, closes, keep10, expects bool
		upgrade, absolute                bool
	}
	plain := result{method: "GET", target: "/", host: "a", minor: 1, length: -1}
	with := func(change func(*result)) result {
		r := plain
		change(&r)
		return r
	}
	cases := []struct {
		name, bytes string
		want        result
	}{
		{"plain", get(""), plain},
		{"host lowered, dot stripped", "GET / HTTP/1.1\r\nHost: A.Test.:80\r\n\r\n", with(func(r *result) { r.host = "a.test:80" })},
		{"minor 7 is 1", "GET / HTTP/1.7\r\nHost: a\r\n\r\n", plain},
		{"length", get("Content-Length: 42\r\n"), with(func(r *result) { r.length = 42 })},
		{"chunked", get("Transfer-Encoding: chunked\r\n"), with(func(r *result) { r.chunked = true })},
		{"close", get("Connection: close\r\n"), with(func(r *result) { r.closes = true })},
		{"close in a list", get("Connection: x, ,CLOSE\t,y\r\n"), with(func(r *result) { r.closes = true })},
		{"close in the second line", get("Connection: x\r\nConnection: close\r\n"), with(func(r *result) { r.closes = true })},
		{"no close", get("Connection: closed, x-close\r\n"), plain},
		{"keep-alive says nothing in HTTP/1.1", get("Connection: keep-alive\r\n"), plain},
		{"close wins", get("Connection: keep-alive, close\r\n"), with(func(r *result) { r.closes = true })},
		{"expect", get("Expect: 100-continue\r\n"), with(func(r *result) { r.expects = true })},
		{"upgrade", get("Connection: Upgrade\r\nUpgrade: websocket\r\n"), with(func(r *result) { r.upgrade = true })},
		{"upgrade in a list", get("Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n"), with(func(r *result) { r.upgrade = true })},
		{"Upgrade without Connection is no wish (RFC 9110 §7.8)", get("Upgrade: websocket\r\n"), plain},
		{"Connection without Upgrade neither", get("Connection: upgrade\r\n"), plain},
		{"absolute target wins", "GET http://A.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", with(func(r *result) {
			r.target, r.host, r.absolute = "http://A.test/x", "a.test", true
		})},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", with(func(r *result) { r.minor, r.host, r.closes = 0, "", true })},
		{"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", with(func(r *result) { r.minor, r.keep10 = 0, true })},
		{"HTTP/1.0 keep-alive and close", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", with(func(r *result) { r.minor, r.closes = 0, true })},
		{"HTTP/1.0 has no 100 (RFC 9110 §10.1.1)", "GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", with(func(r *result) { r.minor, r.closes = 0, true })},
		{"HTTP/1.0 has no Upgrade (RFC 9110 §7.8)", "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", with(func(r *result) { r.minor, r.closes = 0, true })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var whole RequestHead
			if v, took := judge(t, &whole, []byte(c.bytes+"next"), testLimits()); v != accepted || took != len(c.bytes) {
				t.Fatalf("verdict %d, took %d, want all %d", v, took, len(c.bytes))
			}
			v, dripped := drip(t, []byte(c.bytes), testLimits())
			if v != accepted {
				t.Fatalf("byte by byte: verdict %d", v)
			}
			for _, h := range []*RequestHead{&whole, dripped} {
				got := result{
					string(h.Method), string(h.Target), h.Host, h.Minor, h.ContentLength,
					h.Chunked, h.Close, h.KeepAlive10, h.Expect100, h.Upgrade, h.Absolute(),
				}
				if got != c.want {
					t.Errorf("got  %+v\nwant %+v", got, c.want)
				}
			}
		})
	}
}

func TestParseFields(t *testing.T) {
	want := [][2]string{{"Host", "a"}, {"x-Y", "1"}, {"X", ""}, {"X-y", "b \t c"}, {"Z", "\xff"}}
	const in = "\r\nGET / HTTP/1.1\r\nHost: a\r\nx-Y:1\r\nX:\t \r\nX-y: \tb \t c \t\r\nZ:\xff\r\n\r\n"
	_, h := drip(t, []byte(in), testLimits())
	if h.Len() != len(want) {
		t.Fatalf("%d fields, want %d", h.Len(), len(want))
	}
	for i, w := range want {
		if got := [2]string{string(h.Name(i)), string(h.Value(i))}; got != w {
			t.Errorf("field %d is %q, want %q", i, got, w)
		}
	}
}

// TestParseReuse: nothing of one request may be seen in the next.
func TestParseReuse(t *testing.T) {
	var h RequestHead
	first := []byte("POST http://b/ HTTP/1.0\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 7\r\nConnection: close, upgrade\r\nUpgrade: x\r\n\r\n")
	if v, _ := judge(t, &h, first, testLimits()); v != accepted {
		t.Fatalf("verdict %d", v)
	}
	for _, in := range []string{get(""), "GE", get("Transfer-Encoding: chunked\r\n"), "GET / HTTP/9.9\r\n", get("")} {
		h.Reset()
		judge(t, &h, []byte(in), testLimits())
	}
	if h.Host != "a" || h.ContentLength != -1 || h.Chunked || h.Close || h.Expect100 || h.Upgrade || h.KeepAlive10 ||
		h.Absolute() || h.Minor != 1 || h.Len() != 1 || string(h.Target) != "/" {
		t.Errorf("the head of an earlier request shows: %+v", h)
	}
	h.Reset()
	if v, _ := judge(t, &h, []byte("GET / HTTP/1.1\r\n\r\n"), testLimits()); v != 400 {
		t.Errorf("verdict %d: the last request's Host stands for a missing one", v)
	}
}

// TestVisibleAtOnce: what can be refused is refused before the line ends, so
// that no connection is held by garbage (H1-11, H1-12).
func TestVisibleAtOnce(t *testing.T) {
	for _, c := range []headCase{
		{"TLS", "\x16", 400},
		{"eight bits", "\x80", 400},
		{"space", " ", 400},
		{"bare CR in the request line", "GET /\rx", 400},
		{"bare CR in a field", "GET / HTTP/1.1\r\nX: a\rb", 400},
		{"bare CR before the request", "\rx", 400},
		{"control byte in the request line", "GET /\x01", 400},
		{"NUL in a field", "GET / HTTP/1.1\r\nX: a\x00", 400},
		{"long method", string(bytes.Repeat([]byte{'A'}, DefaultMethodBytes+1)), 501},
		{"long target", "GET /" + string(bytes.Repeat([]byte{'a'}, DefaultTargetBytes+versionBytes)), 414},
		{"long field", "GET / HTTP/1.1\r\nX: " + string(bytes.Repeat([]byte{'a'}, DefaultFieldBytes)), 431},
		{"version, when its line ends", "GET / HTTP/2.0\r\n", 505},
		{"method, when its line ends", "TRACE / HTTP/1.1\r\n", 405},
		{"Host is missing only at the end", "GET / HTTP/1.1\r\nX: y\r\n", incomplete},
		{"CR may be the end of a line", "GET / HTTP/1.1\r\nX: y\r", incomplete},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h RequestHead
			if got, _ := judge(t, &h, []byte(c.bytes), testLimits()); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
			if got, _ := drip(t, []byte(c.bytes), testLimits()); got != c.want {
				t.Errorf("byte by byte: verdict %d, want %d", got, c.want)
			}
		})
	}
}

// TestParseDoesNotAllocate: neither good requests nor a flood of bad ones makes garbage.
func TestParseDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	lim := testLimits()
	for name, in := range map[string]string{
		"wrk": wrkHead, "browser": browserHead, "bad": get("X: \x00\r\n"), "two lengths": get("Content-Length: 1\r\nContent-Length: 1\r\n"),
		"unknown coding": get("Transfer-Encoding: gzip, x\r\n"), "long": "GET /" + string(bytes.Repeat([]byte{'a'}, 20<<10)),
	} {
		var h RequestHead
		b := []byte(in)
		if got := testing.AllocsPerRun(100, func() {
			h.Reset()
			_, _ = h.Parse(b, lim)
		}); got != 0 {
			t.Errorf("%s: %v allocations a head, want 0", name, got)
		}
	}
}
