package h1

import (
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// headRoom is what stands in a head beside the strings of the request.
const headRoom = 256

// run sends the request and waits for the final head.
func (x *exchange) run() *message.Error {
	if e := x.render(); e != nil {
		return e
	}
	if e := x.readSmall(); e != nil {
		return e
	}
	if e := x.acquire(); e != nil {
		return e
	}
	if e := x.send(); e != nil {
		return e
	}
	return x.await()
}

// render serialises the head: request line, Host, fields, framing, connection.
func (x *exchange) render() *message.Error {
	r := x.req
	size := headRoom + len(r.Method) + len(r.Target) + len(r.Authority) + len(r.Protocol)
	for i := range r.Fields {
		size += len(r.Fields[i].Name) + len(r.Fields[i].Value) + len(": \r\n")
	}
	x.out = bufpool.Get(size)
	if r.Method == http.MethodConnect || !semantics.IsToken(r.Method) {
		return local(errMethod)
	}
	b := append(x.out.B, r.Method...)
	b = append(b, ' ')
	from := len(b)
	b = append(b, r.Target...)
	if !semantics.ValidTarget(b[from:]) {
		return local(errTarget)
	}
	b = append(b, " HTTP/1.1\r\n"...)
	b, _ = wire.AppendField(b, "Host", r.Authority)
	for i := range r.Fields {
		if f := &r.Fields[i]; !ours(f.Name) {
			b, _ = wire.AppendField(b, f.Name, f.Value)
		}
	}
	b = x.appendFraming(b)
	if r.Protocol != "" && (!semantics.IsToken(r.Protocol) || r.Body != nil) {
		return local(errUpgrade) // H1-15: an upgrade has no body
	}
	b = appendConnection(b, r)
	x.out.B = append(b, '\r', '\n')
	return nil
}

// appendFraming says where the body ends (RFC 9112 §6).
func (x *exchange) appendFraming(b []byte) []byte {
	r := x.req
	switch {
	case r.Body == nil:
		// RFC 9110 §8.6: a length of zero where the method anticipates content.
		if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
			b = append(b, "Content-Length: 0\r\n"...)
		}
		return b
	case r.Length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, '\r', '\n')
	}
	if x.holding = r.Expect && r.Length != 0; x.holding {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return b
}

// appendConnection: TE and Upgrade need the option beside them (RFC 9110 §7.6.1).
func appendConnection(b []byte, r *message.Request) []byte {
	if r.TETrailers {
		b = append(b, "TE: trailers\r\n"...)
	}
	if r.Protocol != "" {
		b, _ = wire.AppendField(b, "Upgrade", r.Protocol)
	}
	switch {
	case r.TETrailers && r.Protocol != "":
		b = append(b, "Connection: TE, Upgrade\r\n"...)
	case r.TETrailers:
		b = append(b, "Connection: TE\r\n"...)
	case r.Protocol != "":
		b = append(b, "Connection: Upgrade\r\n"...)
	}
	return b
}

// readSmall reads a small body of known length, before a connection is taken: a
// slow client holds none, and what it breaks off costs none.
func (x *exchange) readSmall() *message.Error {
	r := x.req
	if r.Body == nil || r.Length < 0 || r.Length > smallBody || x.holding {
		return nil
	}
	x.src = message.Source{Body: r.Body, Left: r.Length}
	x.small = bufpool.Get(int(r.Length))
	b := x.small.B
	for end := false; !end; {
		var n int
		var err error
		n, end, err = x.src.Next(b[len(b):r.Length])
		if err != nil {
			return local(err)
		}
		b = b[:len(b)+n]
	}
	x.small.B = b
	x.now = time.Now() // the client may have been slow
	return nil
}

// send writes the head, with a small body; any other is the pump's, or held back.
func (x *exchange) send() *message.Error {
	var body []byte
	if x.small != nil {
		body = x.small.B
	}
	l, r := x.conn.link, x.req
	if r.IdleTimeout > 0 && len(x.out.B)+len(body) > freeWrite {
		l.SetWriteDeadline(x.now.Add(r.IdleTimeout))
	}
	var err error
	if len(body) > 0 {
		err = l.WriteBoth(x.out.B, body)
	} else {
		_, err = l.Write(x.out.B)
	}
	x.out.Release()
	x.out = nil
	if x.small != nil {
		x.small.Release()
		x.small = nil
	}
	switch {
	case err != nil && (x.ctx.Err() != nil || isTimeout(err)):
		return x.broken(err)
	case err != nil:
		x.dirty = true // the upstream takes no more; it may have answered first (U-3)
		x.holding = false
	case x.holding || r.Body == nil || body != nil || r.Length == 0:
	default:
		x.startPump()
	}
	x.boundHead()
	return nil
}

// boundHead sets the deadline of the wait for the answer. While a pump sends,
// there is none: it sets that when it is done.
func (x *exchange) boundHead() {
	limit := x.req.HeadTimeout
	if expect := x.client.opts.ExpectTimeout; x.holding && expect > 0 {
		limit = expect
	}
	if limit <= 0 || x.pump != nil {
		return
	}
	x.bounded = true
	x.conn.link.SetReadDeadline(x.now.Add(limit))
}

// release sends the body that was held back.
func (x *exchange) release() {
	x.holding = false
	if x.bounded {
		x.bounded = false
		x.conn.link.SetReadDeadline(time.Time{})
	}
	x.startPump()
}
