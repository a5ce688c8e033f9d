package h1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// patience bounds the waits of a test; reaching it fails.
const patience = 10 * time.Second

// upstream is a raw server: what it does with its n-th connection is a script.
type upstream struct {
	t        testing.TB
	ln       net.Listener
	accepted atomic.Int32
	group    sync.WaitGroup
}

// newUpstream runs scripts, one for a connection; the last for all later ones.
func newUpstream(t testing.TB, scripts ...func(p *peer)) *upstream {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	u := &upstream{t: t, ln: ln}
	u.group.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			i := int(u.accepted.Add(1)) - 1
			u.group.Go(func() {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(patience))
				scripts[min(i, len(scripts)-1)](&peer{t: t, nc: nc, r: bufio.NewReader(nc)})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		u.group.Wait()
	})
	return u
}

// peer is the upstream's end of a connection, with net/http's codec.
type peer struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

// head reads a request's head.
func (p *peer) head() *http.Request {
	r, err := http.ReadRequest(p.r)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		p.t.Logf("upstream: read a request: %v", err)
	}
	if err != nil {
		return nil
	}
	return r
}

// request reads a whole request; nil: the connection has ended.
func (p *peer) request() (r *http.Request, body string) {
	if r = p.head(); r == nil {
		return nil, ""
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, string(b)
	}
	return r, string(b)
}

func (p *peer) write(s string) { io.WriteString(p.nc, s) }

// wantEnd waits for the client to end the connection.
func (p *peer) wantEnd(why string) {
	n, err := io.Copy(io.Discard, p.r)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		p.t.Errorf("%s: the connection is open still, %d bytes came", why, n)
	}
}

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answers gives each request the same answer.
func answers(answer string) func(*peer) {
	return func(p *peer) {
		for r, _ := p.request(); r != nil; r, _ = p.request() {
			p.write(answer)
		}
	}
}

var plain = answers(plainAnswer)

// first answers the first request in its own way, all others plainly.
func first(answer string) func(*peer) {
	return func(p *peer) {
		if r, _ := p.request(); r == nil {
			return
		}
		p.write(answer)
		plain(p)
	}
}

// client is a Client of u. Its home is process-wide.
type client struct {
	*Client
	t    testing.TB
	home link.Home
}

func newClient(t testing.TB, u *upstream, opts Options) *client {
	t.Helper()
	opts.Address = u.ln.Addr().String()
	c := &client{Client: New(opts), t: t, home: &link.Portable{}}
	t.Cleanup(func() {
		c.Close()
		c.Wait()
	})
	return c
}

func get() *message.Request {
	return &message.Request{Method: "GET", Authority: "a.test", Target: "/"}
}

func post(body string, length int64) *message.Request {
	return &message.Request{Method: "POST", Authority: "a.test", Target: "/", Body: strings.NewReader(body), Length: length}
}

func (c *client) do(req *message.Request) (message.Exchange, error) {
	return c.Do(c.t.Context(), c.home, req)
}

// result is all that is seen of an exchange that was read to its end.
type result struct {
	status  int
	fields  string // "Name: value" lines
	body    string
	trailer string
	err     error
}

func lines(fields []message.Field) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(string(f.Name) + ": " + string(f.Value) + "\n")
	}
	return b.String()
}

// read reads an exchange to its end and closes it.
func read(x message.Exchange, err error) (r result) {
	if err != nil {
		return result{err: err}
	}
	defer x.Close()
	r.status, r.fields = x.Response().Status, lines(x.Response().Fields)
	for {
		piece, err := x.Next()
		r.body += string(piece)
		switch {
		case err == io.EOF:
			r.trailer = lines(x.Trailer())
			return r
		case err != nil:
			r.err = err
			return r
		}
	}
}

// wantPlain fails the test unless the client can be used as if nothing had been.
func (c *client) wantPlain(why string) {
	c.t.Helper()
	r := read(c.do(get()))
	if r.err != nil || r.status != 200 || r.body != "ok" {
		c.t.Errorf("%s: the next request got %d %q, %v", why, r.status, r.body, r.err)
	}
}

// wantKind fails the test unless err is a *message.Error of that kind.
func wantKind(t testing.TB, why string, err error, kind message.Kind) *message.Error {
	t.Helper()
	var e *message.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: got %v, want %v", why, err, kind)
	}
	if e.Kind != kind {
		t.Errorf("%s: got %v, want %v", why, e, kind)
	}
	return e
}

// blockedBody gives its text and then waits until it is released, as the body of
// a client that has stopped sending.
type blockedBody struct {
	text     io.Reader
	inside   chan struct{} // closed when it waits
	released chan struct{}
}

func newBlockedBody(t testing.TB, text string) *blockedBody {
	b := &blockedBody{strings.NewReader(text), make(chan struct{}), make(chan struct{})}
	t.Cleanup(b.release)
	return b
}

func (b *blockedBody) Read(p []byte) (int, error) {
	if n, _ := b.text.Read(p); n > 0 {
		return n, nil
	}
	close(b.inside)
	<-b.released
	return 0, errors.New("released")
}

func (b *blockedBody) release() {
	select {
	case <-b.released:
	default:
		close(b.released)
	}
}

// failingReader fails behind its text.
func failingReader(text string, err error) io.Reader {
	return io.MultiReader(strings.NewReader(text), readerFunc(func([]byte) (int, error) { return 0, err }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// onceCancelled is a context with its cancel function, of the test.
func onceCancelled(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
