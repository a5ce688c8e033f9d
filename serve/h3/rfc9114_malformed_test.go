package h3

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// RFC 9114 §4.1.2 to §4.3: malformed messages. Each ends its own stream with
// H3_MESSAGE_ERROR, and no handler sees it (H2-9, Q-6).

func TestRFC9114Section4Malformed(t *testing.T) {
	t.Parallel()
	get := func(more ...string) string { return headers(get("/", more...)...) }
	raw := func(lines string) string { return fr(kindHeaders, section(pseudo("GET", "/")...)+lines) }
	for _, tt := range []struct{ name, in string }{
		{"4.2 an upper-case name", raw(literal("X-A", "1"))},
		{"4.2 an upper-case letter in a name of the table", raw(literal("Accept", "*/*"))},
		{"4.2 an upper-case pseudo-field", fr(kindHeaders, section(":scheme", "https", ":authority", "a", ":path", "/")+literal(":Method", "GET"))},
		{"4.2 connection", get("connection", "close")},
		{"4.2 connection, empty", get("connection", "")},
		{"4.2 keep-alive", get("keep-alive", "1")},
		{"4.2 proxy-connection", get("proxy-connection", "close")},
		{"4.2 transfer-encoding", get("transfer-encoding", "chunked")},
		{"4.2 upgrade", get("upgrade", "websocket")},
		{"4.2 te: gzip", get("te", "gzip")},
		{"4.2 te: trailers, gzip", get("te", "trailers, gzip")},
		{"4.2 an empty name", raw(literal("", "1"))},
		{"4.2 a space in a name", raw(literal("x a", "1"))},
		{"4.2 a colon in a name", raw(literal("x:a", "1"))},
		{"4.2 NUL in a name", raw(literal("x\x00", "1"))},
		{"4.2 eight bits in a name", raw(literal("x\xe4", "1"))},
		{"4.2 CR in a value", raw(literal("x-a", "a\rb"))},
		{"4.2 LF in a value", raw(literal("x-a", "a\nb"))},
		{"4.2 NUL in a value", raw(literal("x-a", "a\x00b"))},
		{"4.2 a value that begins with a space", raw(literal("x-a", " a"))},
		{"4.2 a value that ends with a tab", raw(literal("x-a", "a\t"))},
		{"4.3 a pseudo-field behind fields", headers(":method", "GET", ":scheme", "https", "x-a", "1", ":authority", "a", ":path", "/")},
		{"4.3 an unknown pseudo-field", get(":foo", "1")},
		{"4.3 the pseudo-field of answers", get(":status", "200")},
		{"4.3 an empty pseudo-name", fr(kindHeaders, section(pseudo("GET", "/")...)+literal(":", ""))},
		{"4.3.1 :method twice", get(":method", "GET")},
		{"4.3.1 :scheme twice", get(":scheme", "https")},
		{"4.3.1 :authority twice", get(":authority", "a")},
		{"4.3.1 :path twice", get(":path", "/")},
		{"4.3.1 no :method", headers(":scheme", "https", ":authority", "a", ":path", "/")},
		{"4.3.1 no :scheme", headers(":method", "GET", ":authority", "a", ":path", "/")},
		{"4.3.1 no :path", headers(":method", "GET", ":scheme", "https", ":authority", "a")},
		{"4.3.1 no field at all", headers()},
		{"4.3.1 an empty :method", headers(pseudo("", "/")...)},
		{"4.3.1 a space in :method", headers(pseudo("GET /", "/")...)},
		{"4.3.1 an empty :path", headers(pseudo("GET", "")...)},
		{"4.3.1 a :path without slash", headers(pseudo("GET", "x")...)},
		{"4.3.1 a :path with a space", headers(pseudo("GET", "/a b")...)},
		{"4.3.1 a :path with a fragment", headers(pseudo("GET", "/a#b")...)},
		{"4.3.1 a :path that is a URL", headers(pseudo("GET", "https://a/")...)},
		{"4.3.1 * for GET", headers(pseudo("GET", "*")...)},
		{"4.3.1 an unknown :scheme", headers(":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/")},
		{"4.3.1 neither :authority nor host", headers(":method", "GET", ":scheme", "https", ":path", "/")},
		{"4.3.1 an empty :authority", headers(":method", "GET", ":scheme", "https", ":authority", "", ":path", "/")},
		{"4.3.1 userinfo in :authority", headers(":method", "GET", ":scheme", "https", ":authority", "u@a", ":path", "/")},
		{"4.3.1 an :authority that is no host", headers(":method", "GET", ":scheme", "https", ":authority", "a/b", ":path", "/")},
		{"4.3.1 :authority and host differ", get("host", "b")},
		{"4.3.1 host twice", headers(":method", "GET", ":scheme", "https", ":path", "/", "host", "a", "host", "a")},
		{"4.4 CONNECT with :path", headers(pseudo("CONNECT", "/")...)},
		{"4.4 CONNECT without :authority", headers(":method", "CONNECT")},
		{"RFC 9220 3 :protocol without CONNECT", get(":protocol", "websocket")},
		{"RFC 9220 3 :protocol without :path", headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a")},
		{"4.1.2 content-length that is no number", get("content-length", "x")},
		{"4.1.2 content-length with a sign", get("content-length", "+0")},
		{"4.1.2 content-length, empty", get("content-length", "")},
		{"4.1.2 content-length twice", get("content-length", "0", "content-length", "0")},
		{"4.1.2 content-length of a list", get("content-length", "0, 0")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, unreached(t))
			c := s.connect()
			other := c.open(headers(pseudo("POST", "/live")...))
			c.request(tt.in).wantReset("malformed", frame.MessageError)
			servetest.Want(t, "it is counted", s.count().Malformed.Load(), 1)
			other.Close()
			other.wantAnswer("a stream that was open before", "200", "")
			c.wantLive("of that stream only")
		})
	}
}

// TestRFC9114Section4WellFormed: what is no fault, however near.
func TestRFC9114Section4WellFormed(t *testing.T) {
	t.Parallel()
	show := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Host+" "+strings.Join(r.Header["Cookie"], "|")+" "+strings.Join(r.Header["X-A"], "|"))
	}
	for _, tt := range []struct{ name, in, status, body string }{
		{"4.2 te: trailers", headers(get("/", "te", "trailers")...), "200", "GET / a  "},
		{"4.2.1 cookie crumbs", headers(get("/", "cookie", "a=b", "cookie", "c=d")...), "200", "GET / a a=b; c=d "},
		{"4.2 a field twice, and empty", headers(get("/", "x-a", "", "x-a", "1")...), "200", "GET / a  |1"},
		{"4.3.1 host and no :authority", headers(":method", "GET", ":scheme", "https", ":path", "/", "host", "b:1"), "200", "GET / b:1  "},
		{"4.3.1 host and :authority that agree", headers(get("/", "host", "A")...), "200", "GET / a  "},
		{"4.3.1 http", headers(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"), "200", "GET / a  "},
		{"4.3.1 pseudo-fields in another order", headers(":path", "/?b", ":authority", "[::1]:8", ":method", "PUT", ":scheme", "https"), "200", "PUT /?b [::1]:8  "},
		{"4.3.1 OPTIONS *", headers(pseudo("OPTIONS", "*")...), "200", ""},
		{"4.4 CONNECT to an origin (H1-11)", headers(":method", "CONNECT", ":authority", "a:1"), "405", ""},
		{"TRACE (H1-11)", headers(pseudo("TRACE", "/")...), "405", ""},
		{"an expectation that is none (H1-14)", headers(get("/", "expect", "y100-continue")...), "417", ""},
		{"a long method (H1-12)", headers(pseudo(strings.Repeat("A", 33), "/")...), "501", ""},
		{"a long target (H1-12)", headers(pseudo("GET", "/"+strings.Repeat("a", 16<<10))...), "414", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, show)
			c.request(tt.in).wantAnswer("well-formed", tt.status, tt.body)
			c.wantLive("well-formed")
		})
	}
}

// TestRFC9114Section4ContentLength: 4.1.2, Q-6.
func TestRFC9114Section4ContentLength(t *testing.T) {
	t.Parallel()
	head := func(length string) string { return headers(post("/", "content-length", length)...) }
	trailer := headers("x-t", "1")
	for _, tt := range []struct{ name, in, rest string }{
		{"shorter", head("4") + data("ab"), data("c")},
		{"longer in one frame", head("2"), data("abc")},
		{"longer in the second frame", head("3") + data("ab"), data("cd")},
		{"longer by a frame", head("3") + data("abc"), data("d")},
		{"nothing of something", head("1"), ""},
		{"shorter before trailers", head("4") + data("abc"), trailer},
		{"something of nothing", head("0"), data("a")},
	} {
		t.Run("4.1.2 "+tt.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 2)
			s := listen(t, reads(ended))
			c := s.connect()
			x := c.open(tt.in)
			servetest.WantSoon(t, "the handler is called", func() bool { return s.busy() == 1 })
			x.write(tt.rest)
			x.Close()
			servetest.WantErr(t, "its reader is told", <-ended, errLength)
			x.wantReset("malformed", frame.MessageError)
			c.wantLive("of that stream only")
			// In as few packets as may be, the handler may be spared; if it is not, its
			// reader is told.
			c.request(tt.in+tt.rest).wantReset("at once", frame.MessageError)
			select {
			case err := <-ended:
				servetest.WantErr(t, "its reader is told", err, errLength)
			default:
			}
			c.wantLive("of that stream only")
		})
	}
	for _, tt := range []struct{ name, in string }{
		{"right", head("3") + data("ab") + data("c")},
		{"right, with trailers", head("3") + data("abc") + trailer},
		{"nothing of nothing", head("0")},
		{"empty frames", head("0") + data("") + data("")},
		{"none declared", headers(post("/")...) + data("abc")},
	} {
		t.Run("4.1.2 "+tt.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			c := connect(t, reads(ended))
			c.request(tt.in).wantAnswer("well-formed", "200", "")
			servetest.WantErr(t, "its reader", <-ended, nil)
		})
	}
}

// busy is how many requests run.
func (s *site) busy() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.mu.Lock()
		n += len(c.active)
		c.mu.Unlock()
	}
	return n
}

// TestLengthIs: what is whole when its head is read is judged before a handler
// is called: "with the FIN in the same packet".
func TestLengthIs(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		length   int64
		want     bool
	}{
		{"none declared", data("abc"), -1, true},
		{"nothing", "", 0, true},
		{"nothing of something", "", 1, false},
		{"right", data("ab") + fr(kindGrease, "xyz") + data("c"), 3, true},
		{"right, with trailers", data("abc") + headers("x-t", "1"), 3, true},
		{"shorter", data("abc"), 4, false},
		{"longer", data("ab") + data("c"), 2, false},
		{"within a frame: the reader's to tell", data("abc")[:3], 1, true},
		{"within a header: the reader's to tell", data("abc") + "\x00", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &stream{in: input{str: strings.NewReader(headers(get("/")...) + tt.in)}}
			h, err := s.nextFrame()
			servetest.Must(t, "the head", err)
			_, err = s.in.take(int(h.Length))
			servetest.Must(t, "its section", err)
			if err := s.in.fill(); err != io.EOF {
				t.Fatalf("the end: %v", err)
			}
			servetest.Want(t, "all is here", s.isWhole(), true)
			servetest.Want(t, "the length is right", s.lengthIs(tt.length), tt.want)
			s.in.release()
		})
	}
}
