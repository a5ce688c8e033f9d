package message

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/semantics"
	"github.com/penstock-edge/penstock/serve/servetest"
)

var testRules = Rules{TargetBytes: 64, MethodBytes: 8}

// lines makes fields of names and values in turn.
func lines(pairs ...string) (fields []hpack.Field) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, hpack.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return fields
}

// get is a good request, with more fields.
func get(more ...string) []hpack.Field {
	return lines(append([]string{":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"}, more...)...)
}

func read(fields []hpack.Field) *Head {
	h := new(Head)
	h.Read(fields, false, testRules)
	return h
}

func TestHeadRead(t *testing.T) {
	h := read(lines(":path", "/a%20b?c=d", ":authority", "Example.ORG.:8443", ":method", "POST", ":scheme", "http",
		"x-a", "1", "cookie", "a=b", "content-length", "3", "x-a", "", "cookie", "c=d", "trailer", "x-t", "expect", "100-Continue",
		"te", "trailers", "host", "example.org:8443", "priority", "u=1, i"))
	want := &Head{
		Method: "POST", Scheme: "http", Path: "/a%20b?c=d", Host: "example.org:8443",
		URL:    semantics.TargetURL("/a%20b?c=d"),
		Names:  []string{"X-A", "Cookie", "Content-Length", "X-A", "Trailer", "Te", "Priority"},
		Values: []string{"1", "a=b; c=d", "3", "", "x-t", "trailers", "u=1, i"},
		Length: 3, Expect: true, Trailer: true,
		Priority: semantics.Priority{Urgency: 1, Incremental: true}, Signalled: true,
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("a head with everything:\n got %+v\nwant %+v", h, want)
	}

	h.Read(get("x-b", "2"), false, testRules)
	if want := read(get("x-b", "2")); !reflect.DeepEqual(h, want) {
		t.Errorf("nothing is left of the head before:\n got %+v\nwant %+v", h, want)
	}
	h.Read(get("x-b", "2"), true, testRules)
	if want := (Head{Names: []string{}, Values: []string{}, Length: -1, Status: 431}); !reflect.DeepEqual(*h, want) {
		t.Errorf("a head that is too large:\n got %+v\nwant %+v", *h, want)
	}
}

// TestHeadFaults: what makes a request malformed, in the order of RFC 9113.
func TestHeadFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []hpack.Field
		fault  string // a part of it; empty: it is a good one
	}{
		{"8.1.1 content-length", get("content-length", "0"), ""},
		{"8.1.1 content-length repeated", get("content-length", "1", "content-length", "1"), "content-length"},
		{"8.1.1 content-length with a sign", get("content-length", "+1"), "content-length"},
		{"8.1.1 content-length, empty", get("content-length", ""), "content-length"},
		{"8.1.1 content-length above 63 bits", get("content-length", "9223372036854775808"), "content-length"},
		{"8.2.1 a value of any octet", get("x-a", "a\tb \x80\xff"), ""},
		{"8.2.1 upper case", get("X-a", "1"), "forbidden bytes"},
		{"8.2.1 a name without bytes", get("", "1"), "forbidden bytes"},
		{"8.2.1 SP in a name", get("x a", "1"), "forbidden bytes"},
		{"8.2.1 a colon inside a name", get("x:a", "1"), "forbidden bytes"},
		{"8.2.1 an octet of 8 bits in a name", get("x\x80", "1"), "forbidden bytes"},
		{"8.2.1 NUL in a value", get("x-a", "1\x002"), "forbidden bytes"},
		{"8.2.1 CR in a value", get("x-a", "1\r2"), "forbidden bytes"},
		{"8.2.1 LF in a value", get("x-a", "1\n2"), "forbidden bytes"},
		{"8.2.1 SP before a value", get("x-a", " 1"), "forbidden bytes"},
		{"8.2.1 HTAB behind a value", get("x-a", "1\t"), "forbidden bytes"},
		{"8.2.2 connection", get("connection", "close"), "connection-specific"},
		{"8.2.2 keep-alive", get("keep-alive", "1"), "connection-specific"},
		{"8.2.2 proxy-connection", get("proxy-connection", "close"), "connection-specific"},
		{"8.2.2 transfer-encoding", get("transfer-encoding", "chunked"), "connection-specific"},
		{"8.2.2 upgrade", get("upgrade", "h2c"), "connection-specific"},
		{"8.2.2 TE: trailers", get("te", "trailers"), ""},
		{"8.2.2 another TE", get("te", "trailers, gzip"), "TE"},
		{"8.3 a pseudo-field behind a field", lines(":method", "GET", ":scheme", "https", ":authority", "a", "x-a", "1", ":path", "/"), "behind fields"},
		{"8.3 behind a field that is not kept", lines(":method", "GET", ":scheme", "https", "host", "a", ":path", "/"), "behind fields"},
		{"8.3 of an answer", append(lines(":status", "200"), get()...), "repeated or unknown"},
		{"8.3 without a name", append(lines(":", ""), get()...), "repeated or unknown"},
		{"8.3 in upper case", lines(":Method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"), "repeated or unknown"},
		{"8.3.1 :method repeated", append(lines(":method", "GET"), get()...), "repeated or unknown"},
		{"8.3.1 :scheme repeated", append(lines(":scheme", "https"), get()...), "repeated or unknown"},
		{"8.3.1 :authority repeated", append(lines(":authority", "a"), get()...), "repeated or unknown"},
		{"8.3.1 :path repeated", append(lines(":path", "/"), get()...), "repeated or unknown"},
		{"8.3.1 no fields at all", nil, ":method"},
		{"8.3.1 without :method", lines(":scheme", "https", ":authority", "a", ":path", "/"), ":method"},
		{"8.3.1 :method is no token", lines(":method", "G T", ":scheme", "https", ":authority", "a", ":path", "/"), ":method"},
		{"8.3.1 without :scheme", lines(":method", "GET", ":authority", "a", ":path", "/"), ":scheme"},
		{"8.3.1 another :scheme", lines(":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"), ":scheme"},
		{"8.3.1 without :path", lines(":method", "GET", ":scheme", "https", ":authority", "a"), ":path"},
		{"8.3.1 :path is empty", lines(":method", "GET", ":scheme", "https", ":authority", "a", ":path", ""), ":path"},
		{"8.3.1 :path in absolute form", lines(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "https://a/"), ":path"},
		{"8.3.1 :path with a fragment", lines(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/#a"), ":path"},
		{"8.3.1 :path * without OPTIONS", lines(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "*"), ":path"},
		{"8.3.1 host in the place of :authority", lines(":method", "GET", ":scheme", "https", ":path", "/", "host", "a"), ""},
		{"8.3.1 neither", lines(":method", "GET", ":scheme", "https", ":path", "/"), ":authority"},
		{"8.3.1 both, alike", get("host", "A"), ""},
		{"8.3.1 both, different", get("host", "b"), ":authority"},
		{"8.3.1 host repeated", get("host", "a", "host", "a"), ":authority"},
		{"8.3.1 :authority with userinfo", lines(":method", "GET", ":scheme", "https", ":authority", "u@a", ":path", "/"), ":authority"},
		{"8.3.1 :authority is empty", lines(":method", "GET", ":scheme", "https", ":authority", "", ":path", "/"), ":authority"},
		{"8.5 CONNECT with :path", lines(":method", "CONNECT", ":authority", "a:1", ":path", "/"), "CONNECT"},
		{"8.5 CONNECT with :scheme", lines(":method", "CONNECT", ":authority", "a:1", ":scheme", "https"), "CONNECT"},
		{"8.5 CONNECT without :authority", lines(":method", "CONNECT", "host", "a"), "CONNECT"},
		{"RFC 8441 extended CONNECT", append(lines(":protocol", "websocket"), lines(":method", "CONNECT", ":scheme", "https", ":authority", "a", ":path", "/")...), ""},
		{"RFC 8441 without :path", lines(":protocol", "websocket", ":method", "CONNECT", ":scheme", "https", ":authority", "a"), ":path"},
		{"RFC 8441 :protocol with GET", append(lines(":protocol", "websocket"), get()...), ":protocol"},
		{"RFC 8441 :protocol is no token", lines(":protocol", "a b", ":method", "CONNECT", ":scheme", "https", ":authority", "a", ":path", "/"), ":protocol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := read(tt.fields)
			if (h.Fault == "") != (tt.fault == "") || !strings.Contains(h.Fault, tt.fault) {
				t.Errorf("fault %q, want one with %q", h.Fault, tt.fault)
			}
			if tt.fault == "" {
				servetest.Want(t, "a good head goes to a handler", h.Status, 0)
			}
		})
	}
}

// TestHeadStatus: what is answered without a handler.
func TestHeadStatus(t *testing.T) {
	for _, tt := range []struct {
		name         string
		method, path string
		more         []string
		rules        Rules
		want         int
	}{
		{"a method of 8 bytes", "PROPFIND", "/", nil, testRules, 0},
		{"a method of 9 bytes", "PROPPATCH", "/", nil, testRules, 501},
		{"TRACE", "TRACE", "/", nil, testRules, 405},
		{"a target of 64 bytes", "GET", "/" + strings.Repeat("a", 63), nil, testRules, 0},
		{"a target of 65 bytes", "GET", "/" + strings.Repeat("a", 64), nil, testRules, 414},
		{"a larger target with forbidden bytes", "GET", "/" + strings.Repeat("#", 64), nil, testRules, 414},
		{"another expectation", "GET", "/", []string{"expect", "200-ok"}, testRules, 417},
		{"two expectations", "GET", "/", []string{"expect", "200-ok", "expect", "100-continue"}, testRules, 417},
		{"OPTIONS *", "OPTIONS", "*", nil, testRules, 200},
		{"OPTIONS *, the handler's", "OPTIONS", "*", nil, Rules{
			TargetBytes: 64, MethodBytes: 8, Server: &http.Server{DisableGeneralOptionsHandler: true},
		}, 0},
		{"OPTIONS *, the server's", "OPTIONS", "*", nil, Rules{TargetBytes: 64, MethodBytes: 8, Server: new(http.Server)}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fields := append(lines(":method", tt.method, ":scheme", "https", ":authority", "a", ":path", tt.path), lines(tt.more...)...)
			var h Head
			h.Read(fields, false, tt.rules)
			servetest.Want(t, "fault", h.Fault, "")
			servetest.Want(t, "status", h.Status, tt.want)
		})
	}
	servetest.Want(t, "CONNECT to a host", read(lines(":method", "CONNECT", ":authority", "a:1")).Status, 405)
}

// TestCookieCrumbs: joining them is work in proportion to their bytes (H2-4).
func TestCookieCrumbs(t *testing.T) {
	fields := get()
	for range 90 {
		fields = append(fields, hpack.Field{Name: "cookie", Value: strings.Repeat("c", 600)})
	}
	var h Head
	h.Read(fields, false, testRules)
	if n := len(h.Values[0]); h.Fault != "" || n != 90*602-2 {
		t.Fatalf("%q, a cookie of %d bytes", h.Fault, n)
	}
	got := testing.AllocsPerRun(10, func() { h.Read(fields, false, testRules) })
	if got > 12 {
		t.Errorf("%v allocations for 90 crumbs: they are joined one by one", got)
	}
}

func TestHeadFill(t *testing.T) {
	h := read(get("x-a", "1", "x-b", "2", "x-a", "3"))
	want := http.Header{"X-A": {"1", "3"}, "X-B": {"2"}}
	first, given := h.Fill(nil, nil)
	if !reflect.DeepEqual(first, want) {
		t.Errorf("a new map: %v, want %v", first, want)
	}
	// What a handler does to the map shows neither in its neighbours nor later.
	first["X-B"] = append(first["X-B"], "more")
	first["X-A"][0] = "changed"
	first.Set("X-C", "new")
	if !slices.Equal(h.Values, []string{"1", "2", "3"}) {
		t.Errorf("the handler's changes reach the head: %q", h.Values)
	}
	second, again := h.Fill(first, given)
	if !reflect.DeepEqual(second, want) {
		t.Errorf("the map again: %v, want %v", second, want)
	}
	servetest.Want(t, "the array is used again", &again[0], &given[0])
	second["X-B"] = append(second["X-B"], "more")
	servetest.Want(t, "an append does not run into the neighbour", second["X-A"][1], "3")

	h = read(lines(":protocol", "websocket", ":method", "CONNECT", ":scheme", "https", ":authority", "a", ":path", "/"))
	tunnel, _ := h.Fill(nil, nil)
	servetest.Want(t, "extended CONNECT shows as with net/http", strings.Join(tunnel[":protocol"], "|"), "websocket")
}

// TestAllocs: a head without crumbs or new names, read and filled into what the
// last one left, allocates the lowered host alone.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	fields := get("user-agent", "x", "accept", "*/*", "cookie", "a=b", "priority", "u=2")
	var h Head
	var header http.Header
	var given []string
	got := testing.AllocsPerRun(100, func() {
		h.Read(fields, false, testRules)
		header, given = h.Fill(header, given)
	})
	if got > 2 { // and the list of crumbs
		t.Errorf("%v allocations", got)
	}
	servetest.Want(t, "fields", len(header), 4)
}
