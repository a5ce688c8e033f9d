package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

const wrkHead = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"

// browserHead is what a browser sends to a site it knows: 12 fields.
const browserHead = "GET /assets/app/main.css?v=20260131 HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.com/start\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; lang=en\r\n" +
	"Sec-Fetch-Dest: style\r\n" +
	"Sec-Fetch-Mode: no-cors\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"If-None-Match: \"5f3a-61c2\"\r\n\r\n"

var benchHeads = []struct{ name, head string }{
	{"wrk", wrkHead},
	{"browser", browserHead},
	{"post", "POST /api/items HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\nContent-Length: 17\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n"},
}

func BenchmarkParse(b *testing.B) {
	for _, c := range benchHeads {
		b.Run(c.name, func(b *testing.B) {
			var h RequestHead
			lim, in := testLimits(), []byte(c.head)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				h.Reset()
				if n, err := h.Parse(in, lim); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkParseNetHTTP is the twin: its figure holds a map and strings that the
// engine makes elsewhere.
func BenchmarkParseNetHTTP(b *testing.B) {
	for _, c := range benchHeads {
		b.Run(c.name, func(b *testing.B) {
			in := bytes.NewReader(nil)
			r := bufio.NewReader(in)
			b.ReportAllocs()
			b.SetBytes(int64(len(c.head)))
			for b.Loop() {
				in.Reset([]byte(c.head))
				r.Reset(in)
				if _, err := http.ReadRequest(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParseDrip is one long line, byte by byte. ns/byte must not grow with
// the size: nothing is read twice.
func BenchmarkParseDrip(b *testing.B) {
	for _, kib := range []int{4, 60} {
		b.Run("KiB="+map[int]string{4: "4", 60: "60"}[kib], func(b *testing.B) {
			in := []byte("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("v", kib<<10))
			lim := testLimits()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				var h RequestHead
				for i := range in {
					if _, err := h.Parse(in[:i+1], lim); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
