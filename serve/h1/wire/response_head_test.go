package wire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// An answerCase is bytes that an upstream sends and what becomes of them.
type answerCase struct {
	name, bytes string
	want        string // part of the refusal's reason; empty: accepted
}

const more = "more" // incomplete

// ok is an answer whose header section ends in fields.
func ok(fields string) string { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" }

// judgeAnswer parses the bytes in one piece, and again one byte more at a time.
func judgeAnswer(t *testing.T, h *ResponseHead, method string, b []byte) (reason string) {
	t.Helper()
	h.Reset(method)
	n, err := h.Parse(b, testLimits())
	reason = reasonOf(t, n, err)
	if got, _, _ := dripAnswer(t, method, b); got != reason {
		t.Errorf("%.80q: %q in one piece, %q byte by byte", b, reason, got)
	}
	return reason
}

func dripAnswer(t *testing.T, method string, b []byte) (reason string, h *ResponseHead, took int) {
	t.Helper()
	h = new(ResponseHead)
	h.Reset(method)
	for i := 1; i <= len(b); i++ {
		piece := b[:i]
		if len(b) < 4<<10 {
			piece = bytes.Clone(piece) // as after a read buffer has grown
		}
		n, err := h.Parse(piece, testLimits())
		if reason := reasonOf(t, n, err); reason != more {
			return reason, h, n
		}
	}
	return more, h, 0
}

func reasonOf(t *testing.T, n int, err error) string {
	t.Helper()
	var e *Error
	switch {
	case err == nil && n == 0:
		return more
	case err == nil:
		return ""
	case !errors.As(err, &e) || e.Reason == "" || n != 0:
		t.Fatalf("Parse = %d, %v: an error must be an *Error with a reason, and take nothing", n, err)
	}
	return e.Reason
}

func runAnswers(t *testing.T, cases []answerCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := judgeAnswer(t, new(ResponseHead), "GET", []byte(c.bytes))
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%.80q: %q, want %q", c.bytes, got, c.want)
			}
		})
	}
}

// The order is that of RFC 9112. U-4: the same strictness as for requests.
func TestResponseRFC9112(t *testing.T) {
	t.Run("2.2 Message Parsing", func(t *testing.T) {
		runAnswers(t, []answerCase{
			{"whole", ok("Content-Length: 0\r\n"), ""},
			{"cut in the status line", "HTTP/1.1 20", more},
			{"cut before the last LF", "HTTP/1.1 200 OK\r\nX: y\r\n\r", more},
			{"empty line before", "\r\n" + ok(""), "status line"},
			{"LF before", "\n" + ok(""), "CRLF"},
			{"bare LF ends the status line", "HTTP/1.1 200 OK\nX: y\r\n\r\n", "CRLF"},
			{"bare LF ends a field line", ok("X: y\n"), "CRLF"},
			{"bare LF ends the head", "HTTP/1.1 200 OK\r\nX: y\r\n\n", "CRLF"},
			{"bare CR in the status line", "HTTP/1.1 200 O\rK\r\n\r\n", "CR without LF"},
			{"bare CR in a value", ok("X: a\rb\r\n"), "CR without LF"},
			{"CR before the CRLF of a value", ok("X: a\r\r\n"), "CR without LF"},
			{"CR before the final CRLF", ok("\r"), "CR without LF"},
			{"white space before the first field", ok(" X: y\r\n"), "folded"},
			{"TLS record", "\x15\x03\x01\x00\x02\x02\x50", "status line"},
			{"a body where a head should be", "<html>", "status line"},
		})
	})
	t.Run("2.3 HTTP Version", func(t *testing.T) {
		runAnswers(t, []answerCase{
			{"1.0", "HTTP/1.0 200 OK\r\n\r\n", ""},
			{"minor above ours", "HTTP/1.9 200 OK\r\n\r\n", ""},
			{"2.0", "HTTP/2.0 200 OK\r\n\r\n", "only HTTP/1"},
			{"0.9", "HTTP/0.9 200 OK\r\n\r\n", "only HTTP/1"},
			{"lower case", "http/1.1 200 OK\r\n\r\n", "status line"},
			{"two digits", "HTTP/1.10 200 OK\r\n\r\n", "status line"},
			{"ICY", "ICY 200 OK\r\n\r\n", "status line"},
			{"h2 frame", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", "status line"},
		})
	})
	t.Run("4 Status Line", func(t *testing.T) {
		line := func(l string) string { return l + "\r\n\r\n" }
		runAnswers(t, []answerCase{
			{"no reason", line("HTTP/1.1 200 "), ""},
			{"no reason and no space", line("HTTP/1.1 200"), ""},
			{"reason of all kinds of bytes", line("HTTP/1.1 404 \tnot \xe9 found"), ""},
			{"unknown code", line("HTTP/1.1 799 x"), ""},
			{"two digits", line("HTTP/1.1 20 OK"), "status line"},
			{"four digits", line("HTTP/1.1 2000 OK"), "status line"},
			{"below 100", line("HTTP/1.1 099 OK"), "status line"},
			{"sign", line("HTTP/1.1 +20 OK"), "status line"},
			{"no status", line("HTTP/1.1"), "status line"},
			{"no status, but space", line("HTTP/1.1 "), "status line"},
			{"two spaces", line("HTTP/1.1  200 OK"), "status line"},
			{"tab", line("HTTP/1.1\t200 OK"), "status line"},
			{"tab behind the code", line("HTTP/1.1 200\tOK"), "status line"},
			{"control byte in the reason", line("HTTP/1.1 200 O\x01K"), "status line"},
			{"NUL in the reason", line("HTTP/1.1 200 \x00"), "status line"},
			{"DEL in the reason", line("HTTP/1.1 200 \x7f"), "status line"},
		})
	})
	t.Run("5 Field Syntax", func(t *testing.T) {
		runAnswers(t, []answerCase{
			{"no space behind the colon", ok("X:y\r\n"), ""},
			{"empty value", ok("X:\r\n"), ""},
			{"eight-bit value", ok("X: \xe9\xff\r\n"), ""},
			{"no colon", ok("Content-Length 3\r\n"), "field name"},
			{"empty name", ok(": x\r\n"), "field name"},
			{"space in the name", ok("X Y: z\r\n"), "field name"},
			{"NUL in the name", ok("X\x00: z\r\n"), "forbidden byte"},
			{"NUL in the value", ok("X: a\x00b\r\n"), "forbidden byte"},
			{"control byte in the value", ok("X: a\x01b\r\n"), "forbidden byte"},
			{"DEL in the value", ok("X: a\x7fb\r\n"), "forbidden byte"},
			{"5.1 space before the colon", ok("Content-Length : 3\r\n"), "field name"},
			{"5.1 tab before the colon", ok("X\t: 3\r\n"), "field name"},
			{"5.2 folded", ok("X: a\r\n b\r\n"), "folded"},
			{"5.2 folded by a tab", ok("X: a\r\n\tb\r\n"), "folded"},
			{"5.2 Transfer-Encoding folded", ok("Transfer-Encoding:\r\n chunked\r\n"), "Transfer-Encoding"},
		})
	})
	t.Run("6.1 Transfer-Encoding", func(t *testing.T) {
		coding := func(v string) string { return ok("Transfer-Encoding: " + v + "\r\n") }
		runAnswers(t, []answerCase{
			{"chunked", coding("chunked"), ""},
			{"letter case", coding("cHuNkEd"), ""},
			{"gzip", coding("gzip"), "Transfer-Encoding"},
			{"identity", coding("identity"), "Transfer-Encoding"},
			{"unknown before chunked", coding("gzip, chunked"), "Transfer-Encoding"},
			{"chunked not last", coding("chunked, gzip"), "Transfer-Encoding"},
			{"chunked twice", coding("chunked, chunked"), "Transfer-Encoding"},
			{"chunked twice in lines", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "Transfer-Encoding"},
			{"empty", coding(""), "Transfer-Encoding"},
			{"VT", coding("\x0bchunked"), "forbidden byte"},
			{"NBSP", coding("\xa0chunked"), "Transfer-Encoding"},
			{"parameter", coding("chunked;a=b"), "Transfer-Encoding"},
			{"HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
			{"CL.TE", ok("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), "together"},
			{"TE.CL", ok("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), "together"},
		})
	})
	t.Run("6.2 Content-Length", func(t *testing.T) {
		length := func(v string) string { return ok("Content-Length: " + v + "\r\n") }
		runAnswers(t, []answerCase{
			{"leading zeros", length("003"), ""},
			{"highest", length("9223372036854775807"), ""},
			{"above 2^63-1", length("9223372036854775808"), "Content-Length"},
			{"repeated, different", ok("Content-Length: 3\r\nContent-Length: 0\r\n"), "repeated"},
			{"repeated, equal", ok("Content-Length: 3\r\nContent-Length: 3\r\n"), "repeated"},
			{"list", length("3, 3"), "Content-Length"},
			{"plus", length("+3"), "Content-Length"},
			{"minus", length("-1"), "Content-Length"},
			{"hex", length("0x3"), "Content-Length"},
			{"empty", length(""), "Content-Length"},
			{"space inside", length("1 0"), "Content-Length"},
		})
	})
	t.Run("6.3 Message Body Length", func(t *testing.T) {
		head := func(status, fields string) string { return "HTTP/1.1 " + status + "\r\n" + fields + "\r\n" }
		runAnswers(t, []answerCase{
			{"204 with a length", head("204", "Content-Length: 3\r\n"), "no content"},
			{"204 with a length of zero", head("204", "Content-Length: 0\r\n"), ""},
			{"204 chunked", head("204", "Transfer-Encoding: chunked\r\n"), "no content"},
			{"103 with a length", head("103", "Content-Length: 3\r\n"), "no content"},
			{"101 chunked", head("101", "Transfer-Encoding: chunked\r\n"), "no content"},
			{"304 with a length tells of another answer", head("304", "Content-Length: 3\r\n"), ""},
			{"304 chunked likewise", head("304", "Transfer-Encoding: chunked\r\n"), ""},
		})
	})
}

// TestResponseResult: what is told about an accepted head.
func TestResponseResult(t *testing.T) {
	type result struct {
		status, minor int
		length        int64
		framing       Framing
		closes        bool
		upgrade       string
		options       string
	}
	plain := result{200, 1, 0, FramingLength, false, "", ""}
	with := func(change func(*result)) result {
		r := plain
		change(&r)
		return r
	}
	const zero = "Content-Length: 0\r\n"
	for _, c := range []struct {
		name, method, bytes string
		want                result
	}{
		{"plain", "GET", ok(zero), plain},
		{"minor 7 is 1", "GET", "HTTP/1.7 200 OK\r\n" + zero + "\r\n", plain},
		{"chunked", "GET", ok("Transfer-Encoding: chunked\r\n"), with(func(r *result) { r.length, r.framing = -1, FramingChunked })},
		{"until close", "GET", ok(""), with(func(r *result) { r.length, r.framing, r.closes = -1, FramingClose, true })},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n" + zero + "\r\n", with(func(r *result) { r.minor, r.closes = 0, true })},
		{"HTTP/1.0 keep-alive is not believed", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + zero + "\r\n", with(func(r *result) {
			r.minor, r.closes = 0, true
		})},
		{"close", "GET", ok(zero + "Connection: close\r\n"), with(func(r *result) { r.closes, r.options = true, "" })},
		{"close in a list", "GET", ok(zero + "Connection: x, ,CLOSE\t,Y\r\n"), with(func(r *result) { r.closes, r.options = true, "x Y" })},
		{"close in the second line", "GET", ok(zero + "Connection: x\r\nConnection: close\r\n"), with(func(r *result) { r.closes, r.options = true, "x" })},
		{"options that are no tokens name nothing", "GET", ok(zero + "Connection: \"x\", y;z, a b,\r\n"), plain},
		{"HEAD", "HEAD", ok("Content-Length: 7\r\n"), with(func(r *result) { r.length, r.framing = 7, FramingNone })},
		{"HEAD chunked", "HEAD", ok("Transfer-Encoding: chunked\r\n"), with(func(r *result) { r.length, r.framing = -1, FramingNone })},
		{"HEAD without length", "HEAD", ok(""), with(func(r *result) { r.length, r.framing = -1, FramingNone })},
		{"204", "GET", "HTTP/1.1 204\r\n\r\n", with(func(r *result) { r.status, r.length, r.framing = 204, -1, FramingNone })},
		{"304", "GET", "HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n", with(func(r *result) { r.status, r.length, r.framing = 304, 7, FramingNone })},
		{"205 is framed as others", "POST", "HTTP/1.1 205\r\n\r\n", with(func(r *result) { r.status, r.length, r.framing, r.closes = 205, -1, FramingClose, true })},
		{"100", "POST", "HTTP/1.1 100 Continue\r\n\r\n", with(func(r *result) { r.status, r.length, r.framing = 100, -1, FramingNone })},
		{"101", "GET", "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n", with(func(r *result) {
			r.status, r.length, r.framing, r.upgrade = 101, -1, FramingTunnel, "WebSocket"
		})},
		{"101 without the option", "GET", "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\n\r\n", with(func(r *result) {
			r.status, r.length, r.framing = 101, -1, FramingTunnel
		})},
		{"101 of two minds", "GET", "HTTP/1.1 101 x\r\nUpgrade: a\r\nUpgrade: b\r\nConnection: upgrade\r\n\r\n", with(func(r *result) {
			r.status, r.length, r.framing = 101, -1, FramingTunnel
		})},
		{"101 in HTTP/1.0", "GET", "HTTP/1.0 101 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", with(func(r *result) {
			r.status, r.minor, r.length, r.framing, r.closes = 101, 0, -1, FramingTunnel, true
		})},
		{"2xx to CONNECT", "CONNECT", ok("Content-Length: 7\r\n"), with(func(r *result) { r.length, r.framing = 7, FramingTunnel })},
		{"4xx to CONNECT", "CONNECT", "HTTP/1.1 407 x\r\nContent-Length: 7\r\n\r\n", with(func(r *result) { r.status, r.length = 407, 7 })},
	} {
		t.Run(c.name, func(t *testing.T) {
			var whole ResponseHead
			if reason := judgeAnswer(t, &whole, c.method, []byte(c.bytes+"next")); reason != "" {
				t.Fatal(reason)
			}
			_, dripped, took := dripAnswer(t, c.method, []byte(c.bytes))
			if took != len(c.bytes) {
				t.Errorf("took %d bytes, want %d", took, len(c.bytes))
			}
			for _, h := range []*ResponseHead{&whole, dripped} {
				var options []string
				for i := range h.Options() {
					options = append(options, string(h.Option(i)))
				}
				got := result{h.Status, h.Minor, h.ContentLength, h.Framing, h.Close, string(h.Upgrade), strings.Join(options, " ")}
				if got != c.want {
					t.Errorf("got  %+v\nwant %+v", got, c.want)
				}
			}
		})
	}
}

func TestResponseFields(t *testing.T) {
	want := []line{{"x-Y", "1"}, {"X", ""}, {"X-y", "b \t c"}, {"Z", "\xff"}}
	_, h, _ := dripAnswer(t, "GET", []byte("HTTP/1.1 200 OK\r\nx-Y:1\r\nX:\t \r\nX-y: \tb \t c \t\r\nZ:\xff\r\n\r\n"))
	if got := answerLines(h); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func answerLines(h *ResponseHead) (lines []line) {
	for i := range h.Len() {
		lines = append(lines, line{string(h.Name(i)), string(h.Value(i))})
	}
	return lines
}

// TestResponseLimits crosses each limit by one, and stays right below it (U-2).
func TestResponseLimits(t *testing.T) {
	reason := func(n int) string {
		return "HTTP/1.1 200 " + strings.Repeat("r", n-len("HTTP/1.1 200 \r\n")) + "\r\n\r\n"
	}
	section := func(n int) string { return ok("X: " + strings.Repeat("v", n-len("X: \r\n")) + "\r\n") }
	options := func(n int) string { return ok("Connection: " + strings.Repeat("x, ", n-1) + "x\r\n") }
	runAnswers(t, []answerCase{
		{"status line/at", reason(maxStatusLine), ""},
		{"status line/above", reason(maxStatusLine + 1), "too long"},
		{"status line/far above", reason(20 * maxStatusLine), "too long"},
		{"fields/bytes/at", section(DefaultFieldBytes), ""},
		{"fields/bytes/above", section(DefaultFieldBytes + 1), "too large"},
		{"fields/bytes/above in many lines", ok(strings.Repeat("X: "+strings.Repeat("v", 1000)+"\r\n", 66)), "too large"},
		{"fields/count/at", ok(strings.Repeat("X: y\r\n", DefaultFields)), ""},
		{"fields/count/above", ok(strings.Repeat("X: y\r\n", DefaultFields+1)), "too many fields"},
		{"options/at", options(maxOptions), ""},
		{"options/above", options(maxOptions + 1), "too many connection options"},
		{"options/above in lines", ok(strings.Repeat("Connection: x\r\n", maxOptions+1)), "too many connection options"},
		// Of two faults the one that shows first is told, in every cut alike.
		{"long section, bare LF", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("v", 2*DefaultFieldBytes) + "\n", "too large"},
		{"bare CR, then long section", ok("X: \r" + strings.Repeat("v", 2*DefaultFieldBytes) + "\r\n"), "CR without LF"},
		{"long reason, bare LF", "HTTP/1.1 200 " + strings.Repeat("r", 2*maxStatusLine) + "\n", "too long"},
		{"one field too many, malformed", ok(strings.Repeat("X: y\r\n", DefaultFields) + "\x01\r\n"), "too many fields"},
	})
}

// TestResponseVisibleAtOnce: what can be refused is refused before the line ends.
func TestResponseVisibleAtOnce(t *testing.T) {
	runAnswers(t, []answerCase{
		{"no HTTP", "S", "status line"},
		{"no digit", "HTTP/1.1 2x", "status line"},
		{"control byte", "HTTP/1.1 200 OK\r\nX: a\x00", "forbidden byte"},
		{"bare CR", "HTTP/1.1 200 OK\r\nX: a\rb", "CR without LF"},
		{"long reason", "HTTP/1.1 200 " + strings.Repeat("r", maxStatusLine), "too long"},
		{"long field", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("v", DefaultFieldBytes), "too large"},
		{"CR may be the end of a line", "HTTP/1.1 200 OK\r\nX: y\r", more},
	})
}

// TestResponseReuse: nothing of one answer may be seen in the next.
func TestResponseReuse(t *testing.T) {
	var h ResponseHead
	first := "HTTP/1.0 101 x\r\nContent-Length: 0\r\nConnection: close, upgrade, x\r\nUpgrade: y\r\n\r\n"
	for _, in := range []string{first, "HT", "HTTP/9", ok("Transfer-Encoding: chunked\r\n"), ok("Content-Length: 3\r\n")} {
		judgeAnswer(t, &h, "GET", []byte(in))
	}
	if h.Status != 200 || h.Minor != 1 || h.ContentLength != 3 || h.Framing != FramingLength || h.Close || h.Upgrade != nil || h.Options() != 0 || h.Len() != 1 {
		t.Errorf("the head of an earlier answer shows: %+v", h)
	}
	judgeAnswer(t, &h, "HEAD", []byte(ok("Content-Length: 3\r\n")))
	if h.Framing != FramingNone {
		t.Error("the method of an earlier answer shows")
	}
}

// TestResponseDoesNotAllocate: neither good answers nor a flood of bad ones.
func TestResponseDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	lim := testLimits()
	for name, in := range map[string]string{
		"small": smallAnswer, "browser's": typicalAnswer, "bad": ok("X: \x00\r\n"), "options": ok("Connection: x, y, z\r\n"),
	} {
		var h ResponseHead
		b := []byte(in)
		if got := testing.AllocsPerRun(100, func() {
			h.Reset("GET")
			_, _ = h.Parse(b, lim)
		}); got != 0 {
			t.Errorf("%s: %v allocations a head, want 0", name, got)
		}
	}
}
