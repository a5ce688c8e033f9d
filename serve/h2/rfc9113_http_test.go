package h2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// RFC 9113 §8: what HTTP is in frames.

func TestRFC9113Section8Messages(t *testing.T) {
	script(t, "8.1 a request as its handler sees it", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s|%v|%d|%s %d %d|%v %v %v %v|%v", r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Host, r.RemoteAddr,
				r.Header, r.ContentLength, r.Proto, r.ProtoMajor, r.ProtoMinor, r.TransferEncoding, r.Close, r.Body == http.NoBody, r.TLS == nil, r.Trailer)
		})
		c.headers(1, final, ":method", "GET", ":path", "/a%20b?c=d", ":authority", "Example.ORG.:8443", ":scheme", "https", "x-a", "1", "x-b", "", "x-a", "2")
		c.wantAnswer("a GET", 1, 200, "GET|/a%20b?c=d|/a b|c=d|example.org:8443|192.0.2.7:4711|map[X-A:[1 2] X-B:[]]|0|HTTP/2.0 2 0|[] false true true|map[]")
		c.post(3, "/p", "content-length", "3", "trailer", "X-T, X-U")
		c.dataEnd(3, "abc")
		c.wantAnswer("a POST", 3, 200, "POST|/p|/p||a|192.0.2.7:4711|map[Content-Length:[3]]|3|HTTP/2.0 2 0|[] false false true|map[X-T:[] X-U:[]]")
		c.post(5, "/p")
		c.dataEnd(5, "")
		c.wantAnswer("of unknown length", 5, 200, "POST|/p|/p||a|192.0.2.7:4711|map[]|-1|HTTP/2.0 2 0|[] false false true|map[]")
	})
	script(t, "8.1 an answer", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/none":
			case "/204":
				w.WriteHeader(204)
				if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
					t.Errorf("a write to 204: %v", err)
				}
			case "/304":
				w.Header().Set("ETag", `"x"`)
				w.Header().Set("Content-Type", "text/css")
				w.Header().Set("Content-Length", "1000")
				w.WriteHeader(304)
			case "/fields":
				h := w.Header()
				h["X-Two"] = []string{" a ", "\tb"}
				h.Set("X-Split", "a\r\nSet-Cookie: b")
				h["Bad Name"] = []string{"x"}
				h.Set("Connection", "keep-alive, x-two")
				h.Set("Transfer-Encoding", "chunked")
				h.Set("Upgrade", "h2c")
				w.WriteHeader(299)
				h.Set("X-Late", "1")
				io.WriteString(w, "<html>")
			case "/flush":
				io.WriteString(w, "first")
				w.(http.Flusher).Flush()
				io.WriteString(w, "second")
			}
		})
		c.get(1, "/none")
		a := c.wantAnswer("no content", 1, 200, "", "content-length", "0", "content-type", "", "date", "Sat, 01 Jan 2000 00:00:00 GMT")
		if !a.end() {
			t.Error("an empty answer is one frame")
		}
		c.get(3, "/204")
		a = c.wantAnswer("204", 3, 204, "", "content-length", "", "content-type", "")
		if !a.end() {
			t.Error("204 is one frame")
		}
		c.get(5, "/304")
		c.wantAnswer("304", 5, 304, "", "content-length", "1000", "content-type", "", "etag", `"x"`)
		c.get(7, "/fields")
		c.wantAnswer("fields", 7, 299, "<html>", "x-two", "a", "x-split", "a  Set-Cookie: b", "bad name", "", "x-late", "",
			"content-type", "text/html; charset=utf-8", "content-length", "6")
		c.get(9, "/flush")
		c.wantHeaders("flushed", 9, 200, "content-length", "", "content-type", "text/plain; charset=utf-8")
		c.wantData("flushed", 9, "first")
		c.wantDataEnd("the rest", 9, "second")
		c.wantLive("afterwards")
		if n := c.cfg.Counters.Sanitised.Load(); n != 2 {
			t.Errorf("Counters.Sanitised = %d, want 2", n)
		}
	})
	script(t, "8.1 HEAD", func(t *testing.T, fm form) {
		c := connect(t, fm, sized)
		for i, tt := range []struct{ path, length string }{{"/n/0", ""}, {"/n/100", "100"}, {"/w/20000", ""}, {"/c/20000", "20000"}, {"/c/0", "0"}} {
			id := uint32(2*i + 1)
			c.headers(id, final, head4("HEAD", tt.path)...)
			a := c.wantAnswer("HEAD "+tt.path, id, 200, "", "content-length", tt.length)
			if !a.end() {
				t.Errorf("HEAD %s: more than one frame", tt.path)
			}
		}
		c.wantLive("afterwards")
	})
	script(t, "8.1 content-length is kept to", func(t *testing.T, fm form) {
		n := new(notes)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			k, err := io.WriteString(w, "abc")
			n.add("%d %v", k, err)
			if r.URL.Path == "/more" {
				k, err = io.WriteString(w, "def")
				n.add("%d %v", k, err)
			}
		})
		c.get(1, "/less")
		c.wantHeaders("too little", 1, 200, "content-length", "5")
		c.wantData("too little", 1, "abc")
		c.wantReset("shows by a reset", 1, xhttp2.ErrCodeInternal)
		n.want(t, "too little", "3 <nil>")
		c.get(3, "/more")
		c.wantHeaders("too much", 3, 200, "content-length", "5")
		c.wantData("too much", 3, "abc")
		c.wantReset("is refused, and then too little", 3, xhttp2.ErrCodeInternal)
		n.want(t, "too much", "3 <nil>", "0 "+http.ErrContentLength.Error())
		c.wantLive("afterwards")
	})
	script(t, "8.1 the answer before the request is whole", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.post(1, "/")
		c.wantAnswer("an early answer", 1, 200, "hello")
		c.wantReset("the rest is not wanted", 1, xhttp2.ErrCodeNo)
		c.data(1, "on its way")
		c.dataEnd(1, "")
		c.wantLive("what was on its way is ignored")
		c.inOne(func() {
			c.post(3, "/")
			c.data(3, "some")
		})
		c.wantAnswer("with some of the body", 3, 200, "hello")
		c.wantReset("the rest is not wanted", 3, xhttp2.ErrCodeNo)
		c.inOne(func() {
			c.post(5, "/")
			c.dataEnd(5, "all")
		})
		c.wantAnswer("with all of the body", 5, 200, "hello")
		c.wantLive("no reset")
	})
	script(t, "8.1 a hundred early answers, and what was on its way", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) })
		c.inOne(func() {
			for i := range uint32(100) {
				c.post(2*i+1, "/")
			}
		})
		c.settle()
		for i := range uint32(100) {
			c.wantAnswer("refused", 2*i+1, 401, "")
			c.wantReset("the rest is not wanted", 2*i+1, xhttp2.ErrCodeNo)
		}
		for i := range uint32(100) {
			c.data(2*i+1, "on its way")
		}
		c.wantLive("ignored, on all of them")
	})
	script(t, "8.1 a body that nobody reads is not kept", func(t *testing.T, fm form) {
		n, g := new(notes), newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			r.Body.Close()
			_, err := r.Body.Read(make([]byte, 1))
			n.add("%v", err)
			g.wait("go")
			hello(w, r)
		})
		c.post(1, "/")
		c.data(1, "some")
		n.want(t, "closed", http.ErrBodyReadAfterClose.Error())
		for range 4 {
			c.data(1, strings.Repeat("x", 15000))
		}
		c.wantIdle("thrown away")
		g.open("go")
		c.wantAnswer("the answer", 1, 200, "hello")
		c.wantReset("the rest is not wanted", 1, xhttp2.ErrCodeNo)
		c.wantLive("afterwards")
	})
}

func TestRFC9113Section8Trailers(t *testing.T) {
	script(t, "8.1 trailers of a request", func(t *testing.T, fm form) {
		n := new(notes)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n.add("before: %v", r.Trailer)
			b, err := io.ReadAll(r.Body)
			n.add("after: %s %v %v", b, err, r.Trailer)
		})
		c.post(1, "/", "trailer", "x-t, host")
		c.data(1, "body")
		c.headers(1, final, "x-t", "1", "x-t", "2", "x-u", "not announced", "host", "evil", "authorization", "evil")
		c.wantAnswer("read", 1, 200, "")
		n.want(t, "forbidden ones are dropped (H1-7)", "before: map[X-T:[]]", "after: body <nil> map[X-T:[1 2] X-U:[not announced]]")
		c.inOne(func() {
			c.post(3, "/")
			c.headers(3, final, "x-t", "1")
		})
		c.wantAnswer("without content", 3, 200, "")
		n.want(t, "in one read", "before: map[]", "after:  <nil> map[X-T:[1]]")
	})
	for name, say := range map[string]func(c *peer){
		"without END_STREAM":         func(c *peer) { c.headers(1, more, "x-t", "1") },
		"with a pseudo-field":        func(c *peer) { c.headers(1, final, "x-t", "1", ":path", "/") },
		"with upper case":            func(c *peer) { c.headers(1, final, "X-t", "1") },
		"with LF in a value":         func(c *peer) { c.headers(1, final, "x-t", "1\n2") },
		"with content-length unmet":  func(c *peer) { c.headers(1, final, "x-t", "1") },
		"of more than 8 KiB (H1-7)":  func(c *peer) { c.headers(1, final, "x-t", strings.Repeat("x", 8200)) },
		"of more than 32 fields":     func(c *peer) { c.headers(1, final, strings.Fields(strings.Repeat("x-t 1 ", 33))...) },
		"in which a field is empty ": func(c *peer) { c.headers(1, final, "", "1") },
	} {
		script(t, "8.1 trailers of a request "+name, func(t *testing.T, fm form) {
			n := new(notes)
			c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				n.add("%v %v", err, r.Trailer)
			})
			var fields []string
			if strings.Contains(name, "unmet") {
				fields = []string{"content-length", "5"}
			}
			c.post(1, "/", fields...)
			c.data(1, "body")
			c.settle()
			say(c)
			c.wantReset("malformed", 1, xhttp2.ErrCodeProtocol)
			n.want(t, "its handler learns of it, and sees nothing of it", errResetByUs.Error()+" map[]")
			c.get(3, "/")
			c.wantAnswer("the connection goes on", 3, 200, "")
		})
	}
	script(t, "8.1 trailers of an answer", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			switch r.URL.Path {
			case "/announced":
				h.Set("Trailer", "X-T, X-Unset")
				h.Set("X-T", "set early, sent late")
				io.WriteString(w, "body")
			case "/length":
				h.Set("Trailer", "X-T")
				h.Set("Content-Length", "4")
				io.WriteString(w, "body")
				h.Set("X-T", "1")
			case "/prefix":
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
				h.Set(http.TrailerPrefix+"X-T", "1")
				h.Set(http.TrailerPrefix+"Content-Length", "4")
			case "/unused":
				h.Set("Trailer", "X-T")
				io.WriteString(w, "body")
			case "/empty":
				h.Set("Trailer", "X-T")
				h.Set("X-T", "1")
			case "/head":
				h.Set("Trailer", "X-T")
				h.Set("X-T", "1")
				io.WriteString(w, "body")
			case "/large":
				h.Set("Trailer", "X-T")
				io.WriteString(w, pattern(70000))
				h.Set("X-T", "1")
			}
		})
		c.get(1, "/announced")
		a := c.wantAnswer("announced", 1, 200, "body", "trailer", "X-T, X-Unset", "x-t", "", "content-length", "")
		if a.trailer == nil || a.trailer.field("x-t") != "set early, sent late" || len(a.trailer.fields) != 1 {
			t.Errorf("trailer %v", a.trailer)
		}
		c.get(3, "/length")
		if a = c.wantAnswer("with a length", 3, 200, "body", "content-length", "4"); a.trailer == nil || a.trailer.field("x-t") != "1" {
			t.Errorf("trailer behind a declared length: %v", a.trailer)
		}
		c.get(5, "/prefix")
		if a = c.wantAnswer("by prefix", 5, 200, "body"); a.trailer == nil || a.trailer.field("x-t") != "1" || len(a.trailer.fields) != 1 {
			t.Errorf("trailer by prefix: %v", a.trailer)
		}
		c.get(7, "/unused")
		if a = c.wantAnswer("announced and not set", 7, 200, "body"); a.trailer != nil {
			t.Errorf("trailer %v, want none", a.trailer)
		}
		c.get(9, "/empty")
		if a = c.wantAnswer("without content", 9, 200, ""); a.trailer == nil || a.trailer.field("x-t") != "1" {
			t.Errorf("trailer without content: %v", a.trailer)
		}
		c.headers(11, final, head4("HEAD", "/head")...)
		if a = c.wantAnswer("HEAD", 11, 200, ""); a.trailer != nil {
			t.Errorf("trailer of HEAD: %v", a.trailer)
		}
		c.get(13, "/large")
		c.wantHeaders("above the window", 13, 200)
		c.update(0, 1<<20)
		c.update(13, 1<<20)
		c.settle()
		s := ""
		var last got
		for len(c.queue) > 0 {
			if g := c.queue[0]; g.id == 13 {
				s += g.data
				last = g
			}
			c.queue = c.queue[1:]
		}
		if s != pattern(70000) || !last.end() || last.field("x-t") != "1" {
			t.Errorf("above the window: %d bytes, %v", len(s), last)
		}
		c.wantLive("afterwards")
	})
}

func TestRFC9113Section8Informational(t *testing.T) {
	script(t, "8.1 informational answers", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(http.StatusProcessing)
			hello(w, r)
		})
		c.get(1, "/")
		if g := c.wantHeaders("103", 1, 103, "link", "</style.css>", "date", ""); g.end() {
			t.Error("103 ends the stream")
		}
		c.wantHeaders("102", 1, 102, "link", "</style.css>", "content-length", "")
		c.wantAnswer("the final one", 1, 200, "hello", "link", "</style.css>", "content-length", "5")
	})
	script(t, "8.1 Expect: 100-continue", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/read":
				echo(w, r)
			case "/by-itself":
				w.WriteHeader(100)
				echo(w, r)
			case "/late":
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				echo(w, r)
			case "/no":
				w.WriteHeader(403)
			}
		})
		c.post(1, "/read", "expect", "100-Continue")
		c.wantHeaders("asked for by the first read", 1, 100)
		c.dataEnd(1, "body")
		c.wantAnswer("once", 1, 200, "POST /read body")
		c.post(3, "/by-itself", "expect", "100-continue")
		c.wantHeaders("by the handler", 3, 100)
		c.wantIdle("once")
		c.dataEnd(3, "body")
		c.wantAnswer("once", 3, 200, "POST /by-itself body")
		c.post(5, "/no", "expect", "100-continue")
		c.wantAnswer("never, if it reads nothing", 5, 403, "")
		c.wantReset("the body is not wanted", 5, xhttp2.ErrCodeNo)
		c.post(7, "/late", "expect", "100-continue")
		c.wantHeaders("a final answer", 7, 200)
		c.wantIdle("no 100 behind it")
		c.dataEnd(7, "body")
		c.wantDataEnd("the end", 7, "POST /late body")
		c.inOne(func() {
			c.post(9, "/read", "expect", "100-continue")
			c.dataEnd(9, "did not wait")
		})
		c.wantAnswer("the body is here", 9, 200, "POST /read did not wait")
		c.get(11, "/read", "expect", "100-continue")
		c.wantAnswer("there is no body", 11, 200, "GET /read ")
		c.get(13, "/read", "expect", "something-else")
		c.wantAnswer("another expectation (H1-14)", 13, 417, "")
		c.wantLive("afterwards")
	})
}

func TestRFC9113Section8Malformed(t *testing.T) {
	long := strings.Repeat("x", 100)
	fields := func(fields ...string) []string { return head4("GET", "/", fields...) }
	swap := func(name, value string) []string {
		h := head4("GET", "/")
		for i := 0; i < len(h); i += 2 {
			if h[i] == name {
				h[i+1] = value
			}
		}
		return h
	}
	without := func(name string) []string {
		var h []string
		for i, f := range head4("GET", "/") {
			if all := head4("GET", "/"); all[i&^1] != name {
				h = append(h, f)
			}
		}
		return h
	}
	for _, tt := range []struct {
		name string
		head []string
	}{
		{"8.1.1 content-length above 0 with END_STREAM", fields("content-length", "1")},
		{"8.1.1 content-length that is no number", fields("content-length", "+0")},
		{"8.1.1 content-length empty", fields("content-length", "")},
		{"8.1.1 content-length above 2^63-1", fields("content-length", "9223372036854775808")},
		{"8.1.1 content-length as a list", fields("content-length", "0, 0")},
		{"8.1.1 content-length twice", fields("content-length", "0", "content-length", "0")},
		{"8.2 upper case in a name", fields("x-A", "1")},
		{"8.2.1 an empty name", fields("", "1")},
		{"8.2.1 SP in a name", fields("x a", "1")},
		{"8.2.1 a colon in a name", fields("x:a", "1")},
		{"8.2.1 NUL in a name", fields("x\x00", "1")},
		{"8.2.1 DEL in a name", fields("x\x7f", "1")},
		{"8.2.1 an 8-bit byte in a name", fields("x\xe4", "1")},
		{"8.2.1 NUL in a value", fields("x-a", "1\x002")},
		{"8.2.1 LF in a value", fields("x-a", "1\n2")},
		{"8.2.1 CR in a value", fields("x-a", "1\r2")},
		{"8.2.1 SP before a value", fields("x-a", " 1")},
		{"8.2.1 SP behind a value", fields("x-a", "1 ")},
		{"8.2.1 HTAB before a value", fields("x-a", "\t1")},
		{"8.2.1 HTAB behind a value", fields("x-a", "1\t")},
		{"8.2.1 a value of SP", fields("x-a", " ")},
		{"8.2.2 connection", fields("connection", "keep-alive")},
		{"8.2.2 keep-alive", fields("keep-alive", "1")},
		{"8.2.2 proxy-connection", fields("proxy-connection", "close")},
		{"8.2.2 transfer-encoding", fields("transfer-encoding", "chunked")},
		{"8.2.2 upgrade", fields("upgrade", "websocket")},
		{"8.2.2 te other than trailers", fields("te", "trailers, deflate")},
		{"8.3 a pseudo-field behind a field", append(append([]string{":method", "GET", ":scheme", "https", ":path", "/"}, "x-a", "1"), ":authority", "a")},
		{"8.3 an unknown pseudo-field", append([]string{":foo", "x"}, fields()...)},
		{"8.3 :status in a request", append([]string{":status", "200"}, fields()...)},
		{"8.3 an empty pseudo-field", append([]string{":", "x"}, fields()...)},
		{"8.3 :method in upper case", append([]string{":Method", "GET"}, without(":method")...)},
		{"8.3 :method twice", append([]string{":method", "GET"}, fields()...)},
		{"8.3 :scheme twice", append([]string{":scheme", "https"}, fields()...)},
		{"8.3 :path twice", append([]string{":path", "/"}, fields()...)},
		{"8.3 :authority twice", append([]string{":authority", "a"}, fields()...)},
		{"8.3.1 no :method", without(":method")},
		{"8.3.1 no :scheme", without(":scheme")},
		{"8.3.1 no :path", without(":path")},
		{"8.3.1 neither :authority nor host", without(":authority")},
		{"8.3.1 :method empty", swap(":method", "")},
		{"8.3.1 :method is no token", swap(":method", "GE T")},
		{"8.3.1 :scheme empty", swap(":scheme", "")},
		{"8.3.1 :scheme that is not ours", swap(":scheme", "ftp")},
		{"8.3.1 :path empty", swap(":path", "")},
		{"8.3.1 :path without a slash", swap(":path", "path")},
		{"8.3.1 :path with SP", swap(":path", "/a b")},
		{"8.3.1 :path with a fragment", swap(":path", "/a#b")},
		{"8.3.1 :path in absolute form", swap(":path", "https://a/")},
		{"8.3.1 :path with a broken escape", swap(":path", "/%zz")},
		{"8.3.1 :path with CR LF", swap(":path", "/\r\nx: y")},
		{"8.3.1 * without OPTIONS", swap(":path", "*")},
		{"8.3.1 :authority empty", swap(":authority", "")},
		{"8.3.1 :authority with userinfo", swap(":authority", "user@a")},
		{"8.3.1 :authority with a path", swap(":authority", "a/b")},
		{"8.3.1 :authority with a bad port", swap(":authority", "a:99999")},
		{"8.3.1 host empty", append(without(":authority"), "host", "")},
		{"8.3.1 host twice", append(without(":authority"), "host", "a", "host", "a")},
		{"8.3.1 host other than :authority", fields("host", "b")},
		{"8.3.1 host with another port than :authority", fields("host", "a:444")},
		{"8.3.1 Host of two names", append(without(":authority"), "host", "a, b")},
		{"8.5 CONNECT with :path", []string{":method", "CONNECT", ":authority", "a:443", ":path", "/"}},
		{"8.5 CONNECT with :scheme", []string{":method", "CONNECT", ":authority", "a:443", ":scheme", "https"}},
		{"8.5 CONNECT without :authority", []string{":method", "CONNECT"}},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/good" {
					t.Errorf("the handler saw %v", r)
				}
				io.WriteString(w, r.Header.Get("X-Mark"))
			})
			for i := range uint32(2) { // the second time it is known already
				id := 4*i + 1
				c.headers(id, final, append(tt.head, "x-mark", long)...)
				c.wantReset(tt.name, id, xhttp2.ErrCodeProtocol)
				c.get(id+2, "/good", "x-mark", long)
				c.wantAnswer("the connection goes on", id+2, 200, long)
			}
			if n := c.cfg.Counters.Malformed.Load(); n != 2 {
				t.Errorf("Counters.Malformed = %d, want 2", n)
			}
		})
	}
}

func TestRFC9113Section8ContentLength(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  func(c *peer)
		read string // what the handler reads before
	}{
		{"more at once", func(c *peer) { c.dataEnd(1, "abcdef") }, ""},
		{"more later", func(c *peer) { c.data(1, "abcde"); c.settle(); c.dataEnd(1, "f") }, "abcde"},
		{"less at once", func(c *peer) { c.dataEnd(1, "abc") }, ""},
		{"less later", func(c *peer) { c.data(1, "abc"); c.settle(); c.dataEnd(1, "") }, "abc"},
		{"less before a trailer section", func(c *peer) { c.data(1, "abc"); c.settle(); c.headers(1, final, "x-t", "1") }, "abc"},
	} {
		script(t, "8.1.1 "+tt.name, func(t *testing.T, fm form) {
			n := new(notes)
			c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				n.add("%s %v %v", b, err, r.Context().Err())
			})
			c.post(1, "/", "content-length", "5")
			c.settle()
			tt.say(c)
			c.wantReset(tt.name, 1, xhttp2.ErrCodeProtocol)
			n.want(t, "the handler learns of it", tt.read+" "+errResetByUs.Error()+" context canceled")
			c.wantLive("the connection goes on")
		})
		script(t, "8.1.1 in one read, the handler sees nothing: "+tt.name, func(t *testing.T, fm form) {
			c := connect(t, fm, unreached(t))
			c.inOne(func() {
				c.post(1, "/", "content-length", "5")
				if strings.Contains(tt.name, "later") || strings.Contains(tt.name, "trailer") {
					c.data(1, "abc")
				}
				if tt.name == "less before a trailer section" {
					c.headers(1, final, "x-t", "1")
				} else {
					c.dataEnd(1, strings.Repeat("x", map[byte]int{'m': 6, 'l': 1}[tt.name[0]]))
				}
			})
			c.wantReset(tt.name, 1, xhttp2.ErrCodeProtocol)
			c.wantLive("the connection goes on")
		})
	}
	script(t, "8.1.1 exact", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/", "content-length", "5")
		c.data(1, "abc")
		c.settle()
		c.data(1, "de")
		c.settle()
		c.dataEnd(1, "")
		c.wantAnswer("with an empty end", 1, 200, "POST / abcde")
		c.get(3, "/", "content-length", "0")
		c.wantAnswer("none", 3, 200, "GET / ")
		c.post(5, "/", "content-length", "0")
		c.dataEnd(5, "")
		c.wantAnswer("an empty body", 5, 200, "POST / ")
		c.post(7, "/", "content-length", "5")
		c.data(7, "abcde")
		c.headers(7, final, "x-t", "1")
		c.wantAnswer("before a trailer section", 7, 200, "POST / abcde")
	})
}

func TestRFC9113Section8Legal(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.Host, r.URL, r.Header)
	}
	for i, tt := range []struct {
		name   string
		head   []string
		status int
		want   string
	}{
		{"8.2.2 te: trailers", head4("GET", "/", "te", "trailers"), 200, `GET a / map["Te":["trailers"]]`},
		{"8.2.3 cookie crumbs", head4("GET", "/", "cookie", "a=b", "x-a", "1", "cookie", "c=d", "cookie", "e"), 200, `GET a / map["Cookie":["a=b; c=d; e"] "X-A":["1"]]`},
		{"8.2.1 HTAB and 8-bit bytes in a value", head4("GET", "/", "x-a", "1\t\xe4 2"), 200, `GET a / map["X-A":["1\t\xe4 2"]]`},
		{"8.3.1 host instead of :authority", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "B.example"}, 200, `GET b.example / map[]`},
		{"8.3.1 both, alike", head4("GET", "/", "host", "A"), 200, `GET a / map[]`},
		{"8.3.1 pseudo-fields in any order", []string{":path", "/p?q", ":authority", "[::1]:80", ":scheme", "http", ":method", "GET"}, 200, `GET [::1]:80 /p?q map[]`},
		{"8.3.1 OPTIONS * is answered by the server, as in net/http", head4("OPTIONS", "*"), 200, ""},
		{"8.3.1 a method of its own", head4("BREW", "/"), 200, `BREW a / map[]`},
		{"8.3.1 a long method (H1-12)", head4(strings.Repeat("M", 33), "/"), 501, ""},
		{"8.3.1 a long path (H1-12)", head4("GET", "/"+strings.Repeat("p", 16<<10)), 414, ""},
		{"8.3.1 TRACE (H1-11)", head4("TRACE", "/"), 405, ""},
		{"8.5 CONNECT (H1-11)", []string{":method", "CONNECT", ":authority", "a:443"}, 405, ""},
		{"8.3.1 // is a path", head4("GET", "//b/c"), 200, `GET a //b/c map[]`},
		{"10.5.1 101 fields (H2-4)", append(head4("GET", "/"), strings.Fields(strings.Repeat("x-a 1 ", 97))...), 431, ""},
		{"10.5.1 64 KiB of fields (H2-4)", head4("GET", "/", "x-a", strings.Repeat("a", 30000), "x-b", strings.Repeat("a", 36000)), 431, ""},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			c := connect(t, fm, show)
			send := func(id uint32, flags xhttp2.Flags) {
				f := c.fragment(tt.head...)
				c.open(id)
				c.inOne(func() {
					first := min(len(f), 16384)
					if first == len(f) {
						flags |= xhttp2.FlagHeadersEndHeaders
					}
					c.raw(xhttp2.FrameHeaders, flags, id, string(f[:first]))
					for f = f[first:]; len(f) > 0; {
						n := min(len(f), 16384)
						end := xhttp2.Flags(0)
						if n == len(f) {
							end = xhttp2.FlagContinuationEndHeaders
						}
						c.raw(xhttp2.FrameContinuation, end, id, string(f[:n]))
						f = f[n:]
					}
				})
			}
			for id := uint32(1); id < 6; id += 2 { // again and again: as remembered
				send(id, xhttp2.FlagHeadersEndStream)
				c.wantAnswer(tt.name, id, tt.status, tt.want)
			}
			if i%3 == 0 || tt.status != 200 {
				send(7, 0)
				c.wantAnswer(tt.name+", a body follows", 7, tt.status, tt.want)
				c.wantReset("the rest is not wanted", 7, xhttp2.ErrCodeNo)
				c.dataEnd(7, "on its way")
			}
			c.wantLive("afterwards")
		})
	}
}

// TestRFC9110Answers: what RFC 9110 says of messages whatever carries them.
func TestRFC9110Answers(t *testing.T) {
	script(t, "15.5.14 a body above MaxBodyBytes", func(t *testing.T, fm form) {
		n := new(notes)
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			var large *http.MaxBytesError
			n.add("%s %v", b, errors.As(err, &large))
		}, func(cfg *Config) { cfg.MaxBodyBytes = 5 })
		c.post(1, "/", "content-length", "6")
		c.wantAnswer("declared", 1, 413, "")
		c.wantReset("the rest is not wanted", 1, xhttp2.ErrCodeNo)
		n.want(t, "not a byte", " true")
		c.post(3, "/")
		c.data(3, "abc")
		c.settle()
		c.dataEnd(3, "def")
		c.wantAnswer("not declared", 3, 413, "")
		n.want(t, "what is allowed", "abcde true")
		c.post(5, "/")
		c.dataEnd(5, "abcde")
		c.wantAnswer("exactly", 5, 200, "")
		n.want(t, "all", "abcde false")
		c.wantLive("afterwards")
	})
	script(t, "15.2.2 101 is not for HTTP/2", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Upgrade", "x")
			w.WriteHeader(http.StatusSwitchingProtocols)
		})
		c.get(1, "/")
		c.wantAnswer("ignored", 1, 200, "", "upgrade", "")
		c.wantLive("afterwards")
	})
}
