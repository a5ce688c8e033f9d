package message

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// Head is a request's field section as the rules read it (RFC 9113 §8.3, RFC
// 9114 §4.3). The zero value is ready for Read. Its strings are those of the
// fields that were read; nobody writes to them.
type Head struct {
	Method, Scheme, Path, Protocol string
	Host                           string // validated; of :authority, or of host
	URL                            url.URL
	Names                          []string // of the fields, canonical, in order
	Values                         []string // likewise
	Length                         int64    // of the content; -1: not given
	Expect                         bool     // 100-continue
	Trailer                        bool     // it announces trailer fields
	Priority                       semantics.Priority
	Signalled                      bool // Priority was given

	Fault  string // the message is malformed: why
	Status int    // what it is answered without a handler; 0: it goes to one
}

// Rules are what an engine's configuration has to say about a head. The bounds
// have no defaults.
type Rules struct {
	TargetBytes int // of :path; above it the answer is 414
	MethodBytes int // of :method; above it the answer is 501
	// Server is asked for DisableGeneralOptionsHandler. May be nil.
	Server *http.Server
}

// Read applies the rules to a decoded field section (H2-9). over tells that it
// was larger than allowed, and fields are not all of it. What h held before is
// gone, but for the arrays of Names and Values, which are used again.
func (h *Head) Read(fields []hpack.Field, over bool, rules Rules) {
	*h = Head{Names: h.Names[:0], Values: h.Values[:0], Length: -1}
	if over {
		h.Status = http.StatusRequestHeaderFieldsTooLarge
		return
	}
	p := pseudo{cookie: -1}
	for i := range fields {
		f := &fields[i]
		if len(f.Name) > 0 && f.Name[0] == ':' {
			if len(h.Names) > 0 || p.fields > 0 {
				h.Fault = "9113 8.3, 9114 4.3: a pseudo-field behind fields"
			} else if !p.take(h, f) {
				h.Fault = "9113 8.3.1, 9114 4.3.1: a pseudo-field repeated or unknown"
			}
		} else {
			p.fields++
			h.field(f, &p)
		}
		if h.Fault != "" {
			return
		}
	}
	if len(p.crumbs) > 1 {
		h.Values[p.cookie] = strings.Join(p.crumbs, "; ")
	}
	h.check(&p, &rules)
}

// pseudo is what the walk over a section has seen.
type pseudo struct {
	method, scheme, path, protocol, authority bool
	fields                                    int
	host                                      string // of the host field
	hosts                                     int
	badExpect                                 bool
	authorityValue                            string
	cookie                                    int // where the Cookie field is; -1: there is none
	crumbs                                    []string
}

// take takes a pseudo-field. False: repeated or unknown.
func (p *pseudo) take(h *Head, f *hpack.Field) bool {
	set := func(seen *bool, to *string) bool {
		was := *seen
		*seen, *to = true, f.Value
		return !was
	}
	switch f.Name {
	case ":method":
		return set(&p.method, &h.Method)
	case ":scheme":
		return set(&p.scheme, &h.Scheme)
	case ":path":
		return set(&p.path, &h.Path)
	case ":authority":
		return set(&p.authority, &p.authorityValue)
	case ":protocol": // RFC 8441 §4, RFC 9220 §3
		return set(&p.protocol, &h.Protocol)
	}
	return false
}

// field takes a regular field.
func (h *Head) field(f *hpack.Field, p *pseudo) {
	if !validName(f.Name) || !validValue(f.Value) {
		h.Fault = "9113 8.2.1, 9114 4.2: a field name or value with forbidden bytes"
		return
	}
	name := semantics.CanonicalName(bytesOf(f.Name))
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		h.Fault = "9113 8.2.2, 9114 4.2: a connection-specific field"
		return
	case "Te":
		if f.Value != "trailers" {
			h.Fault = "9113 8.2.2, 9114 4.2: TE other than trailers"
			return
		}
	case "Host":
		p.host = f.Value
		p.hosts++
		return // net/http keeps it out of the map
	case "Content-Length":
		n, ok := semantics.ParseLength(f.Value)
		if !ok || h.Length >= 0 {
			h.Fault = "9113 8.1.1, 9114 4.1.2: content-length repeated or no number"
			return
		}
		h.Length = n
	case "Expect":
		// RFC 9110 §10.1.1: 100-continue is the only expectation there is.
		if h.Expect = semantics.EqualFold(bytesOf(f.Value), "100-continue"); !h.Expect {
			p.badExpect = true
		}
		return // as net/http: it is met here
	case "Cookie":
		// RFC 9113 §8.2.3, RFC 9114 §4.2.1: crumbs are one field for all but the
		// compression.
		p.crumbs = append(p.crumbs, f.Value)
		if p.cookie >= 0 {
			return
		}
		p.cookie = len(h.Values)
	case "Trailer":
		h.Trailer = true
	case "Priority":
		h.Priority, h.Signalled = semantics.ParsePriority(bytesOf(f.Value)), true
	}
	h.Names = append(h.Names, name)
	h.Values = append(h.Values, f.Value)
}

// check decides what needs all fields.
func (h *Head) check(p *pseudo, rules *Rules) {
	switch {
	case !p.method || !semantics.IsToken(h.Method):
		h.Fault = "9113 8.3.1, 9114 4.3.1: :method missing or no token"
	case h.Method == http.MethodConnect && !p.protocol:
		if p.scheme || p.path || !p.authority {
			h.Fault = "9113 8.5, 9114 4.4: CONNECT with :scheme or :path, or without :authority"
			return
		}
		h.Status = http.StatusMethodNotAllowed // H1-11: an origin, no tunnel
	case p.protocol && (h.Method != http.MethodConnect || !semantics.IsToken(h.Protocol)):
		h.Fault = "8441 4, 9220 3: :protocol without CONNECT"
	case !p.scheme || h.Scheme != "https" && h.Scheme != "http":
		h.Fault = "9113 8.3.1, 9114 4.3.1: :scheme missing or unknown"
	case !p.path || !h.checkPath(rules):
		h.Fault = "9113 8.3.1, 9114 4.3.1: :path missing or malformed"
	case !h.checkHost(p):
		h.Fault = "9113 8.3.1, 9114 4.3.1: :authority or host missing, malformed or different"
	case h.Status != 0:
	case len(h.Method) > rules.MethodBytes:
		h.Status = http.StatusNotImplemented // H1-12
	case h.Method == http.MethodTrace:
		h.Status = http.StatusMethodNotAllowed // H1-11
	case p.badExpect:
		h.Status = http.StatusExpectationFailed // H1-14
	case h.Path == "*" && (rules.Server == nil || !rules.Server.DisableGeneralOptionsHandler):
		h.Status = http.StatusOK // net/http's rule: of the server as a whole (RFC 9110 §9.3.7)
	}
}

// checkPath: origin-form, or "*" with OPTIONS (RFC 9113 §8.3.1, RFC 9114
// §4.3.1, H1-11).
func (h *Head) checkPath(rules *Rules) bool {
	switch {
	case h.Path == "*":
		if h.Method != http.MethodOptions {
			return false
		}
		h.URL = url.URL{Path: "*"}
		return true
	case len(h.Path) > rules.TargetBytes && h.Path[0] == '/':
		h.Status = http.StatusRequestURITooLong // H1-12
		return true
	case h.Path == "" || h.Path[0] != '/' || !semantics.ValidTarget(bytesOf(h.Path)):
		return false
	}
	h.URL = semantics.TargetURL(h.Path)
	return true
}

// checkHost: the authority and host name the same host (H1-9, H2-9).
func (h *Head) checkHost(p *pseudo) bool {
	if p.hosts > 1 || p.hosts == 0 && !p.authority {
		return false
	}
	if p.authority {
		host, err := semantics.ParseHost(bytesOf(p.authorityValue))
		if err != nil {
			return false
		}
		h.Host = host
	}
	if p.hosts == 1 {
		host, err := semantics.ParseHost(bytesOf(p.host))
		if err != nil || p.authority && host != h.Host {
			return false
		}
		h.Host = host
	}
	return true
}
