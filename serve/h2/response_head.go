package h2

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// own are the fields of a handler that the engine has a say in too.
type own struct {
	contentType, encoded, date bool
	late                       bool   // trailer fields by prefix: no length is known to be the end
	length                     string // Content-Length; empty: none, or no number
	trailer                    []string
}

// beginHead notes the status and the handler's fields as they are now: what it
// does to its map later does not count. They are encoded by sendHead, in the
// order of sending, which HPACK needs.
func (w *response) beginHead(status int) {
	w.status = status
	w.noBody = w.isHead || !semantics.BodyAllowed(status)
	for name, values := range w.header {
		switch name {
		case "Content-Type":
			if w.own.contentType = true; status == http.StatusNotModified {
				continue // RFC 9110 §15.4.5: it would describe content that is not sent
			}
		case "Content-Encoding":
			w.own.encoded = len(values) > 0 && values[0] != ""
		case "Date":
			w.own.date = true
		case "Content-Length":
			if w.length = semantics.DeclaredLength(values); w.length >= 0 {
				w.own.length = values[0]
			}
			continue // ours to say
		case "Connection":
			if hasClose(values) && !w.s.gone { // as net/http: the connection is to end
				w.s.c.retire()
			}
			continue
		case "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
			continue // RFC 9113 §8.2.2
		case "Trailer":
			w.own.trailer = values
			w.trailers = semantics.AppendTrailerNames(w.trailers, values)
		default:
			if strings.HasPrefix(name, http.TrailerPrefix) {
				w.own.late = true
				continue
			}
		}
		for _, v := range values {
			w.fields = append(w.fields, field{name, v})
		}
	}
	if w.connect {
		w.length, w.own.length = -1, "" // RFC 8441: what follows is not content
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

// sendHead frames HEADERS, once. sniff is the begin of the content; ended tells
// that the handler has returned and everything it wrote is here.
func (w *response) sendHead(sniff []byte, ended bool) {
	if w.headDone {
		return
	}
	w.headDone = true
	s := w.s
	c := s.c
	if s.gone || c.phase > phaseOpen {
		return
	}
	bodiless := !semantics.BodyAllowed(w.status)
	if ended && w.written == 0 && !w.own.late {
		w.own.late = w.hasLateTrailers() // set behind WriteHeader, with no content between
	}
	if ended && w.length < 0 && !bodiless && w.own.trailer == nil && !w.own.late && !w.connect && (!w.isHead || w.written > 0) {
		w.length = w.written
	}
	if c.full(headRoom) {
		c.flush()
	}
	out := c.gather(headRoom)
	at := len(out.B)
	b := c.enc.BeginBlock(frame.BeginHeaders(out.B))
	b = c.enc.AppendStatus(b, w.status)
	for i := range w.fields {
		f := &w.fields[i]
		if w.own.trailer != nil && semantics.AnnouncesTrailer(w.own.trailer, f.name) {
			continue // it goes behind the content
		}
		b = w.appendField(b, f.name, f.value)
	}
	if w.kept != nil {
		sniff = w.kept.B[:min(len(w.kept.B), semantics.SniffBytes)]
	}
	if !w.own.contentType && !w.own.encoded && len(sniff) > 0 && !bodiless && !w.connect {
		b = c.enc.AppendField(b, "Content-Type", semantics.ContentType(sniff))
	}
	if w.length >= 0 && (!bodiless || w.status == http.StatusNotModified) {
		b = c.enc.AppendField(b, "Content-Length", w.lengthValue())
	}
	if !w.own.date {
		b = c.enc.AppendField(b, "Date", c.cfg.Date.Value(c.host.TurnClock(s.turn)))
	}
	var f frame.Flags
	if w.noBody && !w.own.late && len(w.trailers) == 0 || ended && w.length == 0 && !w.own.late && len(w.trailers) == 0 {
		f = frame.FlagEndStream
	}
	out.B = frame.FinishHeaders(b, at, s.id, f, frame.DefaultMaxSize)
	c.budget.payload += uint64(len(out.B) - at)
	if f != 0 {
		c.closeSend(s)
	}
}

// lengthValue is the content-length; the handler's own string where it gave one.
func (w *response) lengthValue() string {
	if w.own.length != "" {
		return w.own.length
	}
	return strconv.FormatInt(w.length, 10)
}

// appendField encodes one field line. It is the one place where a handler's
// fields are serialised, so nothing it sets can split a message or a log
// (H1-16): forbidden bytes of the value become spaces, a field whose name is no
// token is left out; both are counted.
func (w *response) appendField(b []byte, name, value string) []byte {
	if b, ok := w.s.c.enc.AppendHit(b, name, value); ok {
		return b
	}
	if !semantics.IsToken(name) {
		w.s.c.cfg.Counters.Sanitised.Add(1)
		return b
	}
	if !semantics.ValidFieldValue(bytesOf(value)) {
		w.s.c.cfg.Counters.Sanitised.Add(1)
		clean := []byte(value)
		for i, c := range clean {
			if !semantics.IsFieldValueByte(c) {
				clean[i] = ' '
			}
		}
		value = string(clean)
	}
	// RFC 9113 §8.2.1: no white space at the ends.
	return w.s.c.enc.AppendMiss(b, name, trimOWS(value))
}

func trimOWS(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, " \t")
}

// informational sends a 1xx head with the fields set so far, at once.
func (w *response) informational(status int) {
	if status == http.StatusContinue {
		w.continued = true
		w.s.body.expect = false
	}
	w.sendInterim(status, w.header)
}

// sendContinue asks for the body, when its handler first reads it (RFC 9110
// §10.1.1). After a final head it is not sent.
func (w *response) sendContinue() {
	if w.status != 0 || w.continued {
		return
	}
	w.continued = true
	w.sendInterim(http.StatusContinue, nil)
}

func (w *response) sendInterim(status int, header http.Header) {
	s := w.s
	c := s.c
	if s.gone || c.phase > phaseOpen {
		return
	}
	out := c.gather(headRoom)
	at := len(out.B)
	b := c.enc.BeginBlock(frame.BeginHeaders(out.B))
	b = c.enc.AppendStatus(b, status)
	for name, values := range header {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade":
			continue
		}
		for _, v := range values {
			b = w.appendField(b, name, v)
		}
	}
	out.B = frame.FinishHeaders(b, at, s.id, 0, frame.DefaultMaxSize)
	c.flush()
}

// noteTrailers notes the trailer section as the handler has left it: it may be
// sent when the handler has long returned. False: there is none.
func (w *response) noteTrailers() bool {
	w.fields = w.fields[:0]
	if w.isHead || w.noBody && !w.own.late && len(w.trailers) == 0 {
		return false
	}
	for _, name := range w.trailers {
		for _, v := range w.header[name] {
			w.fields = append(w.fields, field{name, v})
		}
	}
	for key, values := range w.header {
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if !ok || semantics.ForbiddenTrailer(name) {
			continue
		}
		for _, v := range values {
			w.fields = append(w.fields, field{name, v})
		}
	}
	return len(w.fields) > 0
}

// hasLateTrailers tells whether the handler has set a trailer field by prefix.
func (w *response) hasLateTrailers() bool {
	for key := range w.header {
		if strings.HasPrefix(key, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// sendTrailers frames the trailer section, which ends the answer.
func (w *response) sendTrailers() {
	s := w.s
	c := s.c
	out := c.gather(headRoom)
	at := len(out.B)
	b := c.enc.BeginBlock(frame.BeginHeaders(out.B))
	for i := range w.fields {
		b = w.appendField(b, w.fields[i].name, w.fields[i].value)
	}
	out.B = frame.FinishHeaders(b, at, s.id, frame.FlagEndStream, frame.DefaultMaxSize)
	c.closeSend(s)
}
