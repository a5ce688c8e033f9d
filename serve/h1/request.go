package h1

import (
	"net/http"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// begin makes the *http.Request of a parsed head, and readies body and writer.
func (x *exchange) begin(c *Conn) {
	h := &x.head
	x.ctx.Begin(c.ctx, x)
	if x.req == nil {
		// The context is unexported in http.Request: WithContext is the way in,
		// and costs the one allocation that the request itself is.
		x.req = new(http.Request).WithContext(&x.ctx)
	} else {
		if x.tmpl == nil { // only now is it sure that there is a next request
			x.tmpl = new(http.Request).WithContext(&x.ctx)
		}
		*x.req = *x.tmpl
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
		r.Trailer = semantics.AnnouncedTrailers(r.Header)
	case h.ContentLength > 0:
		r.ContentLength = h.ContentLength
		r.Body = &x.body
	default:
		r.Body = http.NoBody
	}
	x.w.begin(c, x)
	x.earlier = x.w.mark > 0
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

// parseURL reads the target. In absolute form the host is the one that was
// validated; a target that net/url refuses has none.
func (s *scratch) parseURL() {
	s.url = semantics.TargetURL(s.target)
	if s.head.Absolute() && s.url.Scheme != "" {
		s.url.Host = s.head.Host
	}
}
