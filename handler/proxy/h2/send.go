package h2

import (
	"net/http"
	"strconv"
	"time"
	"unsafe"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// flush writes what was gathered. mu is held, but not while bytes are written: who
// finds somebody writing leaves his own to him, and no more is gathered than all
// streams may have under way, plus maxControl frames.
func (c *conn) flush() {
	if c.writing {
		return
	}
	c.writing = true
	for len(c.out) > 0 && c.dead == nil {
		b := c.out
		c.out, c.spare, c.control = c.spare[:0], nil, 0
		c.mu.Unlock()
		c.link.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := c.link.Write(b)
		c.mu.Lock()
		if cap(b) <= readBytes {
			c.spare = b
		}
		if err != nil {
			c.end(err)
		}
	}
	c.writing = false
}

// begin sends the head of a request, with its body if that is small and the windows
// have room for it. False: the connection has ended before, and nothing was sent.
func (s *stream) begin() (sent bool, e *message.Error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil || c.goneAway || c.next > lastID {
		return false, nil
	}
	if s.req.Protocol != "" && !c.connect {
		return false, &message.Error{Kind: message.NoUpgrade, Unsent: true, Err: errNoConnect}
	}
	s.id = c.next
	c.next += 2
	c.streams[s.id] = s
	s.sendWin = c.streamWin
	var f frame.Flags
	if s.req.Body == nil && s.req.Protocol == "" {
		f = frame.FlagEndStream
		s.sendClosed = true
	}
	at := len(c.out)
	b := c.enc.BeginBlock(frame.BeginHeaders(c.out))
	b = s.appendHead(b)
	c.out = frame.FinishHeaders(b, at, s.id, f, c.maxFrame)
	if n := len(s.small); s.hasSmall && n <= min(s.sendWin, c.sendWin, c.maxFrame) {
		c.out = frame.AppendData(c.out, s.id, frame.FlagEndStream, s.small)
		s.sendWin -= n
		c.sendWin -= n
		s.sendClosed = true
	}
	c.flush()
	return true, nil
}

// awaitSettings waits for the upstream's SETTINGS, where the request needs what they
// may allow: RFC 8441 §3: :protocol is not sent before. The time for connecting bounds
// it, for it is the rest of that.
func (s *stream) awaitSettings() *message.Error {
	if s.req.Protocol == "" {
		return nil
	}
	c := s.conn
	var until time.Time
	if d := s.client.opts.ConnectTimeout; d > 0 {
		until = time.Now().Add(d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.settled && c.dead == nil {
		c.settling = append(c.settling, s.waiter)
		c.flush() // the preface, which an upstream may wait for
		if c.settled || c.dead != nil {
			break // meanwhile: the lock was given up
		}
		c.mu.Unlock()
		err := s.waiter.Wait(until)
		c.mu.Lock()
		switch {
		case err == nil:
		case s.ctx.Err() == nil && isTimeout(err):
			return &message.Error{Kind: message.ConnectTimeout, Unsent: true, Err: err}
		default:
			return &message.Error{Kind: message.Cancelled, Unsent: true, Err: err}
		}
	}
	return nil
}

// str is b as a string that the encoder only reads; it copies what it keeps.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendHead encodes the request's fields, pseudo-fields first (RFC 9113 §8.3.1).
func (s *stream) appendHead(b []byte) []byte {
	r, enc := s.req, &s.conn.enc
	method := r.Method
	if r.Protocol != "" {
		method = http.MethodConnect // RFC 8441 §4
	}
	b = enc.AppendField(b, ":method", method)
	if r.Protocol != "" {
		b = enc.AppendField(b, ":protocol", r.Protocol)
	}
	b = enc.AppendField(b, ":scheme", r.Scheme)
	b = enc.AppendField(b, ":authority", r.Authority)
	b = enc.AppendField(b, ":path", r.Target)
	for i := range r.Fields {
		f := &r.Fields[i]
		if !ours(f.Name) && semantics.IsToken(f.Name) && semantics.ValidFieldValue(f.Value) {
			b = enc.AppendField(b, str(f.Name), str(semantics.TrimOWS(f.Value)))
		}
	}
	if s.holding {
		b = enc.AppendField(b, "expect", "100-continue")
	}
	if r.TETrailers {
		b = enc.AppendField(b, "te", "trailers")
	}
	switch {
	case r.Body != nil && r.Length >= 0:
		b = enc.AppendField(b, "content-length", strconv.FormatInt(r.Length, 10))
	case r.Body == nil && r.Protocol == "" && (r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch):
		b = enc.AppendField(b, "content-length", "0")
	}
	return b
}

// ours tells whether a field is the client's to say, or a connection's of HTTP/1.
func ours(name []byte) bool {
	switch len(name) {
	case len("te"):
		return semantics.EqualFold(name, "te")
	case len("host"):
		return semantics.EqualFold(name, "host")
	case len("expect"):
		return semantics.EqualFold(name, "expect")
	case len("upgrade"):
		return semantics.EqualFold(name, "upgrade") || semantics.EqualFold(name, "trailer")
	case len("connection"):
		return semantics.EqualFold(name, "connection") || semantics.EqualFold(name, "keep-alive")
	case len("content-length"):
		return semantics.EqualFold(name, "content-length")
	case len("proxy-connection"):
		return semantics.EqualFold(name, "proxy-connection")
	case len("transfer-encoding"):
		return semantics.EqualFold(name, "transfer-encoding")
	}
	return false
}

// sendData frames as much of p as there is room for. end: it is the last of the
// body. mu is held.
func (s *stream) sendData(p []byte, end bool) (done int) {
	c := s.conn
	for done < len(p) || end && !s.sendClosed {
		n := min(len(p)-done, s.sendWin, c.sendWin, c.maxFrame)
		if n <= 0 && done < len(p) {
			break
		}
		n = max(n, 0)
		var f frame.Flags
		if end && done+n == len(p) {
			f = frame.FlagEndStream
			s.sendClosed = true
		}
		c.out = frame.AppendData(c.out, s.id, f, p[done:done+n])
		s.sendWin -= n
		c.sendWin -= n
		done += n
	}
	return done
}

// sendTrailer ends the request's body with fields. mu is held.
func (s *stream) sendTrailer(fields []message.Field) {
	c := s.conn
	at := len(c.out)
	b := c.enc.BeginBlock(frame.BeginHeaders(c.out))
	for i := range fields {
		f := &fields[i]
		if !ours(f.Name) && semantics.IsToken(f.Name) && semantics.ValidFieldValue(f.Value) {
			b = c.enc.AppendField(b, str(f.Name), str(semantics.TrimOWS(f.Value)))
		}
	}
	c.out = frame.FinishHeaders(b, at, s.id, frame.FlagEndStream, c.maxFrame)
	s.sendClosed = true
}

// reset ends the stream in both directions. mu is held.
func (s *stream) reset(code frame.ErrCode) {
	c := s.conn
	if c.dead == nil {
		c.out = frame.AppendRSTStream(c.out, s.id, code)
	}
	s.sendClosed, s.recvClosed = true, true
}
