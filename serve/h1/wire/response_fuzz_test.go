package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/semantics"
)

const smallAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"

// typicalAnswer is one of an application behind a front.
const typicalAnswer = "HTTP/1.1 200 OK\r\n" +
	"Date: Tue, 06 Jan 2026 10:00:00 GMT\r\n" +
	"Content-Type: application/json; charset=utf-8\r\n" +
	"Content-Length: 1024\r\n" +
	"Cache-Control: private, max-age=0, must-revalidate\r\n" +
	"Etag: W/\"400-0123456789abcdef\"\r\n" +
	"Vary: Accept-Encoding\r\n" +
	"X-Request-Id: 0123456789abcdef0123456789abcdef\r\n" +
	"Connection: keep-alive\r\n\r\n"

// FuzzResponseHead: what we accept, net/http accepts too and reads alike; no cut
// of the bytes changes anything; and what was read, written again, reads alike.
func FuzzResponseHead(f *testing.F) {
	for _, s := range []string{
		smallAnswer, typicalAnswer, ok(""), ok("Transfer-Encoding: chunked\r\nTrailer: X\r\n"), "HTTP/1.0 304\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade, X\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
		"HTTP/1.1 204 \r\nContent-Length: 0\r\nConnection: ,close,,\r\n\r\n", "HTTP/1.1 200\n\n", ok("X: a\r\n b\r\n"), "HTTP/1.1 407 x\r\n\r\n",
		ok("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), ok("Content-Length: 1\r\nContent-Length: 1\r\n"), "HTTP/1.1 200 \r\r\n",
	} {
		f.Add([]byte(s), byte(0))
	}
	f.Add([]byte(typicalAnswer), byte(1))
	f.Add([]byte(smallAnswer), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, m byte) {
		method := []string{"GET", "HEAD", "CONNECT"}[m%3]
		var whole ResponseHead
		if judgeAnswer(t, &whole, method, in) != "" {
			return
		}
		_, slow, n := dripAnswer(t, method, in)
		if !sameAnswer(&whole, slow) {
			t.Fatalf("one piece:    %+v\nbyte by byte: %+v", whole, slow)
		}
		compareResponse(t, &whole, method, in[:n])
		again := encodeAnswer(&whole)
		var second ResponseHead
		if reason := judgeAnswer(t, &second, method, again); reason != "" || !sameAnswer(&whole, &second) {
			t.Fatalf("%q was read, written as %q and not read alike: %s", in[:n], again, reason)
		}
	})
}

func sameAnswer(a, b *ResponseHead) bool {
	return a.Status == b.Status && a.Minor == b.Minor && a.ContentLength == b.ContentLength && a.Framing == b.Framing && a.Close == b.Close &&
		string(a.Upgrade) == string(b.Upgrade) && a.Options() == b.Options() && slices.Equal(answerLines(a), answerLines(b))
}

func encodeAnswer(h *ResponseHead) []byte {
	b := semantics.AppendStatusLine(nil, h.Minor, h.Status)
	for i := range h.Len() {
		b, _ = AppendField(b, h.Name(i), h.Value(i))
	}
	return append(b, "\r\n"...)
}

// compareResponse holds an accepted head against http.ReadResponse. Wanted
// differences: net/http checks the names in Trailer when the body is chunked, and
// removes the field, as it does Connection: close; it adds Cache-Control to Pragma: no-cache; it reuses
// HTTP/1.0 with keep-alive, we do not; the length of what has no body, or is a
// tunnel, is not looked at.
func compareResponse(t *testing.T, h *ResponseHead, method string, head []byte) {
	t.Helper()
	want := http.Header{}
	for _, l := range answerLines(h) {
		want.Add(textproto.CanonicalMIMEHeaderKey(l.name), l.value)
	}
	if h.codings > 0 && want.Get("Trailer") != "" {
		return
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("we accept what net/http refuses: %v\n%q", err, head)
	}
	if want.Get("Pragma") == "no-cache" && want["Cache-Control"] == nil {
		r.Header.Del("Cache-Control")
	}
	for _, name := range []string{"Transfer-Encoding", "Trailer", "Connection"} {
		want.Del(name)
		r.Header.Del(name)
	}
	length := map[Framing]int64{FramingLength: h.ContentLength, FramingChunked: -1, FramingClose: -1}
	n, framed := length[h.Framing]
	switch {
	case r.StatusCode != h.Status, min(r.ProtoMinor, 1) != h.Minor, r.Close && !h.Close && framed:
		t.Fatalf("net/http: %+v\nours: %+v", r, h)
	case framed && (r.ContentLength != n || (len(r.TransferEncoding) == 1) != (h.Framing == FramingChunked)):
		t.Fatalf("net/http frames it by %d %q\nours: %+v", r.ContentLength, r.TransferEncoding, h)
	case len(r.Header) != len(want):
		t.Fatalf("header: net/http %q, ours %q", r.Header, want)
	}
	for name, values := range want {
		if strings.Join(values, "\n") != strings.Join(r.Header[name], "\n") {
			t.Fatalf("%s: net/http %q, ours %q", name, r.Header[name], values)
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	for _, c := range []struct{ name, head string }{{"small", smallAnswer}, {"typical", typicalAnswer}} {
		b.Run(c.name, func(b *testing.B) {
			var h ResponseHead
			lim, in := testLimits(), []byte(c.head)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				h.Reset("GET")
				if n, err := h.Parse(in, lim); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkParseResponseNetHTTP is the twin.
func BenchmarkParseResponseNetHTTP(b *testing.B) {
	for _, c := range []struct{ name, head string }{{"small", smallAnswer}, {"typical", typicalAnswer}} {
		b.Run(c.name, func(b *testing.B) {
			in := bytes.NewReader(nil)
			r := bufio.NewReader(in)
			b.ReportAllocs()
			b.SetBytes(int64(len(c.head)))
			for b.Loop() {
				in.Reset([]byte(c.head))
				r.Reset(in)
				if _, err := http.ReadResponse(r, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
