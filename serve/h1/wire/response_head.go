package wire

import (
	"bytes"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Framing tells where the body of an answer ends (RFC 9112 §6.3).
type Framing uint8

const (
	FramingNone    Framing = iota // there is none, whatever the fields say
	FramingLength                 // ContentLength bytes
	FramingChunked                // see Chunked
	FramingClose                  // all up to the end of the connection
	FramingTunnel                 // what follows is no HTTP: 101, 2xx to CONNECT
)

// ResponseHead is a parsed head of an answer, final or informational, judged as
// strictly as a request's (rule U-4). Its byte slices refer into the buffer
// given to Parse and are valid until that buffer changes. Use one for a whole
// connection: parsing then allocates nothing.
type ResponseHead struct {
	Status        int
	Minor         int   // of HTTP/1.x: 0 or 1 (a higher minor is read as 1, RFC 9110 §2.5)
	ContentLength int64 // as sent; -1: not given
	Framing       Framing
	// Close: the connection carries nothing behind this answer: Connection: close,
	// HTTP/1.0, or a body that ends with it.
	Close bool
	// Upgrade is the protocol that the answer upgrades to, or offers. nil: none,
	// more than one field line, or no upgrade among the connection options.
	Upgrade []byte

	buf     []byte
	fields  []field
	options []span // of Connection, those that are tokens

	// What Parse has done so far, as offsets: the buffer may move meanwhile.
	pos     int // begin of the line being read
	seen    int // no LF in buf[pos:seen]
	fieldAt int // begin of the field section; 0: the status line is not read yet

	head, connect bool // the method that is answered
	lengths       int
	codings       int
	upgrades      int
	upgradeSpan   span
	closing       bool // Connection: close
	upgrading     bool // Connection: upgrade
}

// Len is the number of field lines.
func (h *ResponseHead) Len() int { return len(h.fields) }

// Name and Value are those of the i-th field line, in order of arrival.
func (h *ResponseHead) Name(i int) []byte  { return h.fields[i].name.of(h.buf) }
func (h *ResponseHead) Value(i int) []byte { return h.fields[i].value.of(h.buf) }

// Options is the number of connection options that are tokens. What they name
// ends with this connection (RFC 9110 §7.6.1).
func (h *ResponseHead) Options() int { return len(h.options) }

// Option is the i-th of them.
func (h *ResponseHead) Option(i int) []byte { return h.options[i].of(h.buf) }

// Reset forgets what was parsed; what is kept for reuse are allocations. The
// next head answers a request of this method.
func (h *ResponseHead) Reset(method string) {
	*h = ResponseHead{
		fields: h.fields[:0], options: h.options[:0], ContentLength: -1,
		head: method == "HEAD", connect: method == "CONNECT",
	}
}

// Parse reads a head from the begin of buf; its promises are those of
// RequestHead.Parse. The Status of an error is 431 where a limit is crossed and
// of no meaning elsewhere: what a gateway answers is 502.
func (h *ResponseHead) Parse(buf []byte, lim *Limits) (n int, err error) {
	if h.pos == 0 && h.seen == 0 {
		h.ContentLength = -1
	}
	for {
		i := bytes.IndexByte(buf[h.seen:], '\n')
		if i < 0 {
			e := h.unfinished(buf[h.pos:], h.seen-h.pos, lim)
			h.seen = len(buf)
			if e != nil {
				return 0, e
			}
			return 0, nil
		}
		end := h.seen + i // of the LF
		line := buf[h.pos:end]
		if h.fieldAt != 0 && len(line) == 1 && line[0] == '\r' {
			h.pos, h.seen = end+1, end+1
			return h.finish(buf)
		}
		if e := h.line(buf, line, lim); e != nil {
			if first := h.unfinished(line, 0, lim); first != nil {
				e = first
			}
			return 0, e
		}
		h.pos, h.seen = end+1, end+1
		if h.fieldAt == 0 {
			h.fieldAt = h.pos
		}
	}
}

// line takes the line at h.pos, without its LF.
func (h *ResponseHead) line(buf, line []byte, lim *Limits) *Error {
	last := len(line) - 1
	switch {
	case last < 0 || line[last] != '\r':
		return errBareLF
	case h.fieldAt != 0:
		return h.fieldLine(buf, line[:last], lim)
	}
	return h.statusLine(line[:last])
}

const (
	// maxStatusLine bounds the status line with its CRLF: the longest registered
	// reason has 31 bytes (TestResponseLimits).
	maxStatusLine = 1 << 10
	// statusBytes is a status line up to its reason.
	statusBytes = len("HTTP/1.1 200")
)

// statusLine: HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 §4).
// That the second SP is there without a reason too is asked of senders; many
// leave it out, and nothing depends on it.
func (h *ResponseHead) statusLine(line []byte) *Error {
	for i, c := range line {
		if e := statusByte(i, c); e != nil {
			return e
		}
	}
	if len(line) < statusBytes {
		return errStatusLine
	}
	if line[5] != '1' {
		return errVersionMajor
	}
	h.Minor = 1
	if line[7] == '0' {
		h.Minor = 0
	}
	h.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	return nil
}

// statusByte tells whether c may be the i-th byte of a status line.
func statusByte(i int, c byte) *Error {
	const form = "HTTP/9.9 999 " // 9: any digit
	switch {
	case i >= maxStatusLine-2: // the CRLF is still to come
		return errStatusLong
	case i >= len(form):
		if !semantics.IsFieldValueByte(c) {
			return errStatusLine
		}
	case form[i] == '9':
		if !digit(c) || i == len("HTTP/1.1 ") && c == '0' { // no status below 100 (RFC 9110 §15)
			return errStatusLine
		}
	case form[i] != c:
		return errStatusLine
	}
	return nil
}

// fieldLine: field-name ":" OWS field-value OWS (RFC 9112 §5).
func (h *ResponseHead) fieldLine(buf, line []byte, lim *Limits) *Error {
	if e := h.excess(len(line)+1, lim); e != nil {
		return e
	}
	name, value, e := splitField(line)
	if e != nil {
		return e
	}
	at := h.pos + cap(line) - cap(value) // value is a part of line
	f := field{span{h.pos, h.pos + len(name)}, span{at, at + len(value)}}
	h.fields = append(h.fields, f)
	return h.framing(buf, name, f.value)
}

// excess tells whether a field line, so far of n bytes, is more than the limits
// allow.
func (h *ResponseHead) excess(n int, lim *Limits) *Error {
	switch {
	case len(h.fields) >= lim.Fields:
		return errFieldsMany
	case h.pos+n+1-h.fieldAt > lim.FieldBytes: // the LF is still to come
		return errFieldsLarge
	}
	return nil
}

// unfinished finds what is wrong with a line that has not ended, as that of
// RequestHead does: at once, and alike however the bytes were cut. line is
// without LF; line[:seen] was looked at before.
func (h *ResponseHead) unfinished(line []byte, seen int, lim *Limits) *Error {
	shown, garbage := len(line), (*Error)(nil)
	// A CR that was the last byte before is looked at again: now it has a next one.
	for i := max(seen-1, 0); i < len(line) && garbage == nil; i++ {
		c := line[i]
		switch {
		case c == '\r':
			if i+1 < len(line) {
				shown, garbage = i+2, errBareCR
			}
		case h.fieldAt == 0:
			if garbage = statusByte(i, c); garbage != nil {
				shown = i + 1
			}
		case !semantics.IsFieldValueByte(c):
			shown, garbage = i+1, errFieldValue
		}
	}
	line = line[:shown]
	if h.fieldAt == 0 || len(line) == 0 || len(line) == 1 && line[0] == '\r' {
		return garbage
	}
	// If one byte shows both, the excess is told, in every cut alike.
	if e := h.excess(len(line), lim); e != nil {
		return e
	}
	return garbage
}
