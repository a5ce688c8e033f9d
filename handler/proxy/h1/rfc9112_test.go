package h1

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// sent is what a request looks like on the wire, of one that is answered.
func sent(t *testing.T, req *message.Request, answer string) string {
	t.Helper()
	home, k := scripted(t, answer)
	c := New(Options{Address: "mem"})
	r := read(c.Do(t.Context(), home, req))
	servetest.WantErr(t, "the answer", r.err, nil)
	c.Wait()
	return string(k.written)
}

// answered is what becomes of an answer's bytes, whole and byte by byte.
func answered(t *testing.T, req func() *message.Request, answer string) result {
	t.Helper()
	home, _ := scripted(t, answer)
	whole := read(New(Options{Address: "mem"}).Do(t.Context(), home, req()))
	home, _ = scripted(t, strings.Split(answer, "")...)
	slow := read(New(Options{Address: "mem"}).Do(t.Context(), home, req()))
	if whole.status != slow.status || whole.body != slow.body || whole.fields != slow.fields || whole.trailer != slow.trailer || (whole.err == nil) != (slow.err == nil) {
		t.Errorf("in one piece: %+v\nbyte by byte: %+v", whole, slow)
	}
	return whole
}

// The order is that of RFC 9112.
func TestRFC9112(t *testing.T) {
	field := func(name, value string) message.Field { return message.Field{Name: []byte(name), Value: []byte(value)} }
	t.Run("3 Request Line", testRequestLine)
	t.Run("3.2 Host and fields in their order", func(t *testing.T) {
		r := get()
		r.Target = "/a?b=%20c"
		r.Fields = []message.Field{field("x-lower", "1"), field("X-Forwarded-For", "192.0.2.1"), field("x-lower", "2")}
		want := "GET /a?b=%20c HTTP/1.1\r\nHost: a.test\r\nx-lower: 1\r\nX-Forwarded-For: 192.0.2.1\r\nx-lower: 2\r\n\r\n"
		servetest.Want(t, "the head", sent(t, r, plainAnswer), want)
	})
	t.Run("5.5 nothing splits the message (H1-16)", func(t *testing.T) {
		r := get()
		r.Authority = "a.test\r\nX: y"
		r.Fields = []message.Field{field("X-A", "b\r\nX-B: c"), field("X B", "d"), field("", "e")}
		servetest.Want(t, "the head", sent(t, r, plainAnswer), "GET / HTTP/1.1\r\nHost: a.test  X: y\r\nX-A: b  X-B: c\r\n\r\n")
	})
	t.Run("6 what frames the body is ours to say", func(t *testing.T) {
		r := post("hello", 5)
		for _, name := range []string{
			"Host", "content-length", "Transfer-Encoding", "TE", "UPGRADE", "Connection", "Keep-Alive", "Proxy-Connection", "Expect", "Trailer",
		} {
			r.Fields = append(r.Fields, field(name, "1"))
		}
		servetest.Want(t, "the request", sent(t, r, plainAnswer), "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
	})
	t.Run("6.2 Content-Length", func(t *testing.T) {
		for method, want := range map[string]string{"GET": "", "DELETE": "", "POST": "Content-Length: 0\r\n", "PUT": "Content-Length: 0\r\n"} {
			r := get()
			r.Method = method
			servetest.Want(t, "no body", sent(t, r, plainAnswer), method+" / HTTP/1.1\r\nHost: a.test\r\n"+want+"\r\n")
		}
		r := post("", 0)
		r.Method = "DELETE"
		servetest.Want(t, "an empty body", sent(t, r, plainAnswer), "DELETE / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
	})
	t.Run("6.3 Message Body Length", testBodyLength)
	t.Run("7.1 Chunked", testChunked)
	t.Run("7.1.2 Trailer Section", func(t *testing.T) {
		r := answered(t, get, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nConnection: close\r\n\r\n")
		servetest.WantErr(t, "the answer", r.err, nil)
		servetest.Want(t, "what may not be a trailer field is dropped", r.trailer, "X-Sum: 1\n")
		servetest.Want(t, "the announcement is passed on", r.fields, "Trailer: X-Sum\n")
	})
	t.Run("7.4 TE", func(t *testing.T) {
		r := get()
		r.TETrailers = true
		servetest.Want(t, "the head", sent(t, r, plainAnswer), "GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
	})
	t.Run("9110 7.6.1 Connection", func(t *testing.T) {
		r := answered(t, get, "HTTP/1.1 200 OK\r\nX-Named: 1\r\nConnection: x-NAMED, keep-alive, Other\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n"+
			"Upgrade: h2c\r\nTE: x\r\nProxy-Authenticate: Basic\r\nX-Kept: 2\r\nother: 3\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\nok")
		servetest.WantErr(t, "the answer", r.err, nil)
		servetest.Want(t, "what is passed on", r.fields, "X-Kept: 2\nContent-Length: 2\nSet-Cookie: a=b\nset-cookie: c=d\n")
	})
	t.Run("9110 7.8 Upgrade", func(t *testing.T) {
		r := get()
		r.Protocol = "websocket"
		r.TETrailers = true
		servetest.Want(t, "the head", sent(t, r, plainAnswer),
			"GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nUpgrade: websocket\r\nConnection: TE, Upgrade\r\n\r\n")
	})
	t.Run("9110 15.2 Informational", testInformational)
}

// testRequestLine: what cannot be sent is refused before a connection is made.
func testRequestLine(t *testing.T) {
	for name, change := range map[string]func(*message.Request){
		"method":              func(r *message.Request) { r.Method = "GE T" },
		"no method":           func(r *message.Request) { r.Method = "" },
		"CONNECT":             func(r *message.Request) { r.Method = "CONNECT" },
		"space in the target": func(r *message.Request) { r.Target = "/ HTTP/1.1" },
		"CRLF in the target":  func(r *message.Request) { r.Target = "/\r\nX: y" },
		"no target":           func(r *message.Request) { r.Target = "" },
		"upgrade with a body": func(r *message.Request) { r.Protocol, r.Body, r.Length = "websocket", strings.NewReader("x"), 1 },
		"protocol":            func(r *message.Request) { r.Protocol = "a b" },
	} {
		r := get()
		change(r)
		home := &memHome{} // which cannot dial
		_, err := New(Options{Address: "mem"}).Do(t.Context(), home, r)
		e := wantKind(t, name, err, message.RequestFailed)
		servetest.Want(t, name+": nothing was sent", e.Unsent, true)
	}
}

func testBodyLength(t *testing.T) {
	head := func() *message.Request {
		r := get()
		r.Method = "HEAD"
		return r
	}
	for _, c := range []struct {
		name, answer string
		req          func() *message.Request
		length       int64
		body         string
	}{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", head, 0, ""},
		{"HEAD chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head, 0, ""},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", get, 0, ""},
		{"204 with a length of zero", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", get, 0, ""},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", get, 0, ""},
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", get, 5, "hello"},
		{"length of zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", get, 0, ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", get, -1, "hello"},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nhello", get, -1, "hello"},
		{"HTTP/1.0 until close", "HTTP/1.0 200 OK\r\n\r\nhello", get, -1, "hello"},
		{"until close, empty", "HTTP/1.1 200 OK\r\n\r\n", get, -1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := answered(t, c.req, c.answer)
			servetest.WantErr(t, "the answer", r.err, nil)
			servetest.Want(t, "the body", r.body, c.body)
			home, _ := scripted(t, c.answer)
			x, err := New(Options{Address: "mem"}).Do(t.Context(), home, c.req())
			servetest.Must(t, "the head", err)
			servetest.Want(t, "the length", x.Response().Length, c.length)
			x.Close()
		})
	}
}

func testChunked(t *testing.T) {
	t.Run("request", func(t *testing.T) {
		r := post("hello", -1)
		r.Trailer = func() []message.Field {
			return []message.Field{{Name: []byte("X-Sum"), Value: []byte("1")}, {Name: []byte("Content-Length"), Value: []byte("9")}}
		}
		want := "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
		u := newUpstream(t, func(p *peer) {
			q, body := p.request()
			if q == nil {
				t.Error("no request")
				return
			}
			servetest.Want(t, "the body", body, "hello")
			servetest.Want(t, "the trailer", q.Trailer.Get("X-Sum"), "1")
			servetest.Want(t, "trailer fields", len(q.Trailer), 1)
			p.write(plainAnswer)
		})
		k := newClient(t, u, Options{})
		servetest.WantErr(t, "the answer", read(k.do(r)).err, nil)
		r.Body = strings.NewReader("hello")
		if got := sent(t, r, plainAnswer); got != want && !strings.HasPrefix(got, want[:strings.Index(want, "5\r\n")]) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("large request", func(t *testing.T) {
		text := strings.Repeat("0123456789", 100_000)
		u := newUpstream(t, func(p *peer) {
			_, body := p.request()
			servetest.Want(t, "the body", body == text, true)
			p.write(plainAnswer)
		})
		k := newClient(t, u, Options{})
		servetest.WantErr(t, "the answer", read(k.do(post(text, -1))).err, nil)
	})
	t.Run("chunks of all sizes", func(t *testing.T) {
		var answer, want strings.Builder
		answer.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range 60 {
			part := strings.Repeat(string(rune('a'+i%26)), 1+i*i*7%3000)
			answer.WriteString(strconv.FormatInt(int64(len(part)), 16) + ";ext=1\r\n" + part + "\r\n")
			want.WriteString(part)
		}
		answer.WriteString("0\r\n\r\n")
		r := answered(t, get, answer.String())
		servetest.WantErr(t, "the answer", r.err, nil)
		servetest.Want(t, "the body", r.body == want.String(), true)
	})
	t.Run("the data before a bad chunk is given, then the error", func(t *testing.T) {
		r := answered(t, get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2\r\nokay\r\n")
		wantKind(t, "bad chunk", r.err, message.Malformed)
		servetest.Want(t, "the data before", r.body, "okok")
	})
}

func testInformational(t *testing.T) {
	var got strings.Builder
	req := func() *message.Request {
		got.Reset()
		r := get()
		r.Informational = func(status int, fields []message.Field) {
			got.WriteString(strconv.Itoa(status) + " " + lines(fields))
		}
		return r
	}
	hints := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X\r\nX: y\r\n\r\n"
	r := answered(t, req, "HTTP/1.1 100 Continue\r\n\r\n"+hints+"HTTP/1.1 102 Processing\r\n\r\n"+plainAnswer)
	servetest.WantErr(t, "the answer", r.err, nil)
	servetest.Want(t, "the final one", r.body, "ok")
	servetest.Want(t, "what was told", got.String(), "103 Link: </a>\n102 ")

	r = answered(t, req, strings.Repeat(hints, maxInformational)+plainAnswer)
	servetest.WantErr(t, "as many as may be", r.err, nil)
	r = answered(t, req, strings.Repeat(hints, maxInformational+1)+plainAnswer)
	wantKind(t, "one more (U-2)", r.err, message.HeadTooLarge)
}

// TestReady: ready tells what would not wait, and gives what it has found.
func TestReady(t *testing.T) {
	goOn := make(chan string)
	u := newUpstream(t, func(p *peer) {
		p.request()
		p.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
		for s := range goOn {
			p.write(s)
		}
	})
	k := newClient(t, u, Options{})
	x, err := k.do(get())
	servetest.Must(t, "the head", err)
	defer x.Close()
	var body string
	collect := func() {
		for x.Ready() {
			piece, err := x.Next()
			body += string(piece)
			if err != nil {
				body += " " + err.Error()
				return
			}
		}
	}
	for _, step := range []struct{ send, want string }{
		{"", "hel"}, {"l", "hell"}, {"o\r", "hello"}, {"\n2\r\n", "hello"}, {"!!\r\n0\r\n\r\n", "hello!! EOF"},
	} {
		if step.send != "" {
			goOn <- step.send
		}
		servetest.WantSoon(t, "what has come is ready", func() bool {
			collect()
			return body == step.want
		})
	}
	close(goOn)
}

// TestReadyAfterDeadline: a deadline of an earlier wait is none of Ready's.
func TestReadyAfterDeadline(t *testing.T) {
	u := newUpstream(t, func(p *peer) {
		p.request()
		p.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
		p.write("ok")
		p.wantEnd("the end")
	})
	k := newClient(t, u, Options{})
	req := get()
	req.HeadTimeout = 50 * time.Millisecond
	x, err := k.do(req)
	servetest.Must(t, "the head", err)
	defer x.Close()
	time.Sleep(2 * req.HeadTimeout) // so that it has passed
	var body string
	servetest.WantSoon(t, "the rest is here", func() bool {
		if !x.Ready() {
			return false
		}
		piece, err := x.Next()
		servetest.WantErr(t, "a piece", err, nil)
		body += string(piece)
		return len(body) == 4 || err != nil
	})
}
