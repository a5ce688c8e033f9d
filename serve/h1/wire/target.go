package wire

import (
	"bytes"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// targetForm is the form of a request target (RFC 9112 §3.2).
type targetForm uint8

const (
	originForm targetForm = iota
	absoluteForm
	asteriskForm
)

// checkTarget accepts origin-form, absolute-form with http or https, and "*"
// with OPTIONS (rule H1-11). CONNECT and TRACE end here.
func (h *RequestHead) checkTarget(method, target []byte) *Error {
	switch string(method) {
	case "CONNECT":
		return errConnect
	case "TRACE":
		return errTrace
	}
	switch {
	case target[0] == '/':
		h.form = originForm
	case string(target) == "*":
		h.form = asteriskForm
		if string(method) != "OPTIONS" {
			return errTarget
		}
	case len(authority(target)) > 0:
		h.form = absoluteForm
	default:
		return errTarget
	}
	if !semantics.ValidTarget(target) {
		return errTarget
	}
	return nil
}

// authority is the authority of an absolute-form target; nil: it is none.
func authority(target []byte) []byte {
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) > len(scheme) && semantics.EqualFold(target[:len(scheme)], scheme) {
			rest := target[len(scheme):]
			if i := bytes.IndexAny(rest, "/?"); i >= 0 {
				rest = rest[:i]
			}
			return rest
		}
	}
	return nil
}

// checkHost applies rules H1-9 and H1-10: exactly one valid Host in HTTP/1.1;
// with an absolute target the two must name the same host, and the target wins.
func (h *RequestHead) checkHost() *Error {
	switch {
	case h.hosts > 1:
		return errHostRepeated
	case h.hosts == 0 && h.Minor == 1:
		return errHostMissing
	case h.hosts == 1:
		raw := h.hostSpan.of(h.buf)
		// Most requests of a connection name the same host, in the form we keep.
		if string(raw) == h.lastHost && h.lastHost != "" {
			h.Host = h.lastHost
		} else {
			host, err := semantics.ParseHost(raw)
			if err != nil {
				return errHost
			}
			h.Host, h.lastHost = host, host
		}
	}
	if h.form != absoluteForm {
		return nil
	}
	target, err := semantics.ParseHost(authority(h.Target))
	if err != nil {
		return errTarget
	}
	if h.hosts == 1 && target != h.Host {
		return errHostDiffers
	}
	h.Host = target
	return nil
}

// Absolute tells whether the target is in absolute form.
func (h *RequestHead) Absolute() bool { return h.form == absoluteForm }
