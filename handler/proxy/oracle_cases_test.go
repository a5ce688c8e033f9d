package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/websocket"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// difference is one that is wanted: what each of the two says, and the rule
// (edge-rules.md) that wants it.
type difference struct{ rule, ours, theirs string }

// wantedDifferences are all there may be, by the name of a case. One that does not
// differ any more, or otherwise, fails as an unknown one does.
var wantedDifferences = map[string]difference{
	"unreachable": {
		"U-1: 502 says why", "502 \"Bad Gateway: upstream connect refused\\n\"", "502 \"\"",
	},
	"trailer of a request": {
		"H1-7: trailer fields of a request arrive", "200 \"text sum=5 err=<nil>\"", "200 \"text sum= err=<nil>\"",
	},
	"upgrade of another protocol": {
		"H1-15: an upgrade that is not on the list is ignored, and ends the connection", "200 \"h2c=\" then nothing", "200 \"h2c=h2c\" then 200",
	},
	"forged fields": {
		"P-1: what clients say of themselves does not count", "200 \"xff=127.0.0.1 real= via=1\"", "200 \"xff= real=6.6.6.6 via=0\"",
	},
	"Connection names Cookie": {
		"P-2: a token that names a field with a meaning", "400 \"Bad Request: Connection names a field that it must not\\n\"", "200 \"cookie=\"",
	},
	"length and coding": {
		"U-4: Content-Length with Transfer-Encoding", "502 \"Bad Gateway: upstream answer malformed\\n\"", "200 \"good\"",
	},
	"bare LF": {
		"U-4: bare LF", "502 \"Bad Gateway: upstream answer malformed\\n\"", "200 \"good\"",
	},
	"body on 204": {
		"U-4: content where there is none", "502 \"Bad Gateway: upstream answer malformed\\n\"", "204 \"\"",
	},
	"101 not asked for": {
		"U-2: 101 not asked for", "502 \"Bad Gateway: upstream upgrade not asked for\\n\"", "502 \"\"",
	},
}

// oracleUpstream answers by path.
func oracleUpstream(told chan<- struct{}) script {
	plain := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	return func(_ *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head), r)))
		if err != nil {
			return false
		}
		h := req.Header
		switch req.URL.Path {
		case "/hints":
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n"+plain("hinted"))
		case "/body":
			b, err := io.ReadAll(req.Body)
			io.WriteString(c, plain(fmt.Sprintf("%s sum=%s err=%v", b, req.Trailer.Get("X-Sum"), err)))
		case "/ws", "/bye":
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
				websocket.Accept(h.Get("Sec-WebSocket-Key")))
			if req.URL.Path == "/ws" {
				io.Copy(c, r)
			}
			return false
		case "/no":
			io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		case "/h2c":
			io.WriteString(c, plain("h2c="+h.Get("Upgrade")))
		case "/fields":
			io.WriteString(c, plain(fmt.Sprintf("xff=%s real=%s via=%d", h.Get("X-Forwarded-For"), h.Get("X-Real-Ip"), len(h["Via"]))))
		case "/cookie":
			io.WriteString(c, plain("cookie="+h.Get("Cookie")))
		case "/trailers":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-More\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nX-Sum: 7\r\nX-More: a\r\nX-More: b\r\n\r\n")
		case "/stream":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")
			io.Copy(io.Discard, r)
			told <- struct{}{}
			return false
		case "/silent":
			io.Copy(io.Discard, r)
			told <- struct{}{}
			return false
		case "/coding":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n")
			return false
		case "/lf":
			io.WriteString(c, "HTTP/1.1 200 OK\nContent-Length: 4\n\ngood")
			return false
		case "/204":
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\ngood")
			return false
		case "/101":
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			return false
		case "/old":
			io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nold")
			return false
		default:
			io.WriteString(c, plain("good"))
		}
		return true
	}
}

// front is one of the two proxies, as a client in a form meets it.
type front struct {
	t      *testing.T
	form   form
	url    string
	client *http.Client
	told   <-chan struct{}
}

// ask sends a request in the form's protocol, and tells what is seen of its answer.
func (f front) ask(ctx context.Context, method, path string, body io.Reader, edit func(*http.Request)) string {
	var interim []string
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		interim = append(interim, fmt.Sprint(code, " ", h.Get("Link"), " then "))
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, body)
	servetest.Must(f.t, "request", err)
	if edit != nil {
		edit(req)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return "failed"
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Sprint(res.StatusCode, " cut off")
	}
	text := fmt.Sprintf("%s%d %q", strings.Join(interim, ""), res.StatusCode, b)
	if len(res.Trailer) > 0 {
		text += fmt.Sprint(" ", res.Trailer["X-Sum"], res.Trailer["X-More"])
	}
	return text
}

// raw sends text over HTTP/1.1, and after the first answer a second request.
func (f front) raw(text string) string {
	_, addr, _ := strings.Cut(f.url, "://")
	c := f.form.dial(f.t, addr)
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, text)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return "failed"
	}
	b, _ := io.ReadAll(res.Body)
	said := fmt.Sprintf("%d %q then ", res.StatusCode, b)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if res, err = http.ReadResponse(r, nil); err != nil {
		return said + "nothing"
	}
	return said + fmt.Sprint(res.StatusCode)
}

// leave cancels a request once its answer has begun, or while none comes, and tells
// whether the upstream has learnt it.
func (f front) leave(path string) string {
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	if path == "/silent" {
		defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	}
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+path, nil)
	servetest.Must(f.t, "request", err)
	res, err := f.client.Do(req)
	if err == nil {
		b := make([]byte, 5)
		io.ReadFull(res.Body, b)
		cancel()
		res.Body.Close()
	}
	<-f.told
	return "the upstream was told"
}

// oracleCases are requests of which both proxies must make the same, but for the
// wanted differences. major: the only version of HTTP that it is for; 0: all.
var oracleCases = []struct {
	name  string
	major int
	run   func(f front) string
}{
	{"103 Early Hints", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/hints", nil, nil) }},
	{"100 (Continue)", 1, func(f front) string {
		return f.expect("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "body")
	}},
	{"trailer of a request", 0, func(f front) string {
		return f.ask(f.t.Context(), "POST", "/body", io.MultiReader(strings.NewReader("text")), func(r *http.Request) {
			r.Trailer = http.Header{"X-Sum": {"5"}}
		})
	}},
	{"trailer of an answer", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/trailers", nil, nil) }},
	{"answer of HTTP/1.0", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/old", nil, nil) }},
	{"upgrade", 1, func(f front) string { return f.talk("/ws") }},
	{"upgrade that ends at once", 1, func(f front) string { return f.talk("/bye") }},
	{"refused upgrade", 1, func(f front) string { return f.raw(strings.Replace(upgradeHead, "/ws", "/no", 1)) }},
	{"upgrade of another protocol", 1, func(f front) string {
		return f.raw("GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	}},
	{"client leaves the content", 0, func(f front) string { return f.leave("/stream") }},
	{"client leaves before the head", 0, func(f front) string { return f.leave("/silent") }},
	{"forged fields", 0, func(f front) string {
		return f.ask(f.t.Context(), "GET", "/fields", nil, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "6.6.6.6")
			r.Header.Set("X-Real-Ip", "6.6.6.6")
		})
	}},
	{"Connection names Cookie", 1, func(f front) string {
		return f.ask(f.t.Context(), "GET", "/cookie", nil, func(r *http.Request) {
			r.Header.Set("Cookie", "a=b")
			r.Header.Set("Connection", "Cookie")
		})
	}},
	{"length and coding", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/coding", nil, nil) }},
	{"bare LF", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/lf", nil, nil) }},
	{"body on 204", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/204", nil, nil) }},
	{"101 not asked for", 0, func(f front) string { return f.ask(f.t.Context(), "GET", "/101", nil, nil) }},
}

// expect sends a head, and the body once it is asked for.
func (f front) expect(head, body string) string {
	_, addr, _ := strings.Cut(f.url, "://")
	c := f.form.dial(f.t, addr)
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, head)
	r := bufio.NewReader(c)
	said := ""
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return said + "failed"
		}
		if res.StatusCode == http.StatusContinue {
			said += "100 then "
			io.WriteString(c, body)
			continue
		}
		b, _ := io.ReadAll(res.Body)
		return said + fmt.Sprintf("%d %q", res.StatusCode, b)
	}
}

// talk upgrades, and says something to an upstream that says the same.
func (f front) talk(path string) string {
	_, addr, _ := strings.Cut(f.url, "://")
	c := f.form.dial(f.t, addr)
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, strings.Replace(upgradeHead, "/ws", path, 1))
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return "failed"
	}
	said := fmt.Sprint(res.StatusCode, " ", res.Header.Get("Upgrade"), " ", res.Header.Get("Sec-Websocket-Accept"))
	if path == "/ws" {
		io.WriteString(c, text("hello"))
		b := make([]byte, len(text("hello")))
		_, err := io.ReadFull(r, b)
		return said + fmt.Sprintf(" %q %v", b, err)
	}
	b, _ := io.ReadAll(r)
	return said + fmt.Sprintf(" %q", b)
}

// TestOracleCases: what httputil.ReverseProxy makes of them on the same engine, so
// do we, but for what a rule wants otherwise.
func TestOracleCases(t *testing.T) {
	told := make(chan struct{}, 1)
	up := newFaulty(t, oracleUpstream(told))
	differed := map[string]bool{}
	for _, f := range []form{forms[0], forms[4], forms[6]} {
		ours, theirs := f.bothFronts(t, "http://"+up.addr, told)
		for _, c := range oracleCases {
			if c.major != 0 && c.major != f.major {
				continue
			}
			got, want := c.run(ours), c.run(theirs)
			judge(t, f.name+": "+c.name, c.name, got, want, differed)
		}
		ours, theirs = f.bothFronts(t, "http://127.0.0.1:1", told)
		got, want := ours.ask(t.Context(), "GET", "/", nil, nil), theirs.ask(t.Context(), "GET", "/", nil, nil)
		judge(t, f.name+": unreachable", "unreachable", got, want, differed)
	}
	for name := range wantedDifferences {
		if !differed[name] {
			t.Errorf("%s: it is on the list of wanted differences, and there is none", name)
		}
	}
}

// judge compares what was seen of ours and of theirs.
func judge(t *testing.T, title, name, got, want string, differed map[string]bool) {
	t.Helper()
	d, wanted := wantedDifferences[name]
	switch {
	case !wanted && got != want:
		t.Errorf("%s: got %s, the oracle says %s", title, got, want)
	case wanted && (got != d.ours || want != d.theirs):
		t.Errorf("%s (%s):\ngot %s, want %s\nthe oracle says %s, not %s", title, d.rule, got, d.ours, want, d.theirs)
	}
	differed[name] = differed[name] || wanted && got != want
}

// bothFronts serves both proxies of origin in the form.
func (f form) bothFronts(t *testing.T, origin string, told <-chan struct{}) (ours, theirs front) {
	t.Helper()
	u, err := url.Parse(origin)
	servetest.Must(t, "url", err)
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	std := &httputil.ReverseProxy{FlushInterval: -1, Transport: tr, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}
	serve := func(h http.Handler) front {
		url, client := f.serveFront(t, h)
		return front{t, f, url, client, told}
	}
	return serve(newProxy(t, proxy.Options{Service: newService(t, unhurried(), origin)})), serve(std)
}
