package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// peer is a client that says what no library would. Over HTTP/1 its cases may
// also write bytes of their own (send, line).
type peer struct {
	x    *compat
	conn net.Conn
	r    *bufio.Reader

	left    int  // of the content that the last head declared
	chunked bool // its length was not declared

	open       func(end bool, fields ...string) exchange // nil: HTTP/1
	mute       func()
	last       exchange
	seen       int // interim answers to it
	unanswered []exchange
}

// exchange is one stream of HTTP/2 or HTTP/3, as its client sees it.
type exchange interface {
	data(text string, end bool) // sends content
	end(trailer ...string)
	cancel()
	interimOf(n int) string // waits for the n-th interim answer
	interims() []string     // waits for the end
	response() (*http.Response, error)
}

// h2Exchange is one of an h2Peer.
type h2Exchange struct {
	p *h2Peer
	s *h2Stream
}

func (e h2Exchange) data(text string, end bool)        { e.p.data(e.s, text, end) }
func (e h2Exchange) end(trailer ...string)             { e.p.end(e.s, trailer...) }
func (e h2Exchange) cancel()                           { e.p.cancel(e.s) }
func (e h2Exchange) interimOf(n int) string            { return e.p.interimOf(e.s, n) }
func (e h2Exchange) response() (*http.Response, error) { return e.p.response(e.s) }

func (e h2Exchange) interims() (statuses []string) {
	e.p.outcome(e.s)
	for _, h := range e.s.interim {
		statuses = append(statuses, h.Get(":status"))
	}
	return statuses
}

func (x *compat) dial() *peer {
	x.t.Helper()
	switch {
	case x.http2:
		h2 := dialH2(x.t, x.addr, x.secure)
		open := func(end bool, fields ...string) exchange { return h2Exchange{h2, h2.open(end, fields...)} }
		return &peer{x: x, conn: h2.conn, open: open, mute: h2.beMute}
	case x.http3:
		h3 := dialH3(x.t, x.addr)
		open := func(end bool, fields ...string) exchange { return h3.open(end, fields...) }
		return &peer{x: x, conn: h3, open: open, mute: h3.beMute}
	}
	conn, err := dialForm(x.addr, x.secure)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &peer{x: x, conn: conn, r: bufio.NewReader(conn)}
}

// ask sends the head of a request. The content of a declared length follows by
// send; without one there is none.
func (p *peer) ask(method, target string, fields ...string) {
	p.left, p.chunked, p.seen = 0, false, 0
	for _, f := range fields {
		if n, ok := strings.CutPrefix(f, "Content-Length: "); ok {
			p.left, _ = strconv.Atoi(n)
		}
	}
	if p.open == nil {
		p.send(method + " " + target + " HTTP/1.1\r\n" + strings.Join(append([]string{"Host: host.example"}, fields...), "\r\n") + "\r\n\r\n")
		return
	}
	p.last = p.open(p.left == 0, append(request(method, target), fields...)...)
	p.unanswered = append(p.unanswered, p.last)
}

// stream sends the head of a request whose content, of unknown length, follows
// by content and end.
func (p *peer) stream(method, target string) {
	if p.open == nil {
		p.ask(method, target, "Transfer-Encoding: chunked")
	} else {
		p.last = p.open(false, request(method, target)...)
		p.unanswered = append(p.unanswered, p.last)
	}
	p.chunked = true
}

// content sends some of a request's content.
func (p *peer) content(text string) {
	switch {
	case p.open != nil:
		p.left -= len(text)
		p.last.data(text, !p.chunked && p.left == 0)
	case p.chunked:
		p.send(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
	default:
		p.send(text)
	}
}

// end ends the content that stream began.
func (p *peer) end(trailer ...string) {
	if p.open != nil {
		p.last.end(trailer...)
		return
	}
	p.send("0\r\n" + strings.Join(append(trailer, "\r\n"), "\r\n"))
}

// interim notes an interim answer to the last request.
func (p *peer) interim() {
	if p.open != nil {
		p.seen++
		p.x.note("interim %s", p.last.interimOf(p.seen))
		return
	}
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.x.note("interim: %s", kind(err))
		return
	}
	p.x.note("interim %d", resp.StatusCode)
}

// interims notes all interim answers to the last request, which is over. Not
// HTTP/1.
func (p *peer) interims() {
	for _, status := range p.last.interims() {
		p.x.note("interim %s", status)
	}
}

// answers notes the answers to requests with these methods, the oldest first.
func (p *peer) answers(methods ...string) {
	p.x.t.Helper()
	for _, m := range methods {
		resp, err := p.answer(m)
		if err != nil {
			p.x.note("no answer to %s: %s", m, kind(err))
			return
		}
		p.x.noteResponse(resp)
	}
}

// answer reads the answer to the oldest request.
func (p *peer) answer(method string) (*http.Response, error) {
	if p.open == nil {
		return http.ReadResponse(p.r, &http.Request{Method: method})
	}
	s := p.unanswered[0]
	p.unanswered = p.unanswered[1:]
	return s.response()
}

// rest notes whether the server closes the connection or answers once more.
func (p *peer) rest() {
	p.x.t.Helper()
	p.ask("GET", "/still-open", p.closing()...)
	resp, err := p.answer("GET")
	if err != nil {
		p.x.note("the connection is closed")
		return
	}
	resp.Body.Close()
	p.x.note("the connection is open: %s", resp.Status)
}

// awaitEnd waits until the server has closed the connection. HTTP/3 only.
func (p *peer) awaitEnd() {
	p.x.t.Helper()
	p.conn.(*h3Peer).wantEnd("the connection ends")
}

// closing is the field of a last request on a connection; only HTTP/1 has one.
func (p *peer) closing() []string {
	if p.open != nil {
		return nil
	}
	return []string{"Connection: close"}
}

// stall takes no more of the answers than the connection holds by itself.
func (p *peer) stall() {
	if p.mute != nil {
		p.mute()
	}
}

// abandon gives the last request up: HTTP/1 can only close, the others reset the
// stream.
func (p *peer) abandon() {
	if p.open != nil {
		p.last.cancel()
		return
	}
	p.conn.Close()
}

// send writes; an error is no news, what comes back is. HTTP/1 only.
func (p *peer) send(text string) { io.WriteString(p.conn, text) }

// line reads one line and notes it. HTTP/1 only.
func (p *peer) line() {
	text, err := p.r.ReadString('\n')
	p.x.note("line %q %s", text, kind(err))
}
