package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A headCase is bytes on a new connection and what becomes of them.
type headCase struct {
	name  string
	bytes string
	want  int // status of the refusal; accepted or incomplete
}

const (
	accepted   = 0
	incomplete = -1
)

// get is a request whose header section ends in fields.
func get(fields string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }

// judge parses the bytes in one piece. took is 0 unless a head was accepted.
func judge(t *testing.T, h *RequestHead, b []byte, lim *Limits) (verdict, took int) {
	t.Helper()
	n, err := h.Parse(b, lim)
	return verdictOf(t, n, err), n
}

func verdictOf(t *testing.T, n int, err error) int {
	t.Helper()
	var e *Error
	switch {
	case err == nil && n == 0:
		return incomplete
	case err == nil:
		return accepted
	case !errors.As(err, &e) || e.Reason == "" || n != 0:
		t.Fatalf("Parse = %d, %v: an error must be an *Error with a reason, and take nothing", n, err)
	}
	return e.Status
}

func testLimits() *Limits {
	lim := Limits{}.WithDefaults()
	return &lim
}

// run judges each case in one piece and cut at every byte.
func run(t *testing.T, cases []headCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var h RequestHead
			if got, _ := judge(t, &h, []byte(c.bytes), testLimits()); got != c.want {
				t.Errorf("%.80q: verdict %d, want %d", c.bytes, got, c.want)
			}
			if got, _ := drip(t, []byte(c.bytes), testLimits()); got != c.want {
				t.Errorf("%.80q byte by byte: verdict %d, want %d", c.bytes, got, c.want)
			}
		})
	}
}

// drip parses the bytes one more at a time, as a slow peer sends them. Every
// piece lies in memory of its own, as after a read buffer has grown.
func drip(t *testing.T, b []byte, lim *Limits) (verdict int, h *RequestHead) {
	t.Helper()
	h = new(RequestHead)
	for i := 1; i <= len(b); i++ {
		piece := b[:i]
		if len(b) < 4<<10 {
			piece = bytes.Clone(piece)
		}
		n, err := h.Parse(piece, lim)
		if v := verdictOf(t, n, err); v != incomplete {
			return v, h
		}
	}
	return incomplete, h
}

// The order is that of RFC 9112, so a gap is visible. H1-n are the edge rules.
func TestRFC9112(t *testing.T) {
	t.Run("2.2 Message Parsing (H1-8, H1-12)", func(t *testing.T) {
		run(t, []headCase{
			{"whole", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", accepted},
			{"nothing", "", incomplete},
			{"cut in the request line", "GET / HT", incomplete},
			{"cut before the last LF", "GET / HTTP/1.1\r\nHost: a\r\n\r", incomplete},
			{"one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", accepted},
			{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", accepted},
			{"three empty lines before", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
			{"LF before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
			{"bare LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
			{"bare LF ends a field line", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
			{"bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
			{"bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
			{"bare CR only", "GET / HTTP/1.1\rHost: a\r\r", 400},
			{"bare CR in a value", get("X: a\rb\r\n"), 400},
			{"CR before the CRLF of a value", get("X: a\r\r\n"), 400},
			{"CR before the final CRLF", get("\r"), 400},
			{"white space before the first field", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400},
			{"TLS record", "\x16\x03\x01\x02\x00", 400},
			{"eight-bit bytes", "\x80\x81", 400},
		})
	})
	t.Run("2.3 HTTP Version (H1-11)", func(t *testing.T) {
		version := func(v string) string { return "GET / " + v + "\r\nHost: a\r\n\r\n" }
		run(t, []headCase{
			{"1.1", version("HTTP/1.1"), accepted},
			{"1.0", version("HTTP/1.0"), accepted},
			{"minor above ours", version("HTTP/1.9"), accepted},
			{"0.9 without version", "GET /\r\n\r\n", 400},
			{"0.9 well formed", version("HTTP/0.9"), 505},
			{"2.0", version("HTTP/2.0"), 505},
			{"3.0", version("HTTP/3.0"), 505},
			{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
			{"lower case", version("http/1.1"), 400},
			{"no minor", version("HTTP/1"), 400},
			{"two digits", version("HTTP/1.10"), 400},
			{"leading zeros", version("HTTP/01.01"), 400},
			{"space inside", version("HTTP/ 1.1"), 400},
			{"space behind", version("HTTP/1.1 "), 400},
			{"other name", version("HTCP/1.1"), 400},
			{"no digit", version("HTTP/1.x"), 400},
		})
	})
	t.Run("3 Request Line (H1-11, H1-12)", func(t *testing.T) {
		line := func(l string) string { return l + "\r\nHost: a\r\n\r\n" }
		run(t, []headCase{
			{"unknown method", line("BREW / HTTP/1.1"), accepted},
			{"method with all kinds of tchar", line("!#$%&'*+-.^_`|~0Az / HTTP/1.1"), accepted},
			{"method in lower case is another method", line("get / HTTP/1.1"), accepted},
			{"method no token", line("G(T / HTTP/1.1"), 400},
			{"NUL method", line("\x00 / HTTP/1.1"), 400},
			{"no method", line(" / HTTP/1.1"), 400},
			{"two spaces", line("GET  / HTTP/1.1"), 400},
			{"two spaces before the version", line("GET /  HTTP/1.1"), 400},
			{"tab", line("GET\t/ HTTP/1.1"), 400},
			{"tab before the version", line("GET /\tHTTP/1.1"), 400},
			{"no target", line("GET HTTP/1.1"), 400},
			{"method alone", line("GET"), 400},
			{"leading space", line(" GET / HTTP/1.1"), 400},
		})
	})
	t.Run("3.2 Request Target (H1-11)", func(t *testing.T) {
		target := func(s string) string { return "GET " + s + " HTTP/1.1\r\nHost: a\r\n\r\n" }
		run(t, []headCase{
			{"query", target("/a/b?c=d&e=%20f"), accepted},
			{"what browsers leave as it is", target(`/"<>\^` + "`{|}?[]'"), accepted},
			{"two slashes", target("//a//b"), accepted},
			{"percent in either case", target("/%aF%00"), accepted},
			{"space", target("/a b"), 400},
			{"control byte", target("/\x01"), 400},
			{"DEL", target("/\x7f"), 400},
			{"NUL", target("/\x00"), 400},
			{"eight bits", target("/\xc3\xa9"), 400},
			{"fragment", target("/a#b"), 400},
			{"percent with no hex digit", target("/%zz"), 400},
			{"percent with one", target("/%a"), 400},
			{"percent at the end", target("/%"), 400},
			{"percent broken in the query", target("/?a=100%"), 400},
		})
	})
	t.Run("3.2.1 Origin Form", func(t *testing.T) {
		run(t, []headCase{
			{"no leading slash", "GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400},
			{"query alone", "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		})
	})
	t.Run("3.2.2 Absolute Form (H1-10)", func(t *testing.T) {
		absolute := func(target, host string) string {
			return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		}
		run(t, []headCase{
			{"agrees", absolute("http://a.test/x", "a.test"), accepted},
			{"no path", absolute("http://a.test", "a.test"), accepted},
			{"query behind the host", absolute("http://a.test?x", "a.test"), accepted},
			{"https", absolute("https://a.test/", "a.test"), accepted},
			{"letter case and trailing dot", absolute("HTTP://A.test./", "a.TEST"), accepted},
			{"with port", absolute("http://a.test:81/", "a.test:81"), accepted},
			{"other host", absolute("http://evil.test/", "a.test"), 400},
			{"other port", absolute("http://a.test:81/", "a.test:82"), 400},
			{"userinfo", absolute("http://u@a.test/", "a.test"), 400},
			{"no host", absolute("http:///x", "a.test"), 400},
			{"other scheme", absolute("ftp://a.test/", "a.test"), 400},
			{"fragment", absolute("http://a.test#x", "a.test"), 400},
			{"host has a path in it", absolute(`http://a.test\x/`, "a.test"), 400},
			{"bad Host beside a good target", absolute("http://a.test/", "a/b"), 400},
			{"HTTP/1.1 without Host", "GET http://a.test/ HTTP/1.1\r\n\r\n", 400},
			{"HTTP/1.0 without Host", "GET http://a.test/ HTTP/1.0\r\n\r\n", accepted},
		})
	})
	t.Run("3.2.3 Authority Form", func(t *testing.T) {
		run(t, []headCase{
			{"CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405},
			{"CONNECT in origin form", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
			{"GET", "GET a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 400},
		})
	})
	t.Run("3.2.4 Asterisk Form", func(t *testing.T) {
		run(t, []headCase{
			{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", accepted},
			{"GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
			{"more behind it", "OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
			{"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
		})
	})
	t.Run("3.2 Host (H1-9)", func(t *testing.T) {
		host := func(fields string) string { return "GET / HTTP/1.1\r\n" + fields + "\r\n" }
		run(t, []headCase{
			{"missing", host(""), 400},
			{"missing in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", accepted},
			{"name in any letter case", host("hOST: a\r\n"), accepted},
			{"repeated", host("Host: a\r\nHost: b\r\n"), 400},
			{"repeated with equal values", host("Host: a\r\nHost: a\r\n"), 400},
			{"repeated three times", host("Host: a\r\nHost: a\r\nHost: a\r\n"), 400},
			{"repeated in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
			{"empty", host("Host: \r\n"), 400},
			{"empty in HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", 400},
			{"userinfo", host("Host: u@a\r\n"), 400},
			{"path", host("Host: a/x\r\n"), 400},
			{"space", host("Host: a b\r\n"), 400},
			{"list", host("Host: a, b\r\n"), 400},
			{"IPv6", host("Host: [::1]:8080\r\n"), accepted},
			{"IPv6 with zone", host("Host: [fe80::1%25eth0]\r\n"), 400},
			{"port too high", host("Host: a:65536\r\n"), 400},
			{"highest port", host("Host: a:65535\r\n"), accepted},
		})
	})
	t.Run("5 Field Syntax (H1-8)", func(t *testing.T) {
		run(t, []headCase{
			{"no space behind the colon", get("X:y\r\n"), accepted},
			{"tabs and spaces around the value", get("X: \t y \t \r\n"), accepted},
			{"empty value", get("X:\r\n"), accepted},
			{"white space only", get("X: \t\r\n"), accepted},
			{"tab inside", get("X: a\tb\r\n"), accepted},
			{"eight-bit value", get("X: \xe9\xff\r\n"), accepted},
			{"underscore in the name (P-1 is the front's)", get("X_Y: z\r\n"), accepted},
			{"colons in the value", get("X: a:b::\r\n"), accepted},
			{"no colon", get("Content-Length 3\r\n"), 400},
			{"name cut by CRLF", get("Transfer-\r\nEncoding: chunked\r\n"), 400},
			{"empty name", get(": x\r\n"), 400},
			{"parenthesis in the name", get("X(y): z\r\n"), 400},
			{"space in the name", get("X Y: z\r\n"), 400},
			{"eight-bit name", get("\xefoo: z\r\n"), 400},
			{"NUL in the name", get("X\x00: z\r\n"), 400},
			{"NUL in the value", get("X: a\x00b\r\n"), 400},
			{"control byte in the value", get("X: a\x01b\r\n"), 400},
			{"DEL in the value", get("X: a\x7fb\r\n"), 400},
			{"VT around the value", get("X: \x0by\r\n"), 400},
		})
	})
	t.Run("5.1 Field Line Parsing", func(t *testing.T) {
		run(t, []headCase{
			{"space before the colon", get("Content-Length : 3\r\n"), 400},
			{"tab before the colon", get("X\t: 3\r\n"), 400},
		})
	})
	t.Run("5.2 Obsolete Line Folding", func(t *testing.T) {
		run(t, []headCase{
			{"space", get("X: a\r\n b\r\n"), 400},
			{"tab", get("X: a\r\n\tb\r\n"), 400},
			{"white space only", get("X: a\r\n \r\n"), 400},
			{"Transfer-Encoding folded", get("Transfer-Encoding:\r\n chunked\r\n"), 400},
		})
	})
	t.Run("6.1 Transfer-Encoding (H1-3)", func(t *testing.T) {
		coding := func(v string) string { return get("Transfer-Encoding: " + v + "\r\n") }
		run(t, []headCase{
			{"chunked", coding("chunked"), accepted},
			{"letter case", coding("cHuNkEd"), accepted},
			{"unknown", coding("xchunked"), 501},
			{"gzip", coding("gzip"), 501},
			{"identity", coding("identity"), 501},
			{"unknown before chunked", coding("gzip, chunked"), 501},
			{"unknown with a parameter", coding("gzip;q=1"), 501},
			{"chunked not last", coding("chunked, gzip"), 400},
			{"chunked twice in a list", coding("chunked, chunked"), 400},
			{"chunked twice in lines", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
			{"split over lines", get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 400},
			{"leading comma", coding(", chunked"), 400},
			{"trailing comma", coding("chunked,"), 400},
			{"empty", coding(""), 400},
			{"VT", coding("\x0bchunked"), 400},
			{"FF", coding("chunked\x0c"), 400},
			{"NUL", coding("chunked\x00"), 400},
			{"NEL", coding("chunked\x85"), 400},
			{"NBSP", coding("\xa0chunked"), 400},
			{"quoted", coding(`"chunked"`), 400},
			{"chunked with a parameter", coding("chunked;a=b"), 400},
			{"space inside", coding("chunk ed"), 400},
			{"HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
			{"unknown in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
			{"space before the colon", get("Transfer-Encoding : chunked\r\n"), 400},
		})
	})
	t.Run("6.1 with Content-Length (H1-1)", func(t *testing.T) {
		run(t, []headCase{
			{"CL.TE", get("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400},
			{"TE.CL", get("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), 400},
			{"CL.TE unknown", get("Content-Length: 4\r\nTransfer-Encoding: gzip\r\n"), 400},
			{"TE unknown.CL", get("Transfer-Encoding: gzip\r\nContent-Length: 4\r\n"), 400},
			{"with others between", get("Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 0\r\n"), 400},
		})
	})
	t.Run("6.2 Content-Length (H1-2)", func(t *testing.T) {
		length := func(v string) string { return get("Content-Length: " + v + "\r\n") }
		run(t, []headCase{
			{"zero", length("0"), accepted},
			{"leading zeros", length("003"), accepted},
			{"highest", length("9223372036854775807"), accepted},
			{"above 2^63-1", length("9223372036854775808"), 400},
			{"above 2^64", length("18446744073709551619"), 400},
			{"far above", length(strings.Repeat("9", 40)), 400},
			{"repeated, different", get("Content-Length: 3\r\nContent-Length: 0\r\n"), 400},
			{"repeated, equal", get("Content-Length: 3\r\nContent-Length: 3\r\n"), 400},
			{"list", length("3, 3"), 400},
			{"trailing comma", length("3,"), 400},
			{"plus", length("+3"), 400},
			{"minus", length("-0"), 400},
			{"hex", length("0x3"), 400},
			{"octal", length("0o3"), 400},
			{"underscore", length("1_0"), 400},
			{"letter behind", length("3Z"), 400},
			{"fraction", length("3.0"), 400},
			{"quoted", length(`"3"`), 400},
			{"empty", length(""), 400},
			{"space inside", length("1 0"), 400},
			{"NBSP", length("3\xa0"), 400},
			{"VT", length("\x0b3"), 400},
			{"NUL", length("3\x00"), 400},
		})
	})
	t.Run("9110 10.1.1 Expect (H1-14)", func(t *testing.T) {
		run(t, []headCase{
			{"100-continue", get("Expect: 100-continue\r\n"), accepted},
			{"letter case", get("Expect: 100-Continue\r\n"), accepted},
			{"bogus", get("Expect: bogus\r\n"), 417},
			{"almost", get("Expect: y100-continue\r\n"), 417},
			{"one more in a list", get("Expect: 100-continue, bogus\r\n"), 417},
			{"one more in a line", get("Expect: bogus\r\nExpect: 100-continue\r\n"), 417},
			{"empty", get("Expect:\r\n"), 417},
			{"HTTP/1.0", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", accepted},
		})
	})
}
