package h1

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestDirty: a dirty connection is closed, never pooled. Each case is a rule; the
// first exchange of a connection is as told, and the next one shows where it runs.
func TestDirty(t *testing.T) {
	upgrade := func() *message.Request {
		r := get()
		r.Protocol = "websocket"
		return r
	}
	head := func() *message.Request {
		r := get()
		r.Method = "HEAD"
		return r
	}
	whole := func(t *testing.T, x message.Exchange, err error) {
		r := read(x, err)
		servetest.WantErr(t, "the answer itself is good", r.err, nil)
	}
	refused := func(kind message.Kind) func(*testing.T, message.Exchange, error) {
		return func(t *testing.T, x message.Exchange, err error) {
			wantKind(t, "the answer breaks the rules", read(x, err).err, kind)
		}
	}
	unread := func(t *testing.T, x message.Exchange, err error) {
		servetest.Must(t, "the head is good", err)
		x.Close()
		x.Close()
	}
	// The upstream may answer before the pump's last write has come back, which
	// costs the connection. The rule is of the body that has been sent whole.
	sent := func(t *testing.T, x message.Exchange, err error) {
		servetest.Must(t, "the head is good", err)
		for p := x.(*handle).x.pump; !p.done(); {
			runtime.Gosched()
		}
		whole(t, x, nil)
	}
	for _, c := range []struct {
		rule   string
		req    *message.Request
		answer string
		use    func(*testing.T, message.Exchange, error)
		kept   bool
	}{
		{"all went as it should", get(), plainAnswer, whole, true},
		{"chunked, read to its end", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", whole, true},
		{"a length of zero", get(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", unread, true},
		{"HEAD", head(), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", unread, true},
		{"204", get(), "HTTP/1.1 204 No Content\r\n\r\n", unread, true},
		{"304 with the length of another answer", get(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", unread, true},
		{"1xx before", get(), "HTTP/1.1 103 Early Hints\r\n\r\n" + plainAnswer, whole, true},
		{"a small body sent", post("hello", 5), plainAnswer, whole, true},
		{"a large body sent", post(strings.Repeat("x", 1<<20), 1<<20), plainAnswer, sent, true},
		{"a body of unknown length sent", post("hello", -1), plainAnswer, sent, true},

		{"answer not read", get(), plainAnswer, unread, false},
		{"chunked answer not read to its last chunk", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + strings.Repeat("x", 64) + "\r\n0\r\n\r\n", func(t *testing.T, x message.Exchange, err error) {
			servetest.Must(t, "the head is good", err)
			_, err = x.Next()
			servetest.WantErr(t, "the first piece", err, nil)
			x.Close()
		}, false},
		{"answer longer than its length", get(), plainAnswer + "x", whole, false},
		{"answer longer than a length of zero", get(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx", whole, false},
		{"bytes behind the last chunk", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", whole, false},
		{"a second answer nobody asked for", get(), plainAnswer + plainAnswer, whole, false},
		{"body on HEAD", head(), plainAnswer, refused(message.Malformed), false},
		{"body on 204", get(), "HTTP/1.1 204 No Content\r\n\r\nok", refused(message.Malformed), false},
		{"body on 304", get(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", refused(message.Malformed), false},
		{"body on 1xx", get(), "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nok" + plainAnswer, refused(message.Malformed), false},
		{"length with Transfer-Encoding", get(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", refused(message.Malformed), false},
		{"length repeated", get(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", refused(message.Malformed), false},
		{"bare LF", get(), "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", refused(message.Malformed), false},
		{"bad trailer", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX : y\r\n\r\n", refused(message.Malformed), false},
		{"bad chunk", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", refused(message.Malformed), false},
		{"101 not asked for", get(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", refused(message.UnaskedUpgrade), false},
		{"101 of another protocol", upgrade(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", refused(message.UnaskedUpgrade), false},
		{"101 without the protocol", upgrade(), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", refused(message.UnaskedUpgrade), false},
		{"101, and no tunnel wanted", upgrade(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n", unread, false},
		{"refused Upgrade", upgrade(), plainAnswer, whole, false},
		{"Connection: close", get(), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", whole, false},
		{"HTTP/1.0", get(), "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", whole, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			servetest.CheckLeaks(t)
			u := newUpstream(t, first(c.answer), plain)
			k := newClient(t, u, Options{})
			x, err := k.do(c.req)
			c.use(t, x, err)
			k.wantPlain("after it")
			want := int32(2)
			if c.kept {
				want = 1
			}
			servetest.Want(t, "connections for two requests", u.accepted.Load(), want)
			k.Close()
		})
	}
}

// TestDirtyEarlyAnswer: the final answer came before the body was sent whole. It is
// passed on, the body is sent no further, and the connection closes (U-3).
func TestDirtyEarlyAnswer(t *testing.T) {
	const answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
	early := func(p *peer) {
		p.head()
		p.write(answer)
		p.wantEnd("an early answer closes the connection")
	}
	for _, c := range []struct {
		name string
		req  func(body io.Reader) *message.Request
	}{
		{"known length", func(b io.Reader) *message.Request {
			return &message.Request{Method: "POST", Target: "/", Body: b, Length: 1 << 20}
		}},
		{"unknown length", func(b io.Reader) *message.Request {
			return &message.Request{Method: "POST", Target: "/", Body: b, Length: -1}
		}},
		{"held back", func(b io.Reader) *message.Request {
			return &message.Request{Method: "POST", Target: "/", Body: b, Length: 1 << 20, Expect: true}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			u := newUpstream(t, early, plain)
			k := newClient(t, u, Options{})
			body := newBlockedBody(t, "the begin")
			r := read(k.do(c.req(body))) // Close in it does not wait for the body
			if r.err != nil || r.status != 413 || r.body != "no" {
				t.Errorf("got %d %q, %v, want the early answer", r.status, r.body, r.err)
			}
			k.wantPlain("after an early answer")
			servetest.Want(t, "connections", u.accepted.Load(), 2)
			body.release()
			k.Wait() // the pump ends with its body
		})
	}
}

// TestDirtyEarlyAnswerWhileWriting: the pump is inside a write that the upstream
// never takes.
func TestDirtyEarlyAnswerWhileWriting(t *testing.T) {
	servetest.CheckLeaks(t)
	closed := make(chan struct{})
	u := newUpstream(t, func(p *peer) {
		p.head()
		p.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		<-closed
		p.wantEnd("the body that comes no further")
	}, plain)
	k := newClient(t, u, Options{})
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	r := read(k.do(&message.Request{Method: "POST", Target: "/", Body: endless, Length: -1}))
	close(closed)
	servetest.WantErr(t, "the early answer", r.err, nil)
	servetest.Want(t, "status", r.status, 413)
	k.Wait() // Close has made the write come out
	k.wantPlain("afterwards")
	servetest.Want(t, "connections", u.accepted.Load(), 2)
}

// TestDirtyBodyLength: a body that turns out shorter or longer than its length, or
// that breaks off, ends the connection before the upstream can take it for complete.
func TestDirtyBodyLength(t *testing.T) {
	const large = 100_000
	text := strings.Repeat("x", large)
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		sent   bool // the head was
	}{
		{"small and shorter", strings.NewReader("hell"), 5, false},
		{"small and longer", strings.NewReader("hello!"), 5, false},
		{"small and broken", failingReader("hel", io.ErrUnexpectedEOF), 5, false},
		{"none, and longer", strings.NewReader("x"), 0, false},
		{"large and shorter", strings.NewReader(text), large + 1, true},
		{"large and longer", strings.NewReader(text + "x"), large, true},
		{"large and broken", failingReader(text, io.ErrUnexpectedEOF), large + 1, true},
		{"unknown and broken", failingReader(text, io.ErrUnexpectedEOF), -1, true},
		{"large and empty reads without end", readerFunc(func([]byte) (int, error) { return 0, nil }), large, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			u := newUpstream(t, func(p *peer) {
				if c.sent {
					if r, _ := p.request(); r != nil {
						t.Error("the upstream took the body for complete")
					}
				}
				p.wantEnd("a body that breaks off closes the connection")
			})
			k := newClient(t, u, Options{})
			r := read(k.do(&message.Request{Method: "POST", Target: "/", Body: c.body, Length: c.length}))
			e := wantKind(t, "the body is the client's fault", r.err, message.RequestFailed)
			servetest.Want(t, "certainly unsent", e.Unsent, !c.sent)
			servetest.Want(t, "idle connections", k.Idle(), 0)
			k.Wait()
		})
	}
}

// TestDirtyClientGone: the client has left in the midst of an answer.
func TestDirtyClientGone(t *testing.T) {
	servetest.CheckLeaks(t)
	u := newUpstream(t, func(p *peer) {
		p.request()
		p.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
		p.wantEnd("what the client does not want is not read")
	}, plain)
	k := newClient(t, u, Options{})
	ctx, cancel := onceCancelled(t)
	x, err := k.Do(ctx, k.home, get())
	servetest.Must(t, "the head", err)
	_, err = x.Next()
	servetest.WantErr(t, "the first piece", err, nil)
	cancel()
	_, err = x.Next()
	wantKind(t, "the client has left", err, message.Cancelled)
	x.Close()
	k.wantPlain("another client")
	servetest.Want(t, "connections", u.accepted.Load(), 2)
}
