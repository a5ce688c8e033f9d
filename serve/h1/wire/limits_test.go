package wire

import (
	"strings"
	"testing"
)

// TestLimits crosses each limit of H1-12 by one, and stays right below it.
func TestLimits(t *testing.T) {
	method := func(n int) string { return strings.Repeat("M", n) + " / HTTP/1.1\r\nHost: a\r\n\r\n" }
	target := func(n int) string { return "GET /" + strings.Repeat("t", n-1) + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	const host = "Host: a\r\n"
	bytesOf := func(n int) string { // a section of n bytes in sum
		return get("X: " + strings.Repeat("v", n-len(host)-len("X: \r\n")) + "\r\n")
	}
	count := func(n int) string { return get(strings.Repeat("X: y\r\n", n-1)) }
	run(t, []headCase{
		{"method/at", method(DefaultMethodBytes), accepted},
		{"method/above", method(DefaultMethodBytes + 1), 501},
		{"method/above, no token", strings.Repeat("M", DefaultMethodBytes) + "(" + " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"target/at", target(DefaultTargetBytes), accepted},
		{"target/above", target(DefaultTargetBytes + 1), 414},
		{"target/far above", target(20 * DefaultTargetBytes), 414},
		{"target/above, HTTP/1.0", strings.Replace(target(DefaultTargetBytes+1), "HTTP/1.1", "HTTP/1.0", 1), 414},
		{"target/above, no version", "GET /" + strings.Repeat("t", DefaultTargetBytes+versionBytes) + "\r\n\r\n", 414},
		{"fields/bytes/at", bytesOf(DefaultFieldBytes), accepted},
		{"fields/bytes/above", bytesOf(DefaultFieldBytes + 1), 431},
		{"fields/bytes/above in many lines", get(strings.Repeat("X: "+strings.Repeat("v", 1000)+"\r\n", 66)), 431},
		{"fields/count/at", count(DefaultFields), accepted},
		{"fields/count/above", count(DefaultFields + 1), 431},
		{"fields/count/far above", count(20_000), 431},
		{"empty lines/at", "\r\n\r\n" + get(""), accepted},
		{"empty lines/above", "\r\n\r\n\r\n" + get(""), 400},
	})
}

// TestLimitsByCut: the answer to a line with two faults must not depend on how
// the network cut it, or a cache before us could be told two stories.
func TestLimitsByCut(t *testing.T) {
	long := strings.Repeat("a", 20<<10)
	for name, in := range map[string]string{
		"long target, bare LF":          "GET /" + long + "\n",
		"long target, control byte":     "GET /" + long + "\x01\r\n",
		"control byte, then long":       "GET /\x01" + long + "\r\n",
		"long version":                  "GET / HTTP/1.1" + long + "\r\n",
		"long method, bare LF":          long + "\n",
		"long section, bare LF":         "GET / HTTP/1.1\r\nX: " + strings.Repeat(long, 4) + "\n",
		"long section, no colon":        "GET / HTTP/1.1\r\n" + strings.Repeat(long, 4) + "\r\n",
		"bare CR, then long section":    "GET / HTTP/1.1\r\nX: \r" + strings.Repeat(long, 4) + "\r\n",
		"one field too many, malformed": "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", DefaultFields) + "\x01\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var h RequestHead
			whole, _ := judge(t, &h, []byte(in), testLimits())
			dripped, _ := drip(t, []byte(in), testLimits())
			if whole != dripped || whole < 400 {
				t.Errorf("verdict %d in one piece, %d byte by byte", whole, dripped)
			}
		})
	}
}

func TestLimitsDefaults(t *testing.T) {
	got := Limits{Fields: 7}.WithDefaults()
	want := Limits{32, 16 << 10, 64 << 10, 7, 8 << 10, 32}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestHeadBytes: a buffer of this size holds every head that may be accepted,
// and one byte less does not hold them all.
func TestHeadBytes(t *testing.T) {
	lim := Limits{MethodBytes: 3, TargetBytes: 2, FieldBytes: len("Host: abc\r\n")}.WithDefaults()
	largest := "\r\n\r\nGET /a HTTP/1.1\r\nHost: abc\r\n\r\n"
	if got := lim.HeadBytes(); got != len(largest) {
		t.Errorf("HeadBytes() = %d, want %d", got, len(largest))
	}
	var h RequestHead
	if v, _ := judge(t, &h, []byte(largest), &lim); v != accepted {
		t.Errorf("verdict %d on the largest head", v)
	}
}
