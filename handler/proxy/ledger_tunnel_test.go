package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	xhttp2 "golang.org/x/net/http2"

	"github.com/penstock-edge/penstock/handler/proxy/websocket"
)

// tunnelKinds are the kinds of requests that want a tunnel: an Upgrade over HTTP/1.1,
// an extended CONNECT over HTTP/2 and HTTP/3.
var tunnelKinds = map[string]outcome{
	"echo":    {101, 2},
	"ahead":   {101, 1}, // the client sends before it has its tunnel
	"bye":     {101, 1}, // the upstream ends it first
	"abort":   {101, 1}, // the upstream resets it amid a message
	"vanish":  {101, 1}, // the client is gone amid a message
	"refuse":  {403, 1},
	"ok":      {200, 1}, // an answer to what is an ordinary request for this upstream
	"foreign": {502, 1}, // 101 with a protocol that nobody asked for
	"connect": {405, 1}, // CONNECT to an origin
}

const (
	// smuggled begins the nonce of requests that hide behind others.
	smuggled = "smuggled"
	// messagesOfTunnel go there and back.
	messagesOfTunnel = 4
)

func hides(nonce string) string {
	return "GET /plain/" + smuggled + nonce + " HTTP/1.1\r\nHost: a\r\n\r\n"
}

// nonceMessage is the i-th message of a tunnel, a frame of WebSocket.
func nonceMessage(nonce string, i int) string {
	return text(fmt.Sprint(i, ":") + strings.Repeat(nonce, 1+(i*131+len(nonce)*17)%400))
}

func greeting(nonce string) string { return text("hello " + nonce) }

// answerTunnel answers a request for a tunnel. What comes behind it must be the
// tunnel's.
func answerTunnel(t *testing.T, c net.Conn, r *bufio.Reader, kind, nonce, head string) {
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil || req.Method != "GET" || req.Header.Get("Upgrade") == "" {
		t.Errorf("%s %s: the upstream has got %q (%v)", kind, nonce, head, err)
		return
	}
	protocol := req.Header.Get("Upgrade")
	switch kind {
	case "refuse":
		fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\r\nX-Nonce: %s\r\nContent-Length: %d\r\n\r\n%s", nonce, len(nonce), nonce)
	case "ok":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Nonce: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", nonce, len(nonce), nonce)
	case "foreign":
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\nevil")
	default:
		head := "HTTP/1.1 101 Switching Protocols\r\nX-Nonce: " + nonce + "\r\nUpgrade: " + protocol + "\r\nConnection: Upgrade\r\n"
		if protocol == "websocket" {
			head += "Sec-WebSocket-Accept: " + websocket.Accept(req.Header.Get("Sec-WebSocket-Key")) + "\r\n"
		}
		io.WriteString(c, head+"\r\n"+greeting(nonce))
		echoMessages(t, c, r, kind, nonce)
		return
	}
	if b, _ := io.ReadAll(r); len(b) > 0 {
		t.Errorf("%s %s: behind a request that was no tunnel's came %.200q (rule H1-15)", kind, nonce, b)
	}
}

// echoMessages sends back what comes, which must be what belongs to the nonce.
func echoMessages(t *testing.T, c net.Conn, r *bufio.Reader, kind, nonce string) {
	for i := range messagesOfTunnel {
		want := nonceMessage(nonce, i)
		got := make([]byte, len(want))
		n, err := io.ReadFull(r, got)
		if string(got[:n]) != want[:n] {
			t.Errorf("%s %s: message %d came as %.200q", kind, nonce, i, got[:n])
			return
		}
		switch {
		case err != nil:
			return // the client has gone, as some do
		case kind == "abort" && i == 1:
			io.WriteString(c, want[:len(want)/2])
			reset(c)
			return
		}
		if _, err := c.Write(got); err != nil {
			return
		}
		if kind == "bye" && i == 1 {
			break
		}
	}
	c.(*net.TCPConn).CloseWrite()
	if b, _ := io.ReadAll(r); kind != "bye" && len(b) > 0 {
		t.Errorf("%s %s: behind the messages came %.200q", kind, nonce, b)
	}
}

// wish is what a client asks for.
type wish struct {
	protocol, path string
	ahead          string // what it sends without waiting
	hidden         string // what it sends behind a request that will be no tunnel
}

// granted is the answer to a wish. With a status of a tunnel, duplex is its end.
type granted struct {
	duplex
	status int
	nonce  string
	body   string // where there is no tunnel
}

// tunnelOpener asks for a tunnel. Its error says that there was no answer.
type tunnelOpener func(ctx context.Context, w wish) (granted, error)

// tunnelOpener gives the form's. Over HTTP/2 and HTTP/3 tunnels share connections;
// over HTTP/3 with the other requests too.
func (f form) tunnelOpener(t *testing.T, url string, client *http.Client) tunnelOpener {
	_, addr, _ := strings.Cut(url, "://")
	_, pool := testCertificate()
	switch f.major {
	case 1:
		return func(ctx context.Context, w wish) (granted, error) { return f.openH1(ctx, addr, w) }
	case 3:
		tr := client.Transport.(*http3.Transport)
		return func(ctx context.Context, w wish) (granted, error) {
			return openStream(ctx, url, w, tr, func(r *http.Request) { r.Proto = w.protocol })
		}
	}
	//lint:ignore SA1019 http.Transport takes no field named :protocol (RFC 8441)
	tr := &xhttp2.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}} //nolint:staticcheck // likewise
	//lint:ignore SA1019 likewise
	t.Cleanup(tr.CloseIdleConnections) //nolint:staticcheck // likewise
	return func(ctx context.Context, w wish) (granted, error) {
		return openStream(ctx, url, w, tr, func(r *http.Request) { r.Header[":protocol"] = []string{w.protocol} })
	}
}

// openH1 has a connection for each tunnel: net/http's client would read ahead.
func (f form) openH1(ctx context.Context, addr string, w wish) (granted, error) {
	var c net.Conn
	var err error
	if f.secure {
		_, pool := testCertificate()
		c, err = (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}).DialContext(ctx, "tcp", addr)
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return granted{}, err
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	head := "CONNECT origin.example:443 HTTP/1.1\r\nHost: origin.example:443\r\n\r\n"
	if w.protocol != "" {
		head = "GET " + w.path + " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + w.protocol +
			"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	}
	if _, err = io.WriteString(c, head+w.ahead+w.hidden); err != nil {
		c.Close()
		return granted{}, err
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		c.Close()
		return granted{}, err
	}
	g := granted{status: res.StatusCode, nonce: res.Header.Get("X-Nonce")}
	if g.status == http.StatusSwitchingProtocols {
		g.duplex = duplex{r, c, func() { c.(interface{ CloseWrite() error }).CloseWrite() }, func() { c.Close() }}
		return g, nil
	}
	defer c.Close()
	body, err := io.ReadAll(res.Body)
	g.body = string(body)
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		return g, fmt.Errorf("behind the answer came %.200q", rest)
	}
	return g, err
}

// openStream has a tunnel on a stream.
func openStream(ctx context.Context, url string, w wish, tr http.RoundTripper, extend func(*http.Request)) (granted, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	var pw *io.PipeWriter
	body := func() (io.ReadCloser, error) { // anew where a connection that is to end has refused the request
		var pr *io.PipeReader
		pr, pw = io.Pipe()
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(w.ahead+w.hidden), pr), pr}, nil
	}
	content, _ := body()
	r, err := http.NewRequestWithContext(ctx, http.MethodConnect, url+w.path, content)
	if err != nil {
		cancel()
		return granted{}, err
	}
	r.GetBody = body
	if w.protocol == "" {
		r.Host, r.URL.Path = "origin.example:443", ""
	} else {
		extend(r)
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		cancel()
		pw.Close()
		return granted{}, err
	}
	end := func() { cancel(); pw.CloseWithError(io.ErrClosedPipe); res.Body.Close() }
	g := granted{status: res.StatusCode, nonce: res.Header.Get("X-Nonce")}
	if g.status == http.StatusOK { // RFC 8441 §5: the tunnel is there
		g.status = http.StatusSwitchingProtocols
		g.duplex = duplex{res.Body, pw, func() { pw.Close() }, end}
		return g, nil
	}
	defer end()
	b, err := io.ReadAll(res.Body)
	g.body = string(b)
	return g, err
}

// tunnel asks for a tunnel of the kind, and uses it.
func (l *ledgerClient) tunnel(kind, nonce string, n int, want outcome) string {
	w := wish{protocol: []string{"websocket", "echo"}[n%2], path: "/" + kind + "/" + nonce}
	first := 0
	switch kind {
	case "ahead":
		w.ahead, first = nonceMessage(nonce, 0), 1
	case "refuse", "ok", "foreign":
		w.hidden = hides(nonce)
	case "connect":
		w.protocol, w.path, w.hidden = "", "", hides(nonce)
	}
	if kind == "ok" && l.form.major > 1 {
		want.status = http.StatusBadGateway // as 200 it would say that the tunnel is there
	}
	open := l.open
	if kind == "vanish" {
		open = l.openLeaving
	}
	g, err := open(l.t.Context(), w)
	if calmed(err) {
		return "failed"
	}
	if err != nil || g.status != want.status {
		l.t.Errorf("%s: %s %s: got %d and %v, want %d", l.form.name, kind, nonce, g.status, err, want.status)
		return "failed"
	}
	if g.status != http.StatusBadGateway && kind != "connect" && g.nonce != nonce || strings.Contains(g.body, "evil") {
		l.t.Errorf("%s: %s %s: got the nonce %q and %.200q", l.form.name, kind, nonce, g.nonce, g.body)
	}
	if g.status != http.StatusSwitchingProtocols {
		if (kind == "refuse" || g.status == http.StatusOK) && g.body != nonce {
			l.t.Errorf("%s: %s %s: got %.200q", l.form.name, kind, nonce, g.body)
		}
		return "right"
	}
	defer g.close()
	err = g.converse(kind, nonce, first)
	if calmed(err) {
		return "failed"
	}
	if err != nil {
		l.t.Errorf("%s: %s %s: %v", l.form.name, kind, nonce, err)
	}
	return "right"
}

// converse sends the messages from first on and reads all of them back.
func (g *granted) converse(kind, nonce string, first int) error {
	if err := g.want(greeting(nonce)); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	for i := range messagesOfTunnel {
		msg := nonceMessage(nonce, i)
		switch {
		case kind == "vanish" && i == 2:
			_, _ = io.WriteString(g, msg[:len(msg)/2])
			return nil
		case kind == "bye" && i == 2:
			return g.wantEnd(kind)
		}
		if i >= first {
			if _, err := io.WriteString(g, msg); err != nil {
				return fmt.Errorf("write of message %d: %w", i, err)
			}
		}
		if kind == "abort" && i == 1 {
			rest, err := io.ReadAll(g)
			if err == nil && bytes.Equal(rest, []byte(msg)) || !strings.HasPrefix(msg, string(rest)) {
				return fmt.Errorf("amid a message came %.200q and %w", rest, err)
			}
			return nil
		}
		if err := g.want(msg); err != nil {
			return fmt.Errorf("echo of message %d: %w", i, err)
		}
	}
	g.closeWrite()
	return g.wantEnd(kind)
}

func (g *granted) want(msg string) error {
	got := make([]byte, len(msg))
	n, err := io.ReadFull(g, got)
	if string(got[:n]) != msg[:n] {
		return fmt.Errorf("got %.200q of others", got[:n])
	}
	return err
}

// wantEnd: the end, and nothing before it.
func (g *granted) wantEnd(kind string) error {
	rest, err := io.ReadAll(g)
	if len(rest) > 0 {
		return fmt.Errorf("%s: before the end came %.200q", kind, rest)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}
