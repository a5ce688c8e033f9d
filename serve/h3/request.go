package h3

import (
	"context"
	"net/http"

	"github.com/penstock-edge/penstock/serve/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// errCanceled ends the context of a request that is over.
var errCanceled = context.Canceled

// makeRequest makes the *http.Request of a head, and readies body and writer.
// c.mu is held.
func (s *stream) makeRequest(m *message.Head) {
	c := s.c
	s.ctx.Begin(c.srv.cfg.Base, s)
	if s.req == nil {
		// The context is unexported in http.Request: WithContext is the way in,
		// and costs the one allocation that the request itself is.
		s.req = new(http.Request).WithContext(&s.ctx)
	} else {
		if s.tmpl == nil { // only now is it sure that there is a next request
			s.tmpl = new(http.Request).WithContext(&s.ctx)
		}
		*s.req = *s.tmpl
	}
	r := s.req
	s.url = m.URL // the handler may change its own
	r.Method, r.URL, r.RequestURI, r.Host = m.Method, &s.url, m.Path, m.Host
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/3.0", 3, 0
	r.RemoteAddr, r.TLS = c.remoteLocked(), c.tls
	r.Header = s.fill(m)
	if m.Trailer {
		r.Trailer = semantics.AnnouncedTrailers(r.Header)
	}
	if s.in.ended() {
		r.Body = http.NoBody
	} else {
		s.body.begin(s, m)
		r.ContentLength = m.Length
		r.Body = &s.body
	}
	if m.Signalled { // else quic-go's default, as in HTTP/2: they share
		s.str.SetPriority(int8(m.Priority.Urgency), m.Priority.Incremental)
	}
	s.w.answer.To(m)
}

// fill makes the header map of m, of the last request's where that comes back.
func (s *stream) fill(m *message.Head) http.Header {
	s.header, s.given = m.Fill(s.header, s.given)
	return s.header
}

// ContextValue answers net/http's two keys.
func (s *stream) ContextValue(key any) (any, bool) {
	switch key {
	case http.ServerContextKey:
		return s.c.srv.cfg.Server, true
	case http.LocalAddrContextKey:
		return s.c.q.LocalAddr(), true
	}
	return nil, false
}

// WatchContext: the transport ends its stream's context when the peer wants no
// answer any more, and when the connection ends.
func (s *stream) WatchContext() {
	context.AfterFunc(s.str.Context(), func() { s.ctx.Cancel(errCanceled) })
}
