package h2

import (
	"net/http"

	"github.com/penstock-edge/penstock/serve/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// begin makes the *http.Request of a head, and readies body and writer. ended:
// the request has no content.
func (s *stream) begin(m *message.Head, ended bool) {
	c := s.c
	s.ctx.Begin(c.ctx, s)
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
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.RemoteAddr, r.TLS = c.remote, c.tls
	r.Header = s.fill(m)
	if m.Trailer {
		r.Trailer = semantics.AnnouncedTrailers(r.Header)
	}
	s.body.begin(s, m.Length, ended)
	switch {
	case ended:
		r.Body = http.NoBody
	default:
		r.ContentLength = m.Length
		r.Body = &s.body
		s.body.expect = m.Expect
	}
	if m.Signalled {
		s.prio, s.incremental = m.Priority, m.Priority.Incremental
	}
	s.w.begin(s, m)
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
		return s.c.cfg.Server, true
	case http.LocalAddrContextKey:
		return s.c.host.LocalAddr(), true
	}
	return s.c.host.ContextValue(key, s.turnNow(), s.task)
}

// WatchContext: the engine reads while handlers run, and tells by itself.
func (s *stream) WatchContext() {}
