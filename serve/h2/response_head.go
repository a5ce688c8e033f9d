package h2

import (
	"net/http"

	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// beginHead notes the status and the handler's fields as they are now.
func (w *response) beginHead(status int) {
	w.answer.Begin(status, w.header)
	if w.answer.Close && !w.s.gone {
		w.s.c.retire()
	}
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
	a := &w.answer
	if ended {
		a.Finish(w.header, w.written)
	}
	if c.full(headRoom) {
		c.flush()
	}
	out := c.gather(headRoom)
	at := len(out.B)
	b := c.enc.BeginBlock(frame.BeginHeaders(out.B))
	b = c.enc.AppendStatus(b, a.Status)
	for i := range a.Fields {
		if f := &a.Fields[i]; !a.Deferred(f.Name) {
			b = w.appendField(b, f.Name, f.Value)
		}
	}
	if w.kept != nil {
		sniff = w.kept.B[:min(len(w.kept.B), semantics.SniffBytes)]
	}
	if len(sniff) > 0 && a.SniffsType() {
		b = c.enc.AppendField(b, "Content-Type", semantics.ContentType(sniff))
	}
	if a.TellsLength() {
		b = c.enc.AppendField(b, "Content-Length", a.LengthValue())
	}
	if !a.Date {
		b = c.enc.AppendField(b, "Date", c.cfg.Date.Value(c.host.TurnClock(s.turnNow())))
	}
	if v := c.cfg.AltSvc.Value(); v != "" && !a.AltSvc {
		b = c.enc.AppendField(b, "Alt-Svc", v)
	}
	var f frame.Flags
	if a.HeadEnds() {
		f = frame.FlagEndStream
	}
	out.B = frame.FinishHeaders(b, at, s.id, f, frame.DefaultMaxSize)
	c.budget.payload += uint64(len(out.B) - at)
	if f != 0 {
		c.closeSend(s)
	}
}

// appendField encodes one field line. It is the one place where a handler's
// fields are serialised: what the table has was clean when it was inserted, and
// what is not clean is counted (H1-16).
func (w *response) appendField(b []byte, name, value string) []byte {
	c := w.s.c
	if b, ok := c.enc.AppendHit(b, name, value); ok {
		return b
	}
	value, altered, sent := message.Clean(name, value)
	if altered {
		c.cfg.Counters.Sanitised.Add(1)
	}
	if !sent {
		return b
	}
	return c.enc.AppendMiss(b, name, value)
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
	if w.answer.Status != 0 || w.continued {
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
		if !message.InterimField(name) {
			continue
		}
		for _, v := range values {
			b = w.appendField(b, name, v)
		}
	}
	out.B = frame.FinishHeaders(b, at, s.id, 0, frame.DefaultMaxSize)
	c.flush()
}

// sendTrailers frames the trailer section, which ends the answer.
func (w *response) sendTrailers() {
	s := w.s
	c := s.c
	out := c.gather(headRoom)
	at := len(out.B)
	b := c.enc.BeginBlock(frame.BeginHeaders(out.B))
	for i := range w.answer.Fields {
		f := &w.answer.Fields[i]
		b = w.appendField(b, f.Name, f.Value)
	}
	out.B = frame.FinishHeaders(b, at, s.id, frame.FlagEndStream, frame.DefaultMaxSize)
	c.closeSend(s)
}
