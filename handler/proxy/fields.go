package proxy

import (
	"net/http"
	"strings"
	"unsafe"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// fieldSet collects the fields of a request that go on: first what concerned the
// client's connection is left out, then our own are added (rule P-2). The values
// point into the request's strings and into text.
type fieldSet struct {
	list  []message.Field
	text  []byte   // of our own values
	named []string // by Connection, and not known as its own anyway
}

func (s *fieldSet) reset() {
	clear(s.list)
	clear(s.named)
	s.list, s.text, s.named = s.list[:0], s.text[:0], s.named[:0]
}

// bytesOf are the bytes of s, which nobody writes to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// collect takes the end-to-end fields of header. trusted: what it says of
// forwarding counts. False: Connection names what it must not.
func (s *fieldSet) collect(header http.Header, trusted bool) bool {
	if lines := header["Connection"]; len(lines) > 0 && !s.readConnection(lines) {
		return false
	}
	for name, values := range header {
		if ownName(name) || !trusted && forwardingName(name) || len(s.named) > 0 && s.isNamed(name) {
			continue
		}
		b := bytesOf(name)
		for _, v := range values {
			s.list = append(s.list, message.Field{Name: b, Value: bytesOf(v)})
		}
	}
	return true
}

// ownName tells whether a canonical name is one connection's affair, or is said in
// another way (RFC 9110 §7.6.1, message.Request).
func ownName(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization",
		"Host", "Content-Length", "Expect", "Trailer", "Http2-Settings", ":protocol":
		return true
	}
	return false
}

// readConnection notes what Connection names. False: it names a field that is
// end-to-end by its nature, and that access rules or upstreams go by.
func (s *fieldSet) readConnection(lines []string) bool {
	for _, rest := range lines {
		for more := true; more; {
			var token string
			token, rest, more = strings.Cut(rest, ",")
			if token = strings.Trim(token, " \t"); token == "" {
				continue
			}
			switch {
			case protectedName(token):
				return false
			case strings.EqualFold(token, "close"), ownName(http.CanonicalHeaderKey(token)):
			default:
				s.named = append(s.named, token)
			}
		}
	}
	return true
}

// protectedName: rule P-2.
func protectedName(token string) bool {
	const content = "Content-"
	return strings.EqualFold(token, "Host") || strings.EqualFold(token, "Cookie") || strings.EqualFold(token, "Authorization") ||
		len(token) >= len(content) && strings.EqualFold(token[:len(content)], content) || forwardingName(token)
}

func (s *fieldSet) isNamed(name string) bool {
	for _, n := range s.named {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// add adds a field of our own.
func (s *fieldSet) add(name, value string) {
	s.list = append(s.list, message.Field{Name: bytesOf(name), Value: bytesOf(value)})
}

// addText adds a field whose value is text[from:]. A text that grows later moves,
// but what points to it stays where it was.
func (s *fieldSet) addText(name string, from int) {
	s.list = append(s.list, message.Field{Name: bytesOf(name), Value: s.text[from:len(s.text):len(s.text)]})
}

// take removes the fields of a name, and returns their values as one list.
func (s *fieldSet) take(name string) (joined string) {
	kept := s.list[:0]
	for _, f := range s.list {
		if !strings.EqualFold(unsafe.String(unsafe.SliceData(f.Name), len(f.Name)), name) {
			kept = append(kept, f)
			continue
		}
		v := unsafe.String(unsafe.SliceData(f.Value), len(f.Value))
		if joined != "" {
			v = joined + ", " + v
		}
		joined = v
	}
	clear(s.list[len(kept):])
	s.list = kept
	return joined
}

func (s *fieldSet) has(name string) bool {
	for _, f := range s.list {
		if strings.EqualFold(unsafe.String(unsafe.SliceData(f.Name), len(f.Name)), name) {
			return true
		}
	}
	return false
}

// tellOfClient adds what upstreams are told of who asks. From a trusted peer its
// own words are continued.
func (s *fieldSet) tellOfClient(r *http.Request, o *Forwarded, trusted bool) {
	peer, proto := peerHost(r.RemoteAddr), "http"
	if r.TLS != nil {
		proto = "https"
	}
	before, standard := "", ""
	if trusted {
		before, standard = s.take("X-Forwarded-For"), s.take("Forwarded")
	}
	switch {
	case peer == "" && before == "":
	case peer == "":
		s.add("X-Forwarded-For", before)
	case before == "":
		s.add("X-Forwarded-For", peer)
	default:
		from := len(s.text)
		s.text = append(append(append(s.text, before...), ", "...), peer...)
		s.addText("X-Forwarded-For", from)
	}
	if !trusted || !s.has("X-Forwarded-Proto") {
		s.add("X-Forwarded-Proto", proto)
	}
	if r.Host != "" && (!trusted || !s.has("X-Forwarded-Host")) {
		s.add("X-Forwarded-Host", r.Host)
	}
	if o.Standard {
		from := len(s.text)
		if standard != "" {
			s.text = append(append(s.text, standard...), ", "...)
		}
		s.text = appendForwarded(s.text, peer, r.Host, proto)
		s.addText("Forwarded", from)
	} else if standard != "" {
		s.add("Forwarded", standard)
	}
}

// viaName stands in Via for who we are (RFC 9110 §7.6.3: a pseudonym may).
const viaName = "penstock"

// addVia adds the line of this hop: the version that the request came in.
func (s *fieldSet) addVia(r *http.Request) {
	switch {
	case r.ProtoMajor == 3:
		s.add("Via", "3 "+viaName)
	case r.ProtoMajor == 2:
		s.add("Via", "2 "+viaName)
	case r.ProtoMinor == 0:
		s.add("Via", "1.0 "+viaName)
	default:
		s.add("Via", "1.1 "+viaName)
	}
}

// wantsTrailers tells whether TE says so; nothing else in it passes.
func wantsTrailers(header http.Header) bool {
	for _, line := range header["Te"] {
		if semantics.HasToken(line, "trailers") {
			return true
		}
	}
	return false
}
