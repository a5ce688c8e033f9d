package message

import (
	"net/http"
	"unsafe"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// BeginPassedOn is Begin for an answer that is passed on: it has fields besides
// those of the header map, and behind them. They are copied, into one array that
// the next answer uses again (BenchmarkProxy). A name that is
// in the map is the handler's own: its lines among fields are left out.
func (a *Answer) BeginPassedOn(status int, header http.Header, fields []semantics.Field) {
	a.Begin(status, header)
	for i := range fields {
		f := &fields[i]
		name := semantics.CanonicalName(f.Name)
		if len(header) > 0 && header[name] != nil || !a.passes(name, f.Value) {
			continue
		}
		a.Fields = append(a.Fields, Field{name, a.keep(f.Value)})
	}
	if a.Tunnel {
		a.Length, a.declared = -1, ""
	}
}

// passes notes what the engine has a say in, and tells whether the field is sent
// as it is. The cases are those of Begin.
func (a *Answer) passes(name string, value []byte) bool {
	switch name {
	case "Content-Type":
		a.ContentType = true
		return a.Status != http.StatusNotModified
	case "Content-Encoding":
		a.Encoded = a.Encoded || len(value) > 0
	case "Date":
		a.Date = true
	case "Alt-Svc":
		a.AltSvc = true
	case "Content-Length":
		if n, ok := semantics.ParseLength(value); ok {
			a.Length, a.declared = n, a.keep(value)
		}
		return false
	case "Connection":
		a.Close = a.Close || semantics.HasToken(string(value), "close")
		return false
	case "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		return false
	case "Trailer":
		a.announced = append(a.announced, string(value))
		a.Trailers = semantics.AppendTrailerNames(a.Trailers, a.announced[len(a.announced)-1:])
	}
	return true
}

// keep copies a value. It is valid until Reset.
func (a *Answer) keep(value []byte) string {
	from := len(a.text)
	a.text = append(a.text, value...)
	return unsafe.String(unsafe.SliceData(a.text[from:]), len(value))
}
