package wire

import (
	"bytes"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// framing looks at the fields that decide where a message ends and what
// becomes of the connection. Others are not touched.
func (h *RequestHead) framing(name, value []byte, at span) *Error {
	switch len(name) {
	case len("host"):
		if semantics.EqualFold(name, "host") {
			h.hosts++
			h.hostSpan = at
		}
	case len("expect"):
		if semantics.EqualFold(name, "expect") {
			return h.expect(value)
		}
	case len("upgrade"):
		if semantics.EqualFold(name, "upgrade") {
			h.Upgrade = true
		}
	case len("connection"):
		if semantics.EqualFold(name, "connection") {
			h.connection(value)
		}
	case len("content-length"):
		if semantics.EqualFold(name, "content-length") {
			return h.contentLength(value)
		}
	case len("transfer-encoding"):
		if semantics.EqualFold(name, "transfer-encoding") {
			return h.transferEncoding(value)
		}
	}
	return nil
}

// contentLength: 1*DIGIT, once, at most 2^63-1 (rule H1-2). Repetitions are
// refused even when equal: two parsers may see two of them.
func (h *RequestHead) contentLength(v []byte) *Error {
	if h.lengths++; h.lengths > 1 {
		return errLengthTwice
	}
	n, ok := semantics.ParseLength(v)
	if !ok {
		return errLength
	}
	h.ContentLength = n
	return nil
}

// transferEncoding: exactly one "chunked" (rule H1-3). Well-formed codings that
// we do not know are 501 (RFC 9112 §6.1), unless the whole head shows something
// worse; all else is 400.
func (h *RequestHead) transferEncoding(v []byte) *Error {
	if h.codings++; h.codings > 1 {
		return errCoding
	}
	if semantics.EqualFold(v, "chunked") {
		h.Chunked = true
		return nil
	}
	if !unknownCodings(v) {
		return errCoding
	}
	h.err = errCodingUnknown
	return nil
}

// unknownCodings tells whether v is a well-formed list of codings with chunked
// nowhere but at its end. In another place it leaves the length open, and it
// has no parameters (RFC 9112 §6.3, §7.1).
func unknownCodings(v []byte) bool {
	ended := false
	for member := range bytes.SplitSeq(v, []byte{','}) {
		coding, params, hasParams := bytes.Cut(member, []byte{';'})
		coding = semantics.TrimOWS(coding)
		if ended || !semantics.IsToken(coding) || hasParams && !codingParams(params) {
			return false
		}
		if ended = semantics.EqualFold(coding, "chunked"); ended && hasParams {
			return false
		}
	}
	return true
}

// codingParams: token BWS "=" BWS token, divided by ";" (RFC 9112 §7). A quoted
// value would be well-formed too; nothing here unquotes, so it is malformed.
func codingParams(v []byte) bool {
	for param := range bytes.SplitSeq(v, []byte{';'}) {
		name, value, ok := bytes.Cut(param, []byte{'='})
		if !ok || !semantics.IsToken(semantics.TrimOWS(name)) || !semantics.IsToken(semantics.TrimOWS(value)) {
			return false
		}
	}
	return true
}

// checkFraming decides what needs all fields.
func (h *RequestHead) checkFraming() *Error {
	switch {
	case h.codings > 0 && h.lengths > 0:
		return errLengthCoding // rule H1-1, in either order
	case h.codings > 0 && h.Minor == 0:
		return errCoding10
	}
	return h.err
}

// connection: close, keep-alive and upgrade; other options concern the proxy.
func (h *RequestHead) connection(v []byte) {
	if semantics.EqualFold(v, "keep-alive") {
		h.KeepAlive10 = true
		return
	}
	for part := range bytes.SplitSeq(v, []byte{','}) {
		switch part = semantics.TrimOWS(part); {
		case semantics.EqualFold(part, "close"):
			h.Close = true
		case semantics.EqualFold(part, "keep-alive"):
			h.KeepAlive10 = true
		case semantics.EqualFold(part, "upgrade"):
			h.upgrades = true
		}
	}
}

// expect: 100-continue is the only expectation there is (RFC 9110 §10.1.1).
func (h *RequestHead) expect(v []byte) *Error {
	if !semantics.EqualFold(v, "100-continue") {
		return errExpect
	}
	// A server must ignore it in HTTP/1.0.
	h.Expect100 = h.Minor == 1
	return nil
}
