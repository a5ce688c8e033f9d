package h1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The frame scripts follow the sections of RFC 9112, and RFC 9110 where it
// says what a server's message has to be.

func TestRFC9112Section2(t *testing.T) {
	script(t, "2.2 message parsing: empty lines before the request line", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("\r\n\r\n" + getHello)
		c.want("two empty lines are skipped", 200, "hello")
		c.write(getHello)
		c.want("the connection goes on", 200, "hello")
	})
	script(t, "2.2 a bare LF ends no line", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/1.1\nHost: a\n\n")
		c.wantRefused("bare LF", 400)
	})
	script(t, "2.3 versions", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto, r.ProtoMajor, r.ProtoMinor)
		})
		c.write("GET / HTTP/1.5\r\nHost: a\r\n\r\n")
		c.want("a higher minor is read as 1", 200, "HTTP/1.11 1")
		c.write("GET / HTTP/1.0\r\n\r\n")
		a := c.want("HTTP/1.0", 200, "HTTP/1.01 0")
		if !a.Close {
			t.Error("HTTP/1.0 without keep-alive: the answer does not close")
		}
		c.wantClosed("HTTP/1.0 without keep-alive")
	})
	script(t, "2.3 HTTP/2 is spoken elsewhere", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/2.0\r\nHost: a\r\n\r\n")
		c.wantRefused("major version 2", 505)
	})
}

func TestRFC9112Section3(t *testing.T) {
	script(t, "3 the request as its handler sees it", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s|%s|%d|%v|%v|%v", r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Host,
				r.RemoteAddr, r.Header["X-A"], r.ContentLength, r.TransferEncoding, r.Close, r.Body == http.NoBody)
		})
		c.write("GET /a%20b?c=d HTTP/1.1\r\nhOST: Example.ORG.:8080\r\nx-a: 1\r\nX-A:  2 \r\n\r\n")
		c.want("a request", 200, "GET|/a%20b?c=d|/a b|c=d|example.org:8080|192.0.2.7:4711|[1 2]|0|[]|false|true")
	})
	script(t, "3.2.2 absolute form", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Host, " ", r.URL, " ", r.RequestURI)
		})
		c.write("GET http://A.example/p?q HTTP/1.1\r\nHost: a.example\r\n\r\n")
		c.want("absolute form", 200, "a.example http://a.example/p?q http://A.example/p?q")
		c.write("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n")
		c.wantRefused("target and Host disagree (H1-10)", 400)
	})
	script(t, "3.2.4 asterisk form", func(t *testing.T, fm form) {
		h := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path, r.RequestURI) }
		c := dial(t, fm, h)
		c.write("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantFor("OPTIONS * is answered by the server, as in net/http", "OPTIONS", 200, "")
		cfg, log := testConfig(http.HandlerFunc(h))
		cfg.Server = &http.Server{DisableGeneralOptionsHandler: true}
		c = dialConfig(t, fm, Complete(cfg), log)
		c.write("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantFor("unless the handler wants it", "OPTIONS", 200, "**")
	})
	script(t, "3 CONNECT and TRACE", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantRefused("TRACE", 405)
	})
	script(t, "3.2 Host is missing", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/1.1\r\n\r\n")
		c.wantRefused("no Host", 400)
	})
}

func TestRFC9112Section6(t *testing.T) {
	script(t, "6.1 chunked request", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprint(w, string(b), err, r.ContentLength, r.TransferEncoding, len(r.Header), r.Trailer)
		})
		c.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X-T\r\n\r\n" +
			"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: end\r\nHost: evil\r\n\r\n")
		c.wantFor("chunked body with trailer", "POST", 200, "abcde<nil> -1 [chunked] 0 map[X-T:[end]]")
		c.write(getHello)
		c.wantFor("the connection goes on", "GET", 200, "<nil> 0 [] 0 map[]")
	})
	script(t, "6.1 Content-Length with Transfer-Encoding (H1-1)", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		c.wantRefused("CL.TE", 400)
	})
	script(t, "6.3 body by length, in pieces", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
		c.wantIdle("the body is not here")
		c.write("56789GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		s := c.got()
		first := c.next("the first", "POST", s)
		second := c.next("the second", "GET", first.rest)
		if first.body != "POST /p 0123456789" || second.body != "GET /next " || second.rest != "" {
			t.Errorf("got %q and %q", first.body, second.body)
		}
	})
	script(t, "6.3 GET with a body (CL.0)", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\n" + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nxxxx"[:38])
		c.want("its body is framed, never served", 200, "hello")
		c.write(getHello)
		c.want("the next request", 200, "hello")
	})
	script(t, "6.2 a body cut short by the peer", func(t *testing.T, fm form) {
		var got error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			_, got = io.ReadAll(r.Body)
		})
		c.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
		c.wantIdle("waits for the rest")
		c.h.hangup(nil)
		c.got()
		if got != io.ErrUnexpectedEOF {
			t.Errorf("Body.Read = %v, want %v", got, io.ErrUnexpectedEOF)
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("after the cut")
	})
	script(t, "6.3 malformed chunk", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("a malformed chunk was read without error")
			}
		})
		c.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n")
		c.wantRefused("chunk size -3", 400)
	})
}

func TestResponseFraming(t *testing.T) {
	type header map[string]string
	big := strings.Repeat("x", 20<<10)
	for _, tt := range []struct {
		name    string
		method  string
		proto   string // default HTTP/1.1
		fields  string
		handler http.HandlerFunc
		status  int
		body    string
		want    header // "" stands for absence
		closes  bool
	}{
		{name: "nothing written", status: 200, want: header{"Content-Length": "0", "Content-Type": "", "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}},
		{name: "short body", handler: hello, status: 200, body: "hello", want: header{"Content-Length": "5", "Content-Type": "text/plain; charset=utf-8", "Transfer-Encoding": "", "Connection": ""}},
		{name: "long body", handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) }, status: 200, body: big, want: header{"Content-Length": ""}},
		{name: "long body in parts", handler: func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(big); i += 1024 {
				io.WriteString(w, big[i:i+1024])
			}
		}, status: 200, body: big, want: header{"Content-Length": ""}},
		{name: "long body to HTTP/1.0", proto: "HTTP/1.0", handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) }, status: 200, body: big, want: header{"Content-Length": "", "Transfer-Encoding": ""}, closes: true},
		{name: "HTTP/1.0 keep-alive", proto: "HTTP/1.0", fields: "Connection: keep-alive\r\n", handler: hello, status: 200, body: "hello", want: header{"Content-Length": "5", "Connection": "keep-alive"}},
		{name: "HTTP/1.0", proto: "HTTP/1.0", handler: hello, status: 200, body: "hello", want: header{"Content-Length": "5"}, closes: true},
		{name: "declared length", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "he")
			io.WriteString(w, "llo")
		}, status: 200, body: "hello", want: header{"Content-Length": "5"}},
		{name: "flushed", handler: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "he")
			w.(http.Flusher).Flush()
			io.WriteString(w, "llo")
		}, status: 200, body: "hello", want: header{"Content-Length": "", "Content-Type": "text/plain; charset=utf-8"}},
		{name: "flushed before a byte", handler: func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() }, status: 200, want: header{"Content-Length": "", "Content-Type": ""}},
		{name: "HEAD", method: "HEAD", handler: hello, status: 200, want: header{"Content-Length": "5", "Content-Type": "text/plain; charset=utf-8"}},
		{name: "HEAD without a word", method: "HEAD", status: 200, want: header{"Content-Length": "", "Content-Type": ""}},
		{name: "HEAD with declared length", method: "HEAD", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "123")
		}, status: 200, want: header{"Content-Length": "123"}},
		{name: "204", handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}, status: 204, want: header{"Content-Length": "", "Transfer-Encoding": "", "Content-Type": ""}},
		{name: "304", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"a"`)
			w.WriteHeader(304)
		}, status: 304, want: header{"Content-Length": "", "Transfer-Encoding": "", "Etag": `"a"`}},
		{name: "close asked by the peer", fields: "Connection: close\r\n", handler: hello, status: 200, body: "hello", closes: true},
		{name: "close asked by the handler", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			hello(w, r)
		}, status: 200, body: "hello", closes: true},
		{name: "own Date", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "yesterday")
		}, status: 200, want: header{"Date": "yesterday"}},
		{name: "no Date", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
		}, status: 200, want: header{"Date": ""}},
		{name: "no Content-Type", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			hello(w, r)
		}, status: 200, body: "hello", want: header{"Content-Type": ""}},
		{name: "coded content is not sniffed", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			hello(w, r)
		}, status: 200, body: "hello", want: header{"Content-Type": ""}},
		{name: "html is sniffed", handler: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "<html>")
		}, status: 200, body: "<html>", want: header{"Content-Type": "text/html; charset=utf-8"}},
		{name: "fields changed after the head do not count", handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			w.Header().Set("X-Late", "1")
		}, status: 201, want: header{"X-Late": ""}},
		{name: "response splitting (H1-16)", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/\r\nSet-Cookie: evil=1\x00")
			w.Header()["Bad Name\r\nX: y"] = []string{"v"}
		}, status: 200, want: header{"Set-Cookie": "", "X": "", "Location": "/  Set-Cookie: evil=1"}},
		{name: "unknown code", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(799) }, status: 799},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			if tt.handler == nil {
				tt.handler = func(http.ResponseWriter, *http.Request) {}
			}
			method, proto := tt.method, tt.proto
			if method == "" {
				method = "GET"
			}
			if proto == "" {
				proto = "HTTP/1.1"
			}
			c := dial(t, fm, tt.handler)
			c.write(method + " / " + proto + "\r\nHost: a\r\n" + tt.fields + "\r\n")
			a := c.wantFor(tt.name, method, tt.status, tt.body)
			for k, v := range tt.want {
				if k == "Transfer-Encoding" {
					if got := strings.Join(a.TransferEncoding, ","); got != v {
						t.Errorf("%s = %q, want %q", k, got, v)
					}
				} else if got := strings.TrimSpace(a.Header.Get(k)); got != v {
					t.Errorf("%s = %q, want %q", k, got, v)
				}
			}
			if tt.closes {
				c.write(getHello) // never served
				time.Sleep(lingerTimeout + time.Second)
				c.wantClosed("the answer closes")
				return
			}
			c.write(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
			c.wantFor("again", method, tt.status, tt.body)
			c.wantOpen("the answer keeps the connection")
		})
	}
}

func TestTrailers(t *testing.T) {
	script(t, "7.1.2 declared and by prefix", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-A, X-B")
			io.WriteString(w, "body")
			w.Header().Set("X-A", "1")
			w.Header().Set("X-B", "2\r\nX-Evil: 1")
			w.Header().Set(http.TrailerPrefix+"X-C", "3")
		})
		c.write(getHello)
		a := c.want("trailers", 200, "body")
		if a.Trailer.Get("X-A") != "1" || a.Trailer.Get("X-B") != "2  X-Evil: 1" || a.Trailer.Get("X-C") != "" && a.Trailer.Get("X-C") != "3" {
			t.Errorf("Trailer = %v", a.Trailer)
		}
		if a.Header.Get("X-A") != "" || a.Header.Get("X-Evil") != "" {
			t.Errorf("Header = %v", a.Header)
		}
	})
	script(t, "7.1.2 by prefix alone, after a flush", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-C", "3")
		})
		c.write(getHello)
		a := c.want("trailers", 200, "body")
		if got := a.Trailer.Get("X-C"); got != "3" {
			t.Errorf("Trailer X-C = %q, want 3", got)
		}
	})
}

func TestExpectContinue(t *testing.T) {
	const head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
	script(t, "100 at the first Read", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write(head)
		if got, want := c.got(), "HTTP/1.1 100 Continue\r\n\r\n"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		c.write("abc")
		c.want("the answer", 200, "POST /p abc")
		c.write(getHello)
		c.want("the connection goes on", 200, "GET /hello ")
	})
	script(t, "a body that is never read is never asked for", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(head)
		a := c.want("a final answer at once", 200, "hello")
		if !a.Close {
			t.Error("the answer keeps the connection, though the body may come all the same")
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("no body was asked for")
	})
	script(t, "unknown expectation (H1-14)", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		c.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: y100-continue\r\n\r\nabc")
		c.wantRefused("y100-continue", 417)
	})
}

func TestInformational(t *testing.T) {
	script(t, "103 leaves at once", func(t *testing.T, fm form) {
		go_ := make(chan struct{})
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a>; rel=preload")
			w.WriteHeader(103)
			<-go_
			w.Header().Del("Link")
			hello(w, r)
		})
		c.write(getHello)
		if got, want := c.got(), "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		close(go_)
		a := c.want("the final answer", 200, "hello")
		if a.Header.Get("Link") != "" {
			t.Error("the final head has the early hint's field")
		}
	})
	script(t, "not to HTTP/1.0", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			hello(w, r)
		})
		c.write("GET / HTTP/1.0\r\n\r\n")
		c.want("the final answer alone", 200, "hello")
	})
}

func TestErrContentLength(t *testing.T) {
	script(t, "more than declared", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
			if _, err := io.WriteString(w, "!"); err != http.ErrContentLength {
				t.Errorf("Write = %v, want %v", err, http.ErrContentLength)
			}
		})
		c.write(getHello)
		c.want("the declared part", 200, "hello")
	})
	script(t, "less than declared", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "6")
			io.WriteString(w, "hello")
		})
		c.write(getHello + getHello)
		c.got()
		time.Sleep(2 * time.Second)
		c.wantClosed("the cut tells that bytes are missing")
		if got := strings.Count(string(c.h.out), "HTTP/1.1"); got > 1 {
			t.Errorf("%d answers, want one at most: the second stands inside the first's body", got)
		}
	})
}

func TestPipelining(t *testing.T) {
	script(t, "9.3.2 answers gather and keep their order", func(t *testing.T, fm form) {
		c := dial(t, fm, echo)
		var b strings.Builder
		for i := range 20 {
			fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		}
		c.write(b.String())
		s := c.got()
		for i := range 20 {
			a := c.next("pipelined", "GET", s)
			if want := fmt.Sprintf("GET /%d ", i); a.body != want {
				t.Fatalf("answer %d = %q, want %q", i, a.body, want)
			}
			s = a.rest
		}
		if s != "" {
			t.Errorf("%q behind the last answer", s)
		}
		if c.h.writes > 2 {
			t.Errorf("%d writes for 20 pipelined answers, want them gathered", c.h.writes)
		}
	})
	script(t, "9.3.2 an earlier answer does not wait for a slow handler", func(t *testing.T, fm form) {
		if fm.portable {
			return // nobody overtakes there
		}
		block := make(chan struct{})
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI == "/slow" {
				<-block
			}
			io.WriteString(w, r.RequestURI)
		})
		c.write("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
		c.got()
		c.read = 0
		c.h.overtake()
		c.want("the first answer", 200, "/a")
		close(block)
		s := c.got()
		slow := c.next("the slow one", "GET", s)
		b := c.next("the one behind", "GET", slow.rest)
		if slow.body != "/slow" || b.body != "/b" || b.rest != "" {
			t.Errorf("got %q", s)
		}
	})
	script(t, "nothing behind Connection: close is interpreted (H1-13)", func(t *testing.T, fm form) {
		n := 0
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { n++ })
		c.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + getHello)
		c.want("the first", 200, "")
		time.Sleep(2 * time.Second)
		c.wantClosed("after close")
		if n != 1 {
			t.Errorf("%d requests handled, want 1", n)
		}
	})
}

func TestUnreadBody(t *testing.T) {
	post := func(n int) string { return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", n) }
	script(t, "9.3 a modest rest is drained", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.write(post(100<<10) + strings.Repeat("x", 100<<10))
		c.want("the answer", 200, "")
		c.write(getHello)
		c.want("the next request", 200, "")
	})
	script(t, "9.3 a rest that comes later is drained in steps", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.write(post(100))
		c.want("the answer does not wait", 200, "")
		c.write(strings.Repeat("x", 50))
		c.wantIdle("half")
		c.write(strings.Repeat("x", 50) + getHello)
		c.want("the next request", 200, "")
	})
	script(t, "9.3 a rest that does not come", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.write(post(100))
		c.want("the answer does not wait", 200, "")
		time.Sleep(drainTimeout + lingerTimeout + time.Second)
		c.wantClosed("after 5 s")
	})
	script(t, "9.3 too much of it", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.write(post(1 << 20))
		a := c.want("the answer", 200, "")
		if !a.Close {
			t.Error("no Connection: close before a body that is not drained")
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("more than 256 KiB")
	})
	script(t, "9.3 a chunked rest", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {})
		c.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
		c.want("the answer", 200, "")
		c.write("lo\r\n0\r\n\r\n" + getHello)
		c.want("the next request", 200, "")
	})
	script(t, "the first write with an unread body reads it", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			if _, err := r.Body.Read(make([]byte, 1)); err == nil {
				t.Error("Body.Read after the answer began gave bytes")
			}
		})
		c.write(post(5) + "hel")
		c.wantIdle("waits for the body, as net/http does")
		c.write("lo")
		c.want("the answer", 200, "")
		c.wantOpen("the body was read")
	})
	script(t, "full duplex", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			rc.Flush()
			io.Copy(w, r.Body)
		})
		c.write(post(5))
		if s := c.got(); !strings.HasPrefix(s, "HTTP/1.1 200 OK\r\n") {
			t.Fatalf("got %q, want the head before the body has come", s)
		}
		c.write("hello")
		if s := c.got(); !strings.Contains(s, "hello") {
			t.Errorf("got %q, want the body", s)
		}
		c.wantOpen("all was read")
	})
}

func TestPanics(t *testing.T) {
	script(t, "before a word", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { panic("oops") })
		c.write(getHello)
		c.wantClosed("after a panic")
		if !strings.Contains(c.log.String(), "http: panic serving 192.0.2.7:4711") || !strings.Contains(c.log.String(), "oops") {
			t.Errorf("log = %q", c.log)
		}
		if got := c.cfg.Counters.Panics.Load(); got != 1 {
			t.Errorf("Panics = %d, want 1", got)
		}
	})
	script(t, "in the middle", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic("oops")
		})
		c.write(getHello)
		s := c.got()
		if strings.HasSuffix(s, "0\r\n\r\n") {
			t.Errorf("got %q: it looks complete", s)
		}
		c.wantClosed("after a panic")
	})
	script(t, "ErrAbortHandler is quiet", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		c.write(getHello)
		c.wantClosed("after the abort")
		if got := c.log.String(); got != "" {
			t.Errorf("log = %q, want nothing", got)
		}
	})
	script(t, "earlier answers leave", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI == "/panic" {
				panic(http.ErrAbortHandler)
			}
			hello(w, r)
		})
		c.write(getHello + "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n" + getHello)
		c.want("the first answer", 200, "hello")
		c.wantClosed("after the abort")
	})
	script(t, "invalid code", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(0) })
		c.write(getHello)
		c.wantClosed("WriteHeader(0)")
		if !strings.Contains(c.log.String(), "invalid WriteHeader code 0") {
			t.Errorf("log = %q", c.log)
		}
	})
	script(t, "superfluous WriteHeader", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			w.WriteHeader(500)
		})
		c.write(getHello)
		c.want("the first code counts", 201, "")
		if !strings.Contains(c.log.String(), "http: superfluous response.WriteHeader call") {
			t.Errorf("log = %q", c.log)
		}
	})
}

func TestHijack(t *testing.T) {
	script(t, "9.8 with bytes read ahead", func(t *testing.T, fm form) {
		ahead := make(chan string, 1)
		var late error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			b := make([]byte, 5)
			io.ReadFull(rw, b)
			ahead <- string(b)
			_, late = io.WriteString(w, "x")
			if _, _, err := w.(http.Hijacker).Hijack(); err != http.ErrHijacked {
				t.Errorf("second Hijack = %v, want %v", err, http.ErrHijacked)
			}
		})
		c.write(getHello + "after")
		c.got()
		select {
		case got := <-ahead:
			if got != "after" {
				t.Errorf("read ahead %q, want %q", got, "after")
			}
		default:
			t.Fatal("not hijacked")
		}
		if late != http.ErrHijacked {
			t.Errorf("Write after Hijack = %v, want %v", late, http.ErrHijacked)
		}
	})
}

func TestContext(t *testing.T) {
	script(t, "ends when the peer goes", func(t *testing.T, fm form) {
		var err error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			err = r.Context().Err()
		})
		c.write(getHello)
		c.wantIdle("waits")
		c.h.hangup(nil)
		c.got()
		if err == nil {
			t.Error("the context lives after the peer has gone")
		}
	})
	script(t, "ends when the handler returns", func(t *testing.T, fm form) {
		var r1 *http.Request
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			r1 = r
			if r.Context().Err() != nil {
				t.Error("the context has ended while the handler runs")
			}
			if r.Context().Value(http.LocalAddrContextKey) == nil {
				t.Error("no LocalAddrContextKey")
			}
		})
		c.write(getHello)
		c.want("the answer", 200, "")
		if r1.Context().Err() == nil {
			t.Error("the context lives after the handler has returned")
		}
		select {
		case <-r1.Context().Done():
		default:
			t.Error("Done is open after the handler has returned")
		}
	})
	script(t, "pipelined bytes do not end it", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				t.Error("the context ended")
			case <-time.After(time.Second):
			}
		})
		c.write(getHello)
		c.wantIdle("waits")
		c.write(getHello)
		time.Sleep(3 * time.Second)
		a := c.next("first", "GET", c.got())
		c.next("second", "GET", a.rest)
	})
}

func TestConnState(t *testing.T) {
	script(t, "active, idle, active", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write(getHello)
		c.want("first", 200, "hello")
		c.write(getHello[:10])
		c.wantIdle("half a head")
		c.h.mu.Lock()
		got := slices.Clone(c.h.states)
		c.h.mu.Unlock()
		want := []http.ConnState{http.StateActive, http.StateIdle, http.StateActive}
		if !slices.Equal(got, want) {
			t.Errorf("states %v, want %v", got, want)
		}
	})
}

func TestWriteAfterReturn(t *testing.T) {
	script(t, "stale calls", func(t *testing.T, fm form) {
		var w1 http.ResponseWriter
		var r1 *http.Request
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI == "/first" {
				w1, r1 = w, r
				return
			}
			if n, err := w1.Write([]byte("stale")); err == nil {
				t.Errorf("a stale Write took %d bytes", n)
			}
			if _, err := r1.Body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("a stale Body.Read = %v, want an error", err)
			}
			w1.WriteHeader(500)
			w1.(http.Flusher).Flush()
			io.WriteString(w, "second")
		})
		c.write("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		c.want("the first", 200, "")
		c.write("POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		c.want("untouched by the first", 200, "second")
	})
}
