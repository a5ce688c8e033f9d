package message

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Field is one field line of an answer, as its handler has set it. Clean makes
// it fit to be sent.
type Field struct{ Name, Value string }

// Answer is what a handler's status and header map say of an answer. The zero
// value is ready for To. It must not be copied once it has begun.
type Answer struct {
	// Set by Begin.
	Status      int      // 0: it has not begun
	Length      int64    // declared, or known since Finish; -1: neither
	Fields      []Field  // of the head; since NoteTrailers, of the trailer section
	Trailers    []string // announced names, canonical, in order
	Late        bool     // trailer fields by http.TrailerPrefix: no length is known to be the end
	Close       bool     // the handler wants the connection to end
	ContentType bool     // the handler has set one, be it empty
	Encoded     bool     // it has set a Content-Encoding
	Date        bool     // it has set one, or none is to be sent
	AltSvc      bool     // likewise an Alt-Svc
	NoContent   bool     // of a HEAD request, 204, 304

	// Set by To.
	IsHead bool // the request is HEAD: there is no content, whatever is written
	Tunnel bool // of an extended CONNECT: what follows the head is no content

	bodiless  bool     // its status allows no content
	ended     bool     // Finish was called
	declared  string   // Content-Length as set; empty: none, or no number
	announced []string // lines of Trailer
	text      []byte   // values of BeginPassedOn
	array     [8]Field // of Fields, unless there are more
}

// To says which request it answers.
func (a *Answer) To(h *Head) {
	a.IsHead = h.Method == http.MethodHead
	a.Tunnel = h.Protocol != ""
}

// Reset makes a new but for its arrays, which hold no string any more.
func (a *Answer) Reset() {
	clear(a.Fields)
	a.Fields, a.Trailers, a.text = a.Fields[:0], a.Trailers[:0], a.text[:0]
	a.Status, a.Length, a.declared, a.announced = 0, 0, "", nil
	a.Late, a.Close, a.ContentType, a.Encoded, a.Date, a.AltSvc, a.NoContent = false, false, false, false, false, false, false
	a.IsHead, a.Tunnel, a.bodiless, a.ended = false, false, false, false
}

// Begin notes the final status and the handler's fields as they are now: what it
// does to its map later does not count. They are encoded when the head is sent,
// in the order of sending, which the compression needs.
func (a *Answer) Begin(status int, header http.Header) {
	a.Status, a.Length = status, -1
	a.bodiless = !semantics.BodyAllowed(status)
	a.NoContent = a.IsHead || a.bodiless
	if a.Fields == nil {
		a.Fields = a.array[:0]
	}
	for name, values := range header {
		switch name {
		case "Content-Type":
			if a.ContentType = true; status == http.StatusNotModified {
				continue // RFC 9110 §15.4.5: it would describe content that is not sent
			}
		case "Content-Encoding":
			a.Encoded = len(values) > 0 && values[0] != ""
		case "Date":
			a.Date = true
		case "Alt-Svc":
			a.AltSvc = true
		case "Content-Length":
			if a.Length = semantics.DeclaredLength(values); a.Length >= 0 {
				a.declared = values[0]
			}
			continue // ours to say
		case "Connection":
			a.Close = hasClose(values) // as net/http: the connection is to end
			continue
		case "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
			continue // RFC 9113 §8.2.2, RFC 9114 §4.2
		case "Trailer":
			a.announced = values
			a.Trailers = semantics.AppendTrailerNames(a.Trailers, values)
		default:
			if strings.HasPrefix(name, http.TrailerPrefix) {
				a.Late = true
				continue
			}
		}
		for _, v := range values {
			a.Fields = append(a.Fields, Field{name, v})
		}
	}
	if a.Tunnel {
		a.Length, a.declared = -1, "" // RFC 8441: what follows is not content
	}
}

func hasClose(lines []string) bool {
	for _, v := range lines {
		if semantics.HasToken(v, "close") {
			return true
		}
	}
	return false
}

// Finish decides what only the end of the handler tells, if the head is not
// sent yet: written, the bytes of content it wrote, are all there will be.
func (a *Answer) Finish(header http.Header, written int64) {
	a.ended = true
	if written == 0 && !a.Late {
		a.Late = hasLateTrailers(header) // set behind WriteHeader, with no content between
	}
	if a.Length < 0 && !a.bodiless && a.announced == nil && !a.Late && !a.Tunnel && (!a.IsHead || written > 0) {
		a.Length = written
	}
}

// Deferred tells whether a field of this name is left out of the head, since
// the handler has announced it as a trailer.
func (a *Answer) Deferred(name string) bool {
	return a.announced != nil && semantics.AnnouncesTrailer(a.announced, name)
}

// SniffsType tells whether the head names the type that the begin of the
// content shows.
func (a *Answer) SniffsType() bool {
	return !a.ContentType && !a.Encoded && !a.bodiless && !a.Tunnel
}

// TellsLength tells whether the head has a Content-Length.
func (a *Answer) TellsLength() bool {
	return a.Length >= 0 && (!a.bodiless || a.Status == http.StatusNotModified)
}

// LengthValue is the Content-Length; the handler's own string where it gave one.
func (a *Answer) LengthValue() string {
	if a.declared != "" {
		return a.declared
	}
	return strconv.FormatInt(a.Length, 10)
}

// HeadEnds tells whether nothing follows the head.
func (a *Answer) HeadEnds() bool {
	return (a.NoContent || a.ended && a.Length == 0) && !a.hasTrailers()
}

// EndsAt tells whether the answer ends with so many bytes of content: its
// declared length is reached, and no trailer section was announced.
func (a *Answer) EndsAt(written int64) bool { return written == a.Length && !a.hasTrailers() }

// hasTrailers tells whether a trailer section may follow, as far as it is known.
func (a *Answer) hasTrailers() bool { return a.Late || len(a.Trailers) > 0 }

// NoteTrailers makes Fields those of the trailer section, as the handler has
// left it: it may be sent when the handler has long returned. False: there is
// none.
func (a *Answer) NoteTrailers(header http.Header) bool {
	a.Fields = a.Fields[:0]
	if a.IsHead || a.NoContent && !a.hasTrailers() {
		return false
	}
	for _, name := range a.Trailers {
		for _, v := range header[name] {
			a.Fields = append(a.Fields, Field{name, v})
		}
	}
	for key, values := range header {
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if !ok || semantics.ForbiddenTrailer(name) {
			continue
		}
		for _, v := range values {
			a.Fields = append(a.Fields, Field{name, v})
		}
	}
	return len(a.Fields) > 0
}

// hasLateTrailers tells whether the handler has set a trailer field by prefix.
func hasLateTrailers(header http.Header) bool {
	for key := range header {
		if strings.HasPrefix(key, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// InterimField tells whether a field of the handler's map, by its canonical
// name, goes into an informational head.
func InterimField(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade":
		return false
	}
	return true
}

// CheckStatus panics, as net/http does, if a handler's status is none.
func CheckStatus(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
}
