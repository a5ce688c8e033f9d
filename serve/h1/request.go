package h1

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// begin makes the *http.Request of a parsed head, and readies body and writer.
func (x *exchange) begin(c *Conn) {
	h := &x.head
	x.ctx.conn = c
	if x.req == nil {
		// The context is unexported in http.Request: WithContext is the way in,
		// and costs the one allocation that the request itself is.
		x.req = new(http.Request).WithContext(&x.ctx)
		if x.last != nil {
			x.last.tmpl = new(http.Request).WithContext(&x.ctx)
		}
	} else {
		*x.req = *x.last.tmpl
	}
	r := x.req
	x.url = x.scratch.url // the handler may change its own
	r.Method = x.method
	r.URL = &x.url
	r.RequestURI = x.target
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	if h.Minor == 0 {
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
	}
	r.Header = x.fill()
	r.Host = h.Host
	r.RemoteAddr = c.host.RemoteAddrString()
	r.TLS = c.tls
	upgrading := h.Upgrade && refusable(r.Header["Upgrade"])
	r.Close = h.Close
	x.body.begin(c, x)
	switch {
	case h.Chunked:
		r.ContentLength = -1
		r.TransferEncoding = []string{"chunked"}
		delete(r.Header, "Transfer-Encoding")
		r.Body = &x.body
		r.Trailer = announced(r.Header)
	case h.ContentLength > 0:
		r.ContentLength = h.ContentLength
		r.Body = &x.body
	default:
		r.Body = http.NoBody
	}
	x.w.begin(c, x)
	x.w.upgrading = upgrading
}

// refusable tells whether refusing this Upgrade ends the connection, since the
// peer may have sent bytes of the other protocol already (rule H1-15; RFC 9931).
// h2c and TLS are not upgrades here but ignored fields: what follows is HTTP/1.1.
func refusable(lines []string) bool {
	for _, line := range lines {
		for p := range strings.SplitSeq(line, ",") {
			p = strings.ToLower(strings.TrimSpace(p))
			if p != "" && p != "h2c" && !strings.HasPrefix(p, "tls/") {
				return true
			}
		}
	}
	return false
}

// parseURL gives what url.ParseRequestURI gives, for plain paths without its cost.
func (s *scratch) parseURL() {
	target := s.target
	if plainPath(target) {
		s.url = url.URL{Path: target}
		return
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		// Bytes that our grammar lets pass and net/url does not (a "[" in a
		// path that looks like a host, say): an opaque path, as sent.
		path, query, _ := strings.Cut(target, "?")
		s.url = url.URL{Path: path, RawQuery: query}
		return
	}
	s.url = *u
	if s.head.Absolute() {
		s.url.Host = s.head.Host
	}
}

// plainPath: origin-form without anything to decode or split. "//" begins what
// net/url would take for an authority elsewhere; ParseRequestURI decides.
func plainPath(s string) bool {
	if len(s) > 1 && s[1] == '/' {
		return false
	}
	if s == "" || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if !plainByte[s[i]] {
			return false
		}
	}
	return true
}

// plainByte: bytes that net/url neither decodes nor escapes in a path.
var plainByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "/-_.~$&+,:;=@" {
		t[c] = true
	}
	return t
}()

// announced is the Trailer map of a request: the announced names, without
// those that may never come from a trailer (RFC 9110 §6.5.1).
func announced(h http.Header) http.Header {
	lines, ok := h["Trailer"]
	if !ok {
		return nil
	}
	delete(h, "Trailer")
	var t http.Header
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name == "" || !semantics.IsToken(name) || wire.ForbiddenTrailer(name) {
				continue
			}
			if t == nil {
				t = make(http.Header)
			}
			t[name] = nil
		}
	}
	return t
}
