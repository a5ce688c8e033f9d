package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// fieldWriter is an engine's ResponseWriter that takes the fields of an answer as
// they came, without strings and a map (BenchmarkProxy).
type fieldWriter interface {
	WriteFields(status int, fields []semantics.Field)
}

// pass passes the answer on. When it returns, it has been passed whole; else it
// panics, for the client must see the cut.
func (t *transaction) pass() {
	a := t.x.Response()
	t.p.opts.Service.stats.answers[min(a.Status/100, 5)].Add(1)
	t.note(t.backend().name, "")
	t.fullDuplex()
	t.begun = true
	if w, ok := t.w.(fieldWriter); ok {
		w.WriteFields(a.Status, a.Fields)
	} else {
		addFields(t.w.Header(), a.Fields)
		t.w.WriteHeader(a.Status)
	}
	if e := t.copyBody(); e != nil {
		t.fail(e)
	}
	t.passTrailer()
}

// fullDuplex lets an answer begin while the request's content still comes, where
// the upstream can do that.
func (t *transaction) fullDuplex() {
	if t.body == nil || t.r.ProtoMajor != 1 {
		return
	}
	if b := t.backend(); b.h2 != nil && b.client(t.grpc) == b.h2 {
		_ = http.NewResponseController(t.w).EnableFullDuplex() // who cannot, does not
	}
}

// copyBody passes the content on as it comes. What has been written leaves when the
// upstream has no more right now: so event streams need no setting, and nothing
// waits for a timer.
func (t *transaction) copyBody() *failure {
	a := t.x.Response()
	for {
		if !t.x.Ready() {
			if err := t.flush(); err != nil {
				return t.clientLeft(err)
			}
		}
		piece, err := t.x.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return t.cut(err)
		}
		if _, err := t.w.Write(piece); err != nil {
			return t.clientLeft(err)
		}
		if a.Length >= spliceMin {
			if f := t.splice(); f != nil {
				return f
			}
		}
	}
}

func (t *transaction) flush() error {
	if f, ok := t.w.(interface{ FlushError() error }); ok {
		return f.FlushError()
	}
	return http.NewResponseController(t.w).Flush()
}

// cut is an answer that broke off.
func (t *transaction) cut(err error) *failure {
	f := &failure{upstream: t.backend().name}
	if !errors.As(err, &f.Error) {
		f.Error = &message.Error{Kind: message.BodyCut, Err: err}
	}
	return f
}

func (t *transaction) clientLeft(err error) *failure {
	return &failure{upstream: t.backend().name, Error: &message.Error{Kind: message.Cancelled, Err: err}}
}

// passTrailer passes the fields behind the content on.
func (t *transaction) passTrailer() {
	fields := t.x.Trailer()
	if len(fields) == 0 {
		return
	}
	if t.r.ProtoMajor == 1 {
		// Over HTTP/1.1 only chunks have a trailer, and content that is gathered to the
		// end would get a length in their place.
		_ = t.flush() // a client that left is the engine's to notice
	}
	h := t.w.Header()
	for _, f := range fields {
		name := semantics.CanonicalName(f.Name)
		if semantics.ForbiddenTrailer(name) {
			continue
		}
		name = http.TrailerPrefix + name
		h[name] = append(h[name], string(f.Value))
	}
}

// passInterim passes an informational answer on.
func (t *transaction) passInterim(status int, fields []message.Field) {
	h := t.w.Header()
	before := maps.Clone(h)
	addFields(h, fields)
	t.w.WriteHeader(status)
	clear(h)
	maps.Copy(h, before)
}

// addFields adds fields to a map. What stages have set before stays, and comes
// first.
func addFields(h http.Header, fields []message.Field) {
	for _, f := range fields {
		name := semantics.CanonicalName(f.Name)
		h[name] = append(h[name], string(f.Value))
	}
}

// isEventStream tells whether content comes when something happens.
func isEventStream(fields []message.Field) bool {
	const eventStream = "text/event-stream"
	for _, f := range fields {
		if len(f.Name) == len("content-type") && semantics.EqualFold(f.Name, "content-type") {
			return len(f.Value) >= len(eventStream) && semantics.EqualFold(f.Value[:len(eventStream)], eventStream)
		}
	}
	return false
}
