package wire

import (
	"bytes"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// RequestHead is a parsed request head. Its byte slices refer into the buffer
// given to Parse and are valid until that buffer changes. Use one for a whole
// connection: parsing then allocates nothing.
type RequestHead struct {
	Method, Target []byte
	Minor          int // of HTTP/1.x: 0 or 1 (a higher minor is read as 1, RFC 9110 §2.5)

	// Host is the validated host, lowered; the target's in absolute form (H1-10).
	// Empty only in HTTP/1.0.
	Host          string
	ContentLength int64 // -1: not given
	Chunked       bool
	Close         bool // the peer wants the connection closed after this exchange
	KeepAlive10   bool // HTTP/1.0 that asks for keep-alive
	Expect100     bool
	Upgrade       bool // asks to upgrade; informational (H1-15)

	buf    []byte
	fields []field

	// What Parse has done so far, as offsets: the buffer may move meanwhile.
	pos     int // begin of the line being read
	seen    int // no LF in buf[pos:seen]
	empty   int // empty lines before the request line
	fieldAt int // begin of the field section; 0: the request line is not read yet
	method  span
	target  span

	form     targetForm
	lastHost string // of the connection's previous request: not parsed twice
	hosts    int
	hostSpan span
	lengths  int
	codings  int
	err      *Error // decided by a field, told when the head is complete
	upgrades bool   // Connection: upgrade
}

type span struct{ from, to int }

type field struct{ name, value span }

func (s span) of(b []byte) []byte { return b[s.from:s.to:s.to] }

// Len is the number of field lines.
func (h *RequestHead) Len() int { return len(h.fields) }

// Name and Value are those of the i-th field line, in order of arrival.
func (h *RequestHead) Name(i int) []byte  { return h.fields[i].name.of(h.buf) }
func (h *RequestHead) Value(i int) []byte { return h.fields[i].value.of(h.buf) }

// Reset forgets what was parsed; what is kept for reuse are allocations and
// the last host.
func (h *RequestHead) Reset() {
	*h = RequestHead{fields: h.fields[:0], lastHost: h.lastHost, ContentLength: -1}
}

// Parse reads a head from the begin of buf. n > 0: it took n bytes. n == 0
// without error: more bytes are needed; call again with the same bytes and
// more (the buffer may have moved). Work already done is not repeated, so a
// head that drips in costs as much as one that comes whole. What can be refused
// already is refused, and alike however the bytes were cut. After n > 0 or an
// error (always an *Error), Reset begins the next. lim comes from WithDefaults.
func (h *RequestHead) Parse(buf []byte, lim *Limits) (n int, err error) {
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
		if e := h.line(line, lim); e != nil {
			if first := h.unfinished(line, 0, lim); first != nil {
				e = first
			}
			return 0, e
		}
		h.pos, h.seen = end+1, end+1
		if h.fieldAt == 0 && h.method.to != 0 {
			h.fieldAt = h.pos
		}
	}
}

// line takes the line at h.pos, without its LF. RFC 9112 §2.2 lets a server
// accept a bare LF; we do not (rule H1-8).
func (h *RequestHead) line(line []byte, lim *Limits) *Error {
	last := len(line) - 1
	switch {
	case last < 0 || line[last] != '\r':
		return errBareLF
	case h.fieldAt != 0:
		return h.fieldLine(line[:last], h.pos, lim)
	case last > 0:
		return h.requestLine(line[:last], h.pos, lim)
	}
	if h.empty++; h.empty > maxEmptyLines {
		return errEmptyLines
	}
	return nil
}

// requestLine: method SP request-target SP HTTP-version (RFC 9112 §3).
func (h *RequestHead) requestLine(line []byte, from int, lim *Limits) *Error {
	sp := bytes.IndexByte(line, ' ')
	switch {
	case sp < 0 && len(line) > lim.MethodBytes:
		return longMethod(line)
	case sp <= 0:
		return errRequestLine
	case sp > lim.MethodBytes:
		return longMethod(line[:sp])
	}
	method, rest := line[:sp], line[sp+1:]
	if !semantics.IsToken(method) {
		return errMethod
	}
	sp2 := bytes.LastIndexByte(rest, ' ')
	if sp2 <= 0 {
		if len(rest) > lim.TargetBytes {
			return errTargetLong
		}
		return errRequestLine // HTTP/0.9, or no target
	}
	target := rest[:sp2]
	if len(target) > lim.TargetBytes {
		return errTargetLong
	}
	if e := h.version(rest[sp2+1:]); e != nil {
		return e
	}
	h.method = span{from, from + sp}
	h.target = span{from + sp + 1, from + sp + 1 + sp2}
	return h.checkTarget(method, target)
}

// version: HTTP-name "/" DIGIT "." DIGIT, case-sensitive (RFC 9112 §2.3).
func (h *RequestHead) version(v []byte) *Error {
	if string(v) == "HTTP/1.1" {
		h.Minor = 1
		return nil
	}
	if len(v) != 8 || string(v[:5]) != "HTTP/" || !digit(v[5]) || v[6] != '.' || !digit(v[7]) {
		return errVersion
	}
	if v[5] != '1' {
		return errVersionMajor
	}
	h.Minor = 1
	if v[7] == '0' {
		h.Minor = 0
	}
	return nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// fieldLine: field-name ":" OWS field-value OWS (RFC 9112 §5).
func (h *RequestHead) fieldLine(line []byte, from int, lim *Limits) *Error {
	if from+len(line)+2-h.fieldAt > lim.FieldBytes {
		return errFieldsLarge
	}
	if len(h.fields) == lim.Fields {
		return errFieldsMany
	}
	name, value, e := splitField(line)
	if e != nil {
		return e
	}
	at := from + cap(line) - cap(value) // value is a part of line
	f := field{span{from, from + len(name)}, span{at, at + len(value)}}
	h.fields = append(h.fields, f)
	return h.framing(name, value, f.value)
}

// splitField parses and checks one field line, of a header or a trailer section.
func splitField(line []byte) (name, value []byte, e *Error) {
	colon := 0
	for colon < len(line) && semantics.IsTokenByte(line[colon]) {
		colon++
	}
	switch {
	case colon == 0 && (line[0] == ' ' || line[0] == '\t'):
		return nil, nil, errFold
	case colon == 0, colon == len(line), line[colon] != ':':
		// No colon, an empty name, white space before the colon (RFC 9112 §5.1).
		return nil, nil, errFieldName
	}
	value = semantics.TrimOWS(line[colon+1:])
	if !semantics.ValidFieldValue(value) {
		return nil, nil, errFieldValue // a bare CR is among them
	}
	return line[:colon], value, nil
}

// finish decides what needs the whole head.
func (h *RequestHead) finish(buf []byte) (int, error) {
	h.buf = buf[:h.pos]
	h.Method, h.Target = h.method.of(buf), h.target.of(buf)
	if e := h.checkFraming(); e != nil {
		return 0, e
	}
	if e := h.checkHost(); e != nil {
		return 0, e
	}
	if h.Minor == 0 && !h.KeepAlive10 {
		h.Close = true
	}
	if h.Close || h.Minor == 1 {
		h.KeepAlive10 = false
	}
	// RFC 9110 §7.8: without the connection option it is no wish of this peer's,
	// and in HTTP/1.0 it MUST be ignored.
	h.Upgrade = h.Upgrade && h.upgrades && h.Minor == 1
	return h.pos, nil
}
