package h3

import (
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// appendHead appends HEADERS with the final head. sniff is the begin of the
// content; ended tells that everything the handler wrote is here.
func (w *response) appendHead(b, sniff []byte, ended bool) []byte {
	w.headSent.Store(true)
	cfg := w.s.c.srv.cfg
	a := &w.answer
	if ended {
		a.Finish(w.header, w.written)
	}
	cache := cfg.pools.cache()
	at := len(b)
	b = qpack.AppendStatus(qpack.AppendPrefix(frame.BeginHeaders(b)), a.Status)
	for i := range a.Fields {
		if f := &a.Fields[i]; !a.Deferred(f.Name) {
			b = w.appendField(b, cache, f.Name, f.Value)
		}
	}
	if len(sniff) > 0 && a.SniffsType() {
		b = w.appendField(b, cache, "Content-Type", semantics.ContentType(sniff[:min(len(sniff), semantics.SniffBytes)]))
	}
	if a.TellsLength() {
		b = w.appendField(b, cache, "Content-Length", a.LengthValue())
	}
	if !a.Date {
		b = w.appendField(b, cache, "Date", cfg.Date.Value(time.Now()))
	}
	cfg.pools.caches.Put(cache)
	return frame.FinishHeaders(b, at)
}

// appendField encodes one field line. It is the one place where a handler's
// fields are serialised: what the cache has was clean when it was remembered,
// and what is not clean is counted (H1-16).
func (w *response) appendField(b []byte, cache *qpack.Cache, name, value string) []byte {
	if b, ok := cache.AppendHit(b, name, value); ok {
		return b
	}
	value, altered, sent := message.Clean(name, value)
	if altered {
		w.s.c.srv.cfg.Counters.Sanitised.Add(1)
	}
	if !sent {
		return b
	}
	return cache.AppendMiss(b, name, value)
}

// sendContinue asks for the body, when its handler first reads it (RFC 9110
// §10.1.1). After a final head it is not sent.
func (w *response) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answer.Status != 0 || w.continued {
		return
	}
	w.continued = true
	w.sendInterim(http.StatusContinue, nil)
}

// sendInterim sends a 1xx head at once.
func (w *response) sendInterim(status int, header http.Header) {
	cache := w.s.c.srv.cfg.pools.cache()
	b := qpack.AppendStatus(qpack.AppendPrefix(frame.BeginHeaders(nil)), status)
	for name, values := range header {
		if !message.InterimField(name) {
			continue
		}
		for _, v := range values {
			b = w.appendField(b, cache, name, v)
		}
	}
	w.s.c.srv.cfg.pools.caches.Put(cache)
	_ = w.transmit(frame.FinishHeaders(b, 0)) // a failure shows with the next
}

// appendTrailers appends the trailer section, if there is one.
func (w *response) appendTrailers(b []byte) []byte {
	if !w.answer.NoteTrailers(w.header) {
		return b
	}
	cache := w.s.c.srv.cfg.pools.cache()
	at := len(b)
	b = qpack.AppendPrefix(frame.BeginHeaders(b))
	for i := range w.answer.Fields {
		b = w.appendField(b, cache, w.answer.Fields[i].Name, w.answer.Fields[i].Value)
	}
	w.s.c.srv.cfg.pools.caches.Put(cache)
	return frame.FinishHeaders(b, at)
}
