package h1

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// seen is one request as its handler saw it.
type seen struct {
	method, uri, host, proto string
	url                      url.URL
	header, trailer          http.Header
	length                   int64
	coding                   []string
	body                     string
	failed                   bool // reading the body
}

// record keeps what its requests are.
func record(to *[]seen) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		h := r.Header.Clone()
		if len(h) == 0 {
			h = nil
		}
		tr := r.Trailer.Clone()
		if len(tr) == 0 {
			tr = nil
		}
		*to = append(*to, seen{r.Method, r.RequestURI, r.Host, r.Proto, *r.URL, h, tr, r.ContentLength, r.TransferEncoding, string(b), err != nil})
	}
}

// oracleConn gives its bytes to net/http's server, then io.EOF.
type oracleConn struct {
	r *bytes.Reader
}

func (c *oracleConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c *oracleConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *oracleConn) Close() error                     { return nil }
func (c *oracleConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *oracleConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *oracleConn) SetDeadline(time.Time) error      { return nil }
func (c *oracleConn) SetReadDeadline(time.Time) error  { return nil }
func (c *oracleConn) SetWriteDeadline(time.Time) error { return nil }

// oneListener accepts one connection.
type oneListener struct{ conn chan net.Conn }

func (l *oneListener) Accept() (net.Conn, error) {
	c, ok := <-l.conn
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// oracle is what net/http makes of data.
func oracle(data []byte) []seen {
	var got []seen
	over := make(chan struct{})
	srv := &http.Server{
		Handler:  record(&got),
		ErrorLog: log.New(io.Discard, "", 0),

		DisableGeneralOptionsHandler: true,
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				close(over)
			}
		},
	}
	l := &oneListener{make(chan net.Conn, 1)}
	l.conn <- &oracleConn{r: bytes.NewReader(data)}
	go srv.Serve(l)
	<-over
	close(l.conn)
	return got
}

// ours is what the engine makes of data, cut into pieces of n bytes.
func ours(data []byte, n int, recycle bool) (got []seen, out []byte) {
	cfg, _ := testConfig(record(&got))
	cfg.Recycle = recycle
	cfg.Server = &http.Server{DisableGeneralOptionsHandler: true}
	h := &splitHost{}
	h.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for s := string(data); s != ""; {
		k := min(n, len(s))
		h.pieces = append(h.pieces, s[:k])
		s = s[k:]
	}
	c := NewConn(Complete(cfg), h, Attachment{})
	c.OnReadable(h.now)
	return got, h.out
}

// FuzzConn: whatever the engine hands to a handler, net/http's server hands on
// alike, in the same order. The engine may refuse more, never read it otherwise.
func FuzzConn(f *testing.F) {
	for _, s := range []string{
		getHello,
		getHello + "GET /a%2fb/../c?d=e;f#g HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET //a/b HTTP/1.1\r\nHost: a\r\n\r\nGET /: HTTP/1.1\r\nHost: a\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: A.example.\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\nZ: z\r\n\r\n" + getHello,
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\nCookie: a\r\nCookie: b\r\nx-y:\tz \r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nUpgrade: websocket\r\n\r\n" + getHello,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nPragma: no-cache\r\nProxy-Connection: x\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) {
		if len(data) > 4096 {
			return
		}
		got, out := ours(data, len(data)+1, false)
		for _, v := range []struct {
			n       int
			recycle bool
		}{{1 + int(cut)%64, false}, {1 + int(cut)%64, true}} {
			if again, outAgain := ours(data, v.n, v.recycle); !reflect.DeepEqual(again, got) || !bytes.Equal(outAgain, out) {
				t.Fatalf("cut into %d (recycle %v):\n%+v\n%q\nwhole:\n%+v\n%q", v.n, v.recycle, again, outAgain, got, out)
			}
		}
		if len(got) == 0 {
			return
		}
		// net/http refuses empty lines before a request, and reads on where
		// they follow a body (edge-rules, part 9).
		want := oracle(bytes.TrimLeft(data, "\r\n"))
		for i, g := range got {
			if i == len(want) {
				if strings.Contains(string(data), "\r\n\r\n\r\n") {
					return
				}
				t.Fatalf("request %d is unknown to net/http: %+v", i, g)
			}
			w := want[i]
			if host, err := semantics.ParseHost([]byte(w.host)); w.host != "" && err == nil {
				w.host = host
			}
			if g.failed {
				return // stricter
			}
			w.url.Host = strings.ToLower(strings.TrimSuffix(w.url.Host, "."))
			g.url.Host = strings.ToLower(strings.TrimSuffix(g.url.Host, "."))
			g.trailer, w.trailer = nil, nil // what may be in a trailer differs (H1-7)
			if g.proto != w.proto && g.proto == "HTTP/1.1" {
				w.proto = g.proto // a higher minor is read as 1
			}
			if !reflect.DeepEqual(g, w) {
				t.Fatalf("request %d:\ngot  %+v\nnet/http %+v", i, g, w)
			}
		}
	})
}

// TestURL: our fast path gives what net/http gives.
func TestURL(t *testing.T) {
	for _, target := range []string{
		"/", "/a", "/a/b.c-d_e~f", "/a:b", "/:", "//", "//a", "//a/b", "///", "/a//b", "/./..", "/?", "/?a", "/a?b=c&d", "/a?b?c", "/a%20b", "/%2f", "/%41",
		"/a+b", "/a&b", "/a;b=c", "/a,b", "/a@b", "/a$b", "/a'b", "/a(b)", "/a*b", "/a!b", "/[a]", "/a|b", "/{a}", "/a^b", "/a`b", "/a\"b", "/<a>", "/a\\b", "/*", "/=",
		"/a%e2%82%ac", "/?a=%zz", "http://h", "http://h/", "http://h:80/a?b", "HTTP://h/a", "https://h?a", "http://h/a%2fb", "/a?b=http://c/d", "/a?b#",
	} {
		data := []byte("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")
		if strings.HasPrefix(target, "http://h:80") {
			data = []byte("GET " + target + " HTTP/1.1\r\nHost: h:80\r\n\r\n")
		}
		got, out := ours(data, len(data), false)
		want := oracle(data)
		if len(got) == 0 {
			t.Logf("%s: refused: %.30q", target, out)
			continue
		}
		if len(want) == 0 {
			t.Errorf("%s: accepted, net/http refuses it", target)
			continue
		}
		if !reflect.DeepEqual(got[0].url, want[0].url) || got[0].uri != want[0].uri {
			t.Errorf("%s:\ngot      %#v\nnet/http %#v", target, got[0].url, want[0].url)
		}
	}
}
