package wire

import (
	"bytes"
	"net/http"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// maxOptions bounds the connection options of one answer: each is compared with
// every field (TestResponseLimits).
const maxOptions = 32

// framing looks at the fields that decide where the answer ends and what becomes
// of the connection. value is a part of buf.
func (h *ResponseHead) framing(buf, name []byte, value span) *Error {
	switch len(name) {
	case len("upgrade"):
		if semantics.EqualFold(name, "upgrade") {
			h.upgrades++
			h.upgradeSpan = value
		}
	case len("connection"):
		if semantics.EqualFold(name, "connection") {
			return h.connection(buf, value)
		}
	case len("content-length"):
		if semantics.EqualFold(name, "content-length") {
			return h.contentLength(value.of(buf))
		}
	case len("transfer-encoding"):
		if semantics.EqualFold(name, "transfer-encoding") {
			return h.transferEncoding(value.of(buf))
		}
	}
	return nil
}

// contentLength: 1*DIGIT, once, as in a request (rule H1-2).
func (h *ResponseHead) contentLength(v []byte) *Error {
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

// transferEncoding: exactly one "chunked", as in a request (rule H1-3). What
// RFC 9112 §6.3 lets end with the connection, another coding behind or in place
// of chunked, we did not ask for and could not pass on.
func (h *ResponseHead) transferEncoding(v []byte) *Error {
	if h.codings++; h.codings > 1 || !semantics.EqualFold(v, "chunked") {
		return errCoding
	}
	return nil
}

// connection notes the options.
func (h *ResponseHead) connection(buf []byte, value span) *Error {
	for from := value.from; from <= value.to; {
		rest := buf[from:value.to]
		i := bytes.IndexByte(rest, ',')
		if i < 0 {
			i = len(rest)
		}
		next := from + i + 1
		option := semantics.TrimOWS(rest[:i:i])
		from += i - cap(option) // option is a part of rest[:i:i]
		if e := h.option(option, from); e != nil {
			return e
		}
		from = next
	}
	return nil
}

func (h *ResponseHead) option(option []byte, at int) *Error {
	switch {
	case semantics.EqualFold(option, "close"):
		h.closing = true
	case semantics.EqualFold(option, "upgrade"):
		h.upgrading = true
	case semantics.EqualFold(option, "keep-alive"), !semantics.IsToken(option):
		// The first is the default, and its field goes anyway; the second names none.
	case len(h.options) == maxOptions:
		return errOptionsMany
	default:
		h.options = append(h.options, span{at, at + len(option)})
	}
	return nil
}

// finish decides what needs the whole head.
func (h *ResponseHead) finish(buf []byte) (int, error) {
	h.buf = buf[:h.pos]
	if e := h.checkFraming(); e != nil {
		return 0, e
	}
	h.Framing = h.bodyFraming()
	h.Close = h.closing || h.Minor == 0 || h.Framing == FramingClose
	// RFC 9110 §7.8: without the connection option it is not this peer's, and in
	// HTTP/1.0 it MUST be ignored.
	if h.upgrades == 1 && h.upgrading && h.Minor == 1 {
		h.Upgrade = h.upgradeSpan.of(buf)
	}
	return h.pos, nil
}

func (h *ResponseHead) checkFraming() *Error {
	switch {
	case h.codings > 0 && h.lengths > 0:
		return errLengthCoding // in either order
	case h.codings > 0 && h.Minor == 0:
		return errCoding10
	case h.Status >= 200 && h.Status != http.StatusNoContent:
		return nil
	case h.codings > 0 || h.ContentLength > 0:
		// RFC 9112 §6.1, RFC 9110 §8.6: MUST NOT be sent with 1xx and 204. A length
		// of zero is common all the same, and no two readers differ on it.
		return errNoContent
	}
	return nil
}

// bodyFraming is RFC 9112 §6.3 in its order.
func (h *ResponseHead) bodyFraming() Framing {
	switch {
	case h.Status == http.StatusSwitchingProtocols:
		return FramingTunnel
	case h.head || !semantics.BodyAllowed(h.Status):
		return FramingNone
	case h.connect && h.Status < 300:
		return FramingTunnel // lengths and codings MUST be ignored (RFC 9110 §9.3.6)
	case h.codings > 0:
		return FramingChunked
	case h.ContentLength >= 0:
		return FramingLength
	}
	return FramingClose
}
