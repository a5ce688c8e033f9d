package h2

import (
	"net/http"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// begin makes the *http.Request of a head, and readies body and writer. ended:
// the request has no content.
func (s *stream) begin(m *head, ended bool) {
	c := s.c
	s.ctx.Begin(c.ctx, s)
	if s.req == nil {
		// The context is unexported in http.Request: WithContext is the way in,
		// and costs the one allocation that the request itself is.
		s.req = new(http.Request).WithContext(&s.ctx)
		if s.last != nil {
			s.last.tmpl = new(http.Request).WithContext(&s.ctx)
		}
	} else {
		*s.req = *s.last.tmpl
	}
	r := s.req
	s.url = m.url // the handler may change its own
	r.Method, r.URL, r.RequestURI, r.Host = m.method, &s.url, m.path, m.host
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.RemoteAddr, r.TLS = c.remote, c.tls
	r.Header = s.fill(m)
	if m.trailer {
		r.Trailer = semantics.AnnouncedTrailers(r.Header)
	}
	s.body.begin(s, m.length, ended)
	switch {
	case ended:
		r.Body = http.NoBody
	default:
		r.ContentLength = m.length
		r.Body = &s.body
		s.body.expect = m.expect
	}
	if m.signalled {
		s.prio, s.incremental = m.prio, m.prio.Incremental
	}
	s.w.begin(s, m)
}

// fill makes the header map of the names and values; equal names share one
// entry, in order.
func (s *stream) fill(m *head) http.Header {
	var header http.Header
	if s.last != nil && s.last.header != nil {
		header = s.last.header
		clear(header)
	} else {
		header = make(http.Header, len(m.names))
	}
	if s.last != nil {
		s.last.header = header
	}
	// A handler may change its values in place, and that must not show in the
	// next request: it gets a copy.
	s.given = append(s.given[:0], m.values...)
	for i, name := range m.names {
		if old, ok := header[name]; ok {
			header[name] = append(old, s.given[i])
			continue
		}
		// Capacity one: a handler's append must not run into the neighbour.
		header[name] = s.given[i : i+1 : i+1]
	}
	if m.protocol != "" {
		header[":protocol"] = []string{m.protocol} // RFC 8441; as net/http's server
	}
	return header
}

// ContextValue answers net/http's two keys.
func (s *stream) ContextValue(key any) (any, bool) {
	switch key {
	case http.ServerContextKey:
		return s.c.cfg.Server, true
	case http.LocalAddrContextKey:
		return s.c.host.LocalAddr(), true
	}
	return nil, false
}

// WatchContext: the engine reads while handlers run, and tells by itself.
func (s *stream) WatchContext() {}
