package h2

import (
	"net/http"
	"net/url"
	"strings"
	"unsafe"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// head is a request's header block as the rules read it (RFC 9113 §8.3).
type head struct {
	method, scheme, path, protocol string
	host                           string // validated; of :authority, or of host
	url                            url.URL
	names                          []string // of the fields, canonical, in order
	values                         []string // likewise
	length                         int64    // -1: not given
	expect                         bool     // 100-continue
	trailer                        bool     // it announces trailer fields
	prio                           semantics.Priority
	signalled                      bool // prio was given

	fault  string // the message is malformed: why
	status int    // what it is answered without a handler; 0: it goes to one
}

// memos remember the last header blocks of a connection: a client sends the
// same bytes again and again, and as long as the dynamic table is the same,
// equal bytes need no new decoding, checks and strings (BenchmarkServe).
type memos struct {
	slots [2]memo
	next  int
	large bool // they hold more than an idle connection may
}

type memo struct {
	bytes      []byte // empty: not of use again
	generation uint32
	head       head
	fields     []hpack.Field
}

// decode reads the header block of a request. The head is valid until the next
// but one. ok false: the connection is over.
func (c *Conn) decode(fragment []byte) (m *head, ok bool) {
	if c.memo == nil {
		c.memo = new(memos)
	}
	generation := c.dec.Generation()
	for i := range c.memo.slots {
		k := &c.memo.slots[i]
		if len(k.bytes) > 0 && k.generation == generation && string(k.bytes) == string(fragment) {
			return &k.head, true
		}
	}
	k := &c.memo.slots[c.memo.next]
	c.memo.next ^= 1
	k.bytes = k.bytes[:0]
	fields, over, ok := c.decodeFields(k.fields[:0], fragment, hpack.Limits{
		Fields: c.cfg.Fields, Bytes: c.cfg.FieldBytes, HardFields: max(hardFields, c.cfg.Fields),
	})
	if !ok {
		return nil, false
	}
	k.fields = fields
	k.head.read(fields, over, c.cfg)
	c.memo.large = c.memo.large || textOf(fields) > maxMemoText
	if c.dec.Generation() == generation && len(fragment) <= maxMemoBlock {
		k.bytes, k.generation = append(k.bytes, fragment...), generation
	}
	return &k.head, true
}

// textOf is how many bytes of strings fields refer to.
func textOf(fields []hpack.Field) (n int) {
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value)
	}
	return n
}

// read applies the rules of RFC 9113 §8.2 and §8.3 to a decoded block (H2-9).
func (h *head) read(fields []hpack.Field, over bool, cfg *Config) {
	*h = head{names: h.names[:0], values: h.values[:0], length: -1}
	if over {
		h.status = http.StatusRequestHeaderFieldsTooLarge
		return
	}
	p := pseudo{cookie: -1}
	for i := range fields {
		f := &fields[i]
		if len(f.Name) > 0 && f.Name[0] == ':' {
			if len(h.names) > 0 || p.fields > 0 {
				h.fault = "8.3: a pseudo-field behind fields"
			} else if !p.take(h, f) {
				h.fault = "8.3.1: a pseudo-field repeated or unknown"
			}
		} else {
			p.fields++
			h.field(f, &p)
		}
		if h.fault != "" {
			return
		}
	}
	if len(p.crumbs) > 1 {
		h.values[p.cookie] = strings.Join(p.crumbs, "; ")
	}
	h.check(&p, cfg)
}

// pseudo is what the walk over a block has seen.
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
func (p *pseudo) take(h *head, f *hpack.Field) bool {
	set := func(seen *bool, to *string) bool {
		was := *seen
		*seen, *to = true, f.Value
		return !was
	}
	switch f.Name {
	case ":method":
		return set(&p.method, &h.method)
	case ":scheme":
		return set(&p.scheme, &h.scheme)
	case ":path":
		return set(&p.path, &h.path)
	case ":authority":
		return set(&p.authority, &p.authorityValue)
	case ":protocol": // RFC 8441 §4
		return set(&p.protocol, &h.protocol)
	}
	return false
}

// field takes a regular field.
func (h *head) field(f *hpack.Field, p *pseudo) {
	if !validName(f.Name) || !validValue(f.Value) {
		h.fault = "8.2.1: a field name or value with forbidden bytes"
		return
	}
	name := semantics.CanonicalName(bytesOf(f.Name))
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		h.fault = "8.2.2: a connection-specific field"
		return
	case "Te":
		if f.Value != "trailers" {
			h.fault = "8.2.2: TE other than trailers"
			return
		}
	case "Host":
		p.host = f.Value
		p.hosts++
		return // net/http keeps it out of the map
	case "Content-Length":
		n, ok := semantics.ParseLength(f.Value)
		if !ok || h.length >= 0 {
			h.fault = "8.1.1: content-length repeated or no number"
			return
		}
		h.length = n
	case "Expect":
		// RFC 9110 §10.1.1: 100-continue is the only expectation there is.
		if h.expect = semantics.EqualFold(bytesOf(f.Value), "100-continue"); !h.expect {
			p.badExpect = true
		}
		return // as net/http: it is met here
	case "Cookie":
		// RFC 9113 §8.2.3: crumbs are one field for all but HTTP/2.
		p.crumbs = append(p.crumbs, f.Value)
		if p.cookie >= 0 {
			return
		}
		p.cookie = len(h.values)
	case "Trailer":
		h.trailer = true
	case "Priority":
		h.prio, h.signalled = semantics.ParsePriority(bytesOf(f.Value)), true
	}
	h.names = append(h.names, name)
	h.values = append(h.values, f.Value)
}

// check decides what needs all fields.
func (h *head) check(p *pseudo, cfg *Config) {
	switch {
	case !p.method || !semantics.IsToken(h.method):
		h.fault = "8.3.1: :method missing or no token"
	case h.method == http.MethodConnect && !p.protocol:
		if p.scheme || p.path || !p.authority {
			h.fault = "8.5: CONNECT with :scheme or :path, or without :authority"
			return
		}
		h.status = http.StatusMethodNotAllowed // H1-11: an origin, no tunnel
	case p.protocol && (h.method != http.MethodConnect || !semantics.IsToken(h.protocol)):
		h.fault = "RFC 8441 4: :protocol without CONNECT"
	case !p.scheme || h.scheme != "https" && h.scheme != "http":
		h.fault = "8.3.1: :scheme missing or unknown"
	case !p.path || !h.checkPath(cfg):
		h.fault = "8.3.1: :path missing or malformed"
	case !h.checkHost(p):
		h.fault = "8.3.1: :authority or host missing, malformed or different"
	case h.status != 0:
	case len(h.method) > maxMethodBytes:
		h.status = http.StatusNotImplemented // H1-12
	case h.method == http.MethodTrace:
		h.status = http.StatusMethodNotAllowed // H1-11
	case p.badExpect:
		h.status = http.StatusExpectationFailed // H1-14
	case h.path == "*" && (cfg.Server == nil || !cfg.Server.DisableGeneralOptionsHandler):
		h.status = http.StatusOK // net/http's rule: of the server as a whole (RFC 9110 §9.3.7)
	}
}

// checkPath: origin-form, or "*" with OPTIONS (RFC 9113 §8.3.1, H1-11).
func (h *head) checkPath(cfg *Config) bool {
	switch {
	case h.path == "*":
		if h.method != http.MethodOptions {
			return false
		}
		h.url = url.URL{Path: "*"}
		return true
	case len(h.path) > cfg.TargetBytes && h.path[0] == '/':
		h.status = http.StatusRequestURITooLong // H1-12
		return true
	case h.path == "" || h.path[0] != '/' || !semantics.ValidTarget(bytesOf(h.path)):
		return false
	}
	h.url = semantics.TargetURL(h.path)
	return true
}

// checkHost: the authority and host name the same host (H1-9, H2-9).
func (h *head) checkHost(p *pseudo) bool {
	if p.hosts > 1 || p.hosts == 0 && !p.authority {
		return false
	}
	if p.authority {
		host, err := semantics.ParseHost(bytesOf(p.authorityValue))
		if err != nil {
			return false
		}
		h.host = host
	}
	if p.hosts == 1 {
		host, err := semantics.ParseHost(bytesOf(p.host))
		if err != nil || p.authority && host != h.host {
			return false
		}
		h.host = host
	}
	return true
}

// trailerOf makes a trailer section of fields; names of framing, routing and
// authentication are dropped (H1-7). False: malformed.
func trailerOf(fields []hpack.Field) (http.Header, bool) {
	t := make(http.Header, len(fields))
	for i := range fields {
		f := &fields[i]
		if !validName(f.Name) || !validValue(f.Value) { // a pseudo-field's name is none
			return nil, false
		}
		if !semantics.ForbiddenTrailer(f.Name) {
			name := semantics.CanonicalName(bytesOf(f.Name))
			t[name] = append(t[name], f.Value)
		}
	}
	return t, true
}

// validName: a token without upper-case letters (RFC 9113 §8.2.1).
func validName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !semantics.IsTokenByte(c) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

// validValue: RFC 9110 §5.5, without white space at its ends (RFC 9113 §8.2.1).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	first, last := s[0], s[len(s)-1]
	return first > ' ' && last > ' ' && semantics.ValidFieldValue(bytesOf(s))
}

// bytesOf lends the bytes of s to a function that only reads them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
