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

	h2         *h2Peer // nil: HTTP/1
	last       *h2Stream
	seen       int // interim answers to it
	unanswered []*h2Stream
}

func (x *compat) dial() *peer {
	x.t.Helper()
	if x.http2 {
		h2 := dialH2(x.t, x.addr, x.secure)
		return &peer{x: x, conn: h2.conn, h2: h2}
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
	if p.h2 == nil {
		p.send(method + " " + target + " HTTP/1.1\r\n" + strings.Join(append([]string{"Host: host.example"}, fields...), "\r\n") + "\r\n\r\n")
		return
	}
	p.last = p.h2.open(p.left == 0, append(request(method, target), fields...)...)
	p.unanswered = append(p.unanswered, p.last)
}

// stream sends the head of a request whose content, of unknown length, follows
// by content and end.
func (p *peer) stream(method, target string) {
	if p.h2 == nil {
		p.ask(method, target, "Transfer-Encoding: chunked")
	} else {
		p.last = p.h2.open(false, request(method, target)...)
		p.unanswered = append(p.unanswered, p.last)
	}
	p.chunked = true
}

// content sends some of a request's content.
func (p *peer) content(text string) {
	switch {
	case p.h2 != nil:
		p.left -= len(text)
		p.h2.data(p.last, text, !p.chunked && p.left == 0)
	case p.chunked:
		p.send(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
	default:
		p.send(text)
	}
}

// end ends the content that stream began.
func (p *peer) end(trailer ...string) {
	if p.h2 != nil {
		p.h2.end(p.last, trailer...)
		return
	}
	p.send("0\r\n" + strings.Join(append(trailer, "\r\n"), "\r\n"))
}

// interim notes an interim answer to the last request.
func (p *peer) interim() {
	if p.h2 != nil {
		p.seen++
		p.x.note("interim %s", p.h2.interimOf(p.last, p.seen))
		return
	}
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.x.note("interim: %s", kind(err))
		return
	}
	p.x.note("interim %d", resp.StatusCode)
}

// interims notes all interim answers to the last request, which is over. HTTP/2 only.
func (p *peer) interims() {
	p.h2.outcome(p.last)
	for i := range p.last.interim {
		p.x.note("interim %s", p.last.interim[i].Get(":status"))
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
	if p.h2 == nil {
		return http.ReadResponse(p.r, &http.Request{Method: method})
	}
	s := p.unanswered[0]
	p.unanswered = p.unanswered[1:]
	return p.h2.response(s)
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

// closing is the field of a last request on a connection; HTTP/2 has none.
func (p *peer) closing() []string {
	if p.h2 != nil {
		return nil
	}
	return []string{"Connection: close"}
}

// stall takes no more of the answers than the connection holds by itself.
func (p *peer) stall() {
	if p.h2 != nil {
		p.h2.mu.Lock()
		p.h2.mute = true
		p.h2.mu.Unlock()
	}
}

// abandon gives the last request up: HTTP/1 can only close, HTTP/2 resets the stream.
func (p *peer) abandon() {
	if p.h2 != nil {
		p.h2.cancel(p.last)
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
