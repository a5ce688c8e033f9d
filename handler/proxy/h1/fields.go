package h1

import (
	"bytes"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// hopByHop tells whether a field concerns one connection only (RFC 9110 §7.6.1),
// whatever Connection says. Trailer is not among them: it announces the trailer
// fields, which are passed on, to the last recipient (RFC 9110 §6.6.2).
// Proxy-Authenticate is meant for the next one only (RFC 9110 §11.7.1).
func hopByHop(name []byte) bool {
	switch len(name) {
	case len("te"):
		return semantics.EqualFold(name, "te")
	case len("upgrade"):
		return semantics.EqualFold(name, "upgrade")
	case len("connection"):
		return semantics.EqualFold(name, "connection") || semantics.EqualFold(name, "keep-alive")
	case len("proxy-connection"):
		return semantics.EqualFold(name, "proxy-connection")
	case len("transfer-encoding"):
		return semantics.EqualFold(name, "transfer-encoding")
	case len("proxy-authenticate"):
		return semantics.EqualFold(name, "proxy-authenticate")
	}
	return false
}

// ours tells whether a field of a request is the client's to say. message.Request
// promises that there is none; one that slipped in could frame the body twice.
func ours(name []byte) bool {
	switch len(name) {
	case len("host"):
		return semantics.EqualFold(name, "host")
	case len("expect"):
		return semantics.EqualFold(name, "expect")
	case len("trailer"):
		return semantics.EqualFold(name, "trailer") || hopByHop(name)
	case len("content-length"):
		return semantics.EqualFold(name, "content-length")
	}
	return hopByHop(name)
}

// endToEnd collects the fields of the present head that are passed on. They point
// into the read buffer.
func (x *exchange) endToEnd() []message.Field {
	h := &x.head
	x.fields = x.fields[:0]
	for i := range h.Len() {
		name := h.Name(i)
		if hopByHop(name) || h.Options() > 0 && x.named(name) {
			continue
		}
		if h.Status == 204 && semantics.EqualFold(name, "content-length") {
			continue // of zero; MUST NOT be sent (RFC 9110 §8.6)
		}
		x.fields = append(x.fields, message.Field{Name: name, Value: h.Value(i)})
	}
	return x.fields
}

// named tells whether Connection names the field. Both are tokens: plain ASCII.
func (x *exchange) named(name []byte) bool {
	for i := range x.head.Options() {
		if bytes.EqualFold(x.head.Option(i), name) {
			return true
		}
	}
	return false
}
