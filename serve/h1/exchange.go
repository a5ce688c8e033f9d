package h1

import (
	"net/http"
	"net/url"
	"sync"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/lazyctx"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// exchange is one request and its answer: all the engine keeps for it, in one
// block. By default a block is used once, since a handler may keep the request
// for ever; if its handler promises not to (Config.Recycle) it comes back.
type exchange struct {
	*scratch
	cfg  *Config
	req  *http.Request
	url  url.URL
	ctx  lazyctx.Context
	body body
	w    response

	given []string // the request's field values in the handler's hands: one array for all
	array [16]string

	// Of the request before, in an exchange that has come back.
	header http.Header   // the map; it is cleared for the next
	tmpl   *http.Request // carries the context; *req = *tmpl resets what http keeps in it

	left bool // not to be used again

	earlier bool // answers before this one are gathered, as it begins
}

// scratch is what no handler ever sees, so it always comes back. It keeps what
// was read of the last head: a client sends the same bytes again and again, and
// equal bytes need no new parse and no new strings.
type scratch struct {
	head    wire.RequestHead
	chunked wire.Chunked

	bytes  []byte // of the last head; empty: what follows is not of use
	same   bool   // the present head is the last one's bytes again
	method string
	target string
	url    url.URL
	names  []string // of the fields, canonical, in order
	values []string // likewise
	block  []byte   // target and values, before they become one string
}

// pools are a Config's: an idle connection holds nothing of them.
type pools struct {
	exchanges sync.Pool // with Recycle
	scratches sync.Pool // without
}

func newExchange(cfg *Config) *exchange {
	if cfg.recycles() {
		if x, ok := cfg.pools.exchanges.Get().(*exchange); ok {
			return x
		}
	}
	x := &exchange{cfg: cfg}
	x.given = x.array[:0]
	if s, ok := cfg.pools.scratches.Get().(*scratch); ok {
		x.scratch = s
	} else {
		x.scratch = &scratch{}
		x.head.Reset()
	}
	return x
}

// recycle gives x back when its connection goes idle or its request is over.
func (x *exchange) recycle() {
	if x.left {
		return
	}
	s := x.scratch
	if len(s.bytes) == 0 {
		s.forget()
	}
	if !x.mayRecycle() {
		x.scratch = nil
		x.cfg.pools.scratches.Put(s)
		return
	}
	if x.ctx.Exposed() {
		return // contexts derived from it may outlive the handler: a transport's, say
	}
	if x.req != nil {
		bufpool.PoisonRequest(x.req, &x.url, x.header)
	}
	x.w.reset()
	x.body.reset()
	x.ctx.Reset()
	x.cfg.pools.exchanges.Put(x)
}

// mayRecycle tells whether nobody keeps anything of the request. One that was never
// given to a handler is nobody's.
func (x *exchange) mayRecycle() bool {
	w := &x.w
	return x.cfg.Recycle || x.cfg.recycleSome && (w.x == nil || w.recycle && !w.hijacked && !w.aborted)
}

// forget makes s ready for another head, and lets go of the last one's strings.
func (s *scratch) forget() {
	s.head.Reset()
	clear(s.values)
	s.bytes, s.values, s.url = s.bytes[:0], s.values[:0], url.URL{}
	s.target = ""
	if cap(s.block) > maxSameHead {
		s.block = nil
	}
}

// parse reads a head; one that equals the last is not parsed again.
func (x *exchange) parse(buf []byte, cfg *Config) (int, error) {
	s := x.scratch
	if n := len(s.bytes); n > 0 {
		if len(buf) >= n && string(buf[:n]) == string(s.bytes) {
			s.same = true
			return n, nil
		}
		s.forget()
	}
	s.same = false
	n, err := s.head.Parse(buf, &cfg.Limits)
	if n > 0 {
		s.read()
		if n <= maxSameHead {
			s.bytes = append(s.bytes, buf[:n]...)
		}
	}
	return n, err
}

// read makes strings of the head: one allocation for all.
func (s *scratch) read() {
	h := &s.head
	n := h.Len()
	b := append(s.block[:0], h.Target...)
	for i := range n {
		b = append(b, h.Value(i)...)
	}
	s.block = b
	all := string(b)
	s.values, s.names = s.values[:0], s.names[:0]
	at := len(h.Target)
	s.method, _ = semantics.Method(h.Method)
	s.target = all[:at]
	for i := range n {
		end := at + len(h.Value(i))
		s.values = append(s.values, all[at:end])
		s.names = append(s.names, semantics.CanonicalName(h.Name(i)))
		at = end
	}
	s.parseURL()
}

// fill makes the header map of the names and values. Host is not in it
// (net/http), and equal names share one entry, in order.
func (x *exchange) fill() http.Header {
	if x.header == nil {
		x.header = make(http.Header, len(x.names))
	} else {
		clear(x.header)
	}
	header := x.header
	// A handler may change its values in place, and a recycled exchange must
	// not show that to the next request: it gets a copy.
	x.given = append(x.given[:0], x.values...)
	pragma := false
	for i, name := range x.names {
		switch name {
		case "Host":
			continue
		case "Pragma":
			pragma = true
		}
		if old, ok := header[name]; ok {
			header[name] = append(old, x.given[i])
			continue
		}
		// Capacity one: a handler's append must not run into the neighbour.
		header[name] = x.given[i : i+1 : i+1]
	}
	if pragma && header["Pragma"][0] == "no-cache" && header["Cache-Control"] == nil {
		header["Cache-Control"] = []string{"no-cache"} // RFC 9111 §5.4, as net/http
	}
	return header
}
