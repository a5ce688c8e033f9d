package proxy

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func lines(s *fieldSet) []string {
	var list []string
	for _, f := range s.list {
		list = append(list, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
	slices.Sort(list)
	return list
}

// TestFields: what belongs to the connection goes first, then our own come (P-1, P-2).
func TestFields(t *testing.T) {
	trust := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}
	forged := []string{
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6",
		"X-Real-Ip: 6.6.6.6", "X-Forwarded_For: 6.6.6.6", "X_forwarded-For: 6.6.6.6", "X-Forwarded-Anything: evil",
	}
	for _, c := range []struct {
		name   string
		remote string
		secure bool
		o      Forwarded
		fields []string
		want   []string
	}{
		{
			"plain", "192.0.2.7:1", false,
			Forwarded{},
			[]string{"Accept: */*", "Cookie: a", "Cookie: b"},
			[]string{"Accept: */*", "Cookie: a", "Cookie: b", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"},
		},
		{"hop by hop", "192.0.2.7:1", true, Forwarded{}, []string{
			"Connection: keep-alive, X-Private , close", "Keep-Alive: 1", "X-Private: x", "Te: trailers", "Transfer-Encoding: chunked", "Upgrade: h2c",
			"Proxy-Connection: x", "Proxy-Authorization: x", "Proxy-Authenticate: x", "Trailer: a", "Expect: 100-continue", "Content-Length: 3", "Http2-Settings: x",
		}, []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: https"}},
		{
			"forged", "192.0.2.7:1", false,
			Forwarded{},
			forged,
			[]string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"},
		},
		{
			"forged, and others are trusted", "192.0.2.7:1", false,
			Forwarded{Trust: trust},
			forged,
			[]string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"},
		},
		{
			"trusted", "10.1.2.3:1", false,
			Forwarded{Trust: trust},
			[]string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: b.example", "X-Real-Ip: 6.6.6.6"},
			[]string{"X-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.1.2.3", "X-Forwarded-Host: b.example", "X-Forwarded-Proto: https", "X-Real-Ip: 6.6.6.6"},
		},
		{
			"standard", "[2001:db8::1]:1", true,
			Forwarded{Standard: true},
			[]string{"Forwarded: for=6.6.6.6"},
			[]string{`Forwarded: for="[2001:db8::1]";host="a.example";proto=https`, "X-Forwarded-For: 2001:db8::1", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: https"},
		},
		{
			"standard, trusted", "10.1.2.3:1", false,
			Forwarded{Standard: true, Trust: trust},
			[]string{"Forwarded: for=7.7.7.7"},
			[]string{`Forwarded: for=7.7.7.7, for=10.1.2.3;host="a.example";proto=http`, "X-Forwarded-For: 10.1.2.3", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"},
		},
		{"a Unix socket", "@", false, Forwarded{Trust: trust}, forged[:1], []string{"X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"}},
		{"a zone", "[fe80::1%eth0]:1", false, Forwarded{}, nil, []string{"X-Forwarded-For: fe80::1", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: http"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://a.example/", nil)
			r.RemoteAddr, r.Header = c.remote, make(http.Header)
			if c.secure {
				r.TLS = new(tls.ConnectionState)
			}
			for _, f := range c.fields {
				name, value, _ := strings.Cut(f, ": ")
				r.Header[name] = append(r.Header[name], value)
			}
			var s fieldSet
			for range 2 { // the second one in what the first has left
				s.reset()
				trusted := c.o.peerTrusted(r)
				servetest.Want(t, "taken", s.collect(r.Header, trusted), true)
				s.tellOfClient(r, &c.o, trusted)
			}
			if got := lines(&s); !slices.Equal(got, c.want) {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
		})
	}
}

// TestConnectionNames: a token of Connection must not take away what others go by.
func TestConnectionNames(t *testing.T) {
	for _, name := range []string{
		"Host", "cookie", "Authorization", "Content-Type", "content-length", "X-Forwarded-For", "x-forwarded_for", "Forwarded", "X-Real-IP",
	} {
		var s fieldSet
		servetest.Want(t, name, s.collect(http.Header{"Connection": {"", "close, " + name}}, false), false)
	}
}

func TestClient(t *testing.T) {
	o := Forwarded{Trust: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	for _, c := range []struct{ remote, chain, want string }{
		{"192.0.2.7:1", "6.6.6.6", "192.0.2.7"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"10.0.0.1:1", "6.6.6.6, 192.0.2.7", "192.0.2.7"},
		{"10.0.0.1:1", "6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7"},
		{"10.0.0.1:1", "6.6.6.6, junk, 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1:1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"[::ffff:10.0.0.1]:1", "192.0.2.7:443", "192.0.2.7"},
		{"[::1]:1", "[2001:db8::1]", "2001:db8::1"},
		{"[::1]:1", "[2001:db8::1]:443", "2001:db8::1"},
		{"@", "192.0.2.7", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": {c.chain}}}
		servetest.Want(t, c.remote+" "+c.chain, o.Client(r).String(), c.want)
	}
}

func TestOriginForm(t *testing.T) {
	for in, want := range map[string]string{
		"/a?b": "/a?b", "*": "*", "http://h/a?b": "/a?b", "http://h": "/", "http://h?b": "/?b", "": "/", "h:80": "/",
		"http://h/%2F//x": "/%2F//x",
	} {
		servetest.Want(t, in, originForm(in), want)
	}
}

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		o        Rewrite
		in, want string
	}{
		{Rewrite{StripPrefix: "/api"}, "/api/v1?x=/api", "/v1?x=/api"},
		{Rewrite{StripPrefix: "/api/"}, "/api/v1", "/v1"},
		{Rewrite{StripPrefix: "/api"}, "/api", "/"},
		{Rewrite{StripPrefix: "/api"}, "/apis", "/apis"},
		{Rewrite{StripPrefix: "/api"}, "/%61p%69/%2e%41", "/%2e%41"},
		{Rewrite{StripPrefix: "/a/b"}, "/a%2fb/c", "/a%2fb/c"},
		{Rewrite{AddPrefix: "/v2/"}, "/x", "/v2/x"},
		{Rewrite{StripPrefix: "/a", AddPrefix: "/b"}, "/a/c?d", "/b/c?d"},
		{Rewrite{Path: "/one"}, "/a/b?c", "/one?c"},
	} {
		servetest.Want(t, fmt.Sprintf("%+v of %s", c.o, c.in), c.o.apply(c.in), c.want)
	}
	for _, o := range []Rewrite{{StripPrefix: "a"}, {AddPrefix: "/a?b"}, {Path: "/a b"}, {Path: "/a", AddPrefix: "/b"}} {
		if o.validate() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// FuzzStripPath: what is left is the end of the path, and begins with a slash.
func FuzzStripPath(f *testing.F) {
	f.Add("/%61/b", "/a")
	f.Add("/a%", "/a")
	f.Add("/a%2", "/a%")
	f.Fuzz(func(t *testing.T, path, prefix string) {
		rest, ok := stripPath(path, prefix)
		if ok && (rest == "" || rest[0] != '/' || rest != "/" && !strings.HasSuffix(path, rest)) {
			t.Errorf("%q of %q without %q", rest, path, prefix)
		}
	})
}

func TestGRPCTimeout(t *testing.T) {
	for in, want := range map[string]string{
		"1S": "1s", "20m": "20ms", "3M": "3m0s", "1H": "1h0m0s", "100u": "100µs", "7n": "7ns", "0S": "1ns",
		"": "none", "S": "none", "1": "none", "1s": "none", "-1S": "none", "123456789S": "none", "99999999H": "none",
	} {
		d, ok := grpcTimeout([]string{in})
		got := "none"
		if ok {
			got = d.String()
		}
		servetest.Want(t, in, got, want)
	}
}
