package h1

import (
	"net/http"
	"strings"

	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// WriteFields is WriteHeader for an answer that is passed on: it has fields
// besides those of the header map, and they go out in their order and as they
// are spelled, which spares a proxy their strings and a map (BenchmarkProxy).
// They are copied. A name that is in the map is the caller's own: its lines among
// fields are left out. What belongs to the connection (RFC 9110 §7.6.1) is left out
// too, as it is of the map.
func (w *response) WriteFields(status int, fields []semantics.Field) {
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	if w.over || w.hijacked || w.status != 0 || status < 200 {
		w.writeHeader(status) // which has a word for each
		return
	}
	w.beginHead(status)
	mapped := len(w.header) > 0
	for i := range fields {
		f := &fields[i]
		if mapped && w.mapped(f) || !w.passes(f) {
			continue
		}
		out := w.c.gather(len(f.Name) + len(f.Value) + len(": \r\n"))
		b, clean := wire.AppendField(out.B, f.Name, f.Value)
		if out.B = b; !clean {
			w.c.cfg.Counters.Sanitised.Add(1)
		}
	}
}

// mapped tells whether the header map has the field's name. The map has few, which
// differ in length for the most part.
func (w *response) mapped(f *semantics.Field) bool {
	for name := range w.header {
		if len(name) == len(f.Name) && is(f, name) {
			return true
		}
	}
	return false
}

// passes notes what the engine has a say in, and tells whether f is sent as it is.
// Most names differ from those in length or first letter.
func (w *response) passes(f *semantics.Field) bool {
	switch len(f.Name) {
	case len("Date"):
		w.own.date = w.own.date || is(f, "Date")
	case len("Alt-Svc"):
		switch {
		case is(f, "Alt-Svc"):
			w.own.altSvc = true
		case is(f, "Trailer"):
			w.own.trailer = append(w.own.trailer, string(f.Value))
			w.trailers = semantics.AppendTrailerNames(w.trailers, w.own.trailer[len(w.own.trailer)-1:])
		}
	case len("Connection"):
		if is(f, "Connection") {
			w.own.connection = append(w.own.connection, string(f.Value))
			return false
		}
	case len("Content-Type"):
		if is(f, "Content-Type") {
			w.own.contentType = true
			return w.status != http.StatusNotModified // RFC 9110 §15.4.5
		}
	case len("Content-Length"):
		if is(f, "Content-Length") {
			if n, ok := semantics.ParseLength(f.Value); ok {
				w.length = n
			}
			return false
		}
	case len("Content-Encoding"):
		w.own.encoded = w.own.encoded || is(f, "Content-Encoding") && len(f.Value) > 0
	case len("Transfer-Encoding"):
		if is(f, "Transfer-Encoding") {
			w.own.coding = true
			return false
		}
	}
	return true
}

// is compares a name with one of the same length, in any letter case.
func is(f *semantics.Field, name string) bool {
	return f.Name[0]|0x20 == name[0]|0x20 && (string(f.Name) == name || strings.EqualFold(string(f.Name), name))
}
