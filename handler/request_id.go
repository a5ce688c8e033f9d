package handler

import (
	"math/rand/v2"
	"net/http"
	"time"
	"unsafe"
)

const (
	// defaultIDHeader is what most proxies call it.
	defaultIDHeader = "X-Request-Id"
	// maxInboundID bounds an id that is taken over: it goes into every log line.
	maxInboundID = 64
	// idLen is that of a UUID's text (RFC 9562 §4).
	idLen = 36
)

// RequestIDOptions shapes RequestID. The zero value believes any client's id,
// which identifies nothing but the client's own words: set Trust where ids
// must be unique.
type RequestIDOptions struct {
	// Header carries the id, of the request and of the answer. If empty,
	// X-Request-Id.
	Header string
	// Also are further fields of the request that are looked at, in order, if
	// Header holds no id: Audit-ID is one. If nil, none.
	Also []string
	// Trust tells whether this request's own id is taken. If nil, all are.
	Trust func(r *http.Request) bool
}

// RequestID gives each request an id: the one it brings, if that is a single
// value of 1 to 64 bytes of [A-Za-z0-9._-], else a new UUID version 7, by which
// lines of a log sort in time. Exchange.ID carries it, and the answer unless the
// handler has set that field itself; the request's own fields stay as they are.
//
// Ids may outlive their requests, so their memory is never used again: it costs one
// allocation of 2 KiB in 36 requests where the chain recycles its record, else one
// in each.
type RequestID struct {
	name  string
	from  []string
	trust func(r *http.Request) bool
}

// NewRequestID makes the stage; it goes first, so that all others may log the id.
func NewRequestID(opts RequestIDOptions) *RequestID {
	if opts.Header == "" {
		opts.Header = defaultIDHeader
	}
	s := &RequestID{name: http.CanonicalHeaderKey(opts.Header), trust: opts.Trust}
	for _, name := range append([]string{opts.Header}, opts.Also...) {
		s.from = append(s.from, http.CanonicalHeaderKey(name))
	}
	return s
}

// Begin chooses the id.
func (s *RequestID) Begin(x *Exchange) bool {
	f := x.idField()
	x.ID = s.inbound(x.Request)
	if x.ID == "" {
		x.ID = f.fresh(x.Received)
	}
	f.value[0] = x.ID
	x.idValue = f.value[:]
	return true
}

// Head adds the field. At the head, so that the answer's map is empty until the
// handler comes: Timeout would copy what is in it.
func (s *RequestID) Head(x *Exchange, _ int) { setDefault(x.w.Header(), s.name, x.idValue) }

// inbound is the id the request brings; empty: none that is taken.
func (s *RequestID) inbound(r *http.Request) string {
	if s.trust != nil && !s.trust(r) {
		return ""
	}
	for _, name := range s.from {
		if v := r.Header[name]; len(v) == 1 && validID(v[0]) {
			return v[0]
		}
	}
	return ""
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > maxInboundID {
		return false
	}
	for i := range len(id) {
		if !idByte[id[i]] {
			return false
		}
	}
	return true
}

var idByte = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") {
		t[c] = true
	}
	return t
}()

// idField is a field's value and the text of it in one allocation. Engines may
// write the head after the chain is through, so it cannot lie in the Exchange.
type idField struct {
	value [1]string
	text  [idLen]byte
}

// idSlab is how many fields a record that comes back and back allocates at once
// (BenchmarkStages/request_id: a third less time than one each). Who keeps one id for
// ever keeps them all.
const idSlab = 36

// idField is one that nobody has used.
func (x *Exchange) idField() *idField {
	if len(x.ids) == 0 {
		// Of a record that is not recycled the rest is lost: it has to earn them.
		x.slab = min(max(1, 2*x.slab), idSlab)
		x.ids = make([]idField, x.slab)
	}
	f := &x.ids[0]
	x.ids = x.ids[1:]
	return f
}

// fresh makes a UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, 12
// of the fraction of the millisecond (§6.2, method 3), and 62 random ones, of the
// runtime's generator, which takes no lock.
func (f *idField) fresh(now time.Time) string {
	ms, ns := uint64(now.UnixMilli()), uint64(now.Nanosecond()%1e6)
	high := ms<<16 | 0x7000 | ns<<12/1e6
	low := rand.Uint64()>>2 | 1<<63
	t := &f.text
	putHex(t[0:8], high>>32)
	putHex(t[9:13], high>>16)
	putHex(t[14:18], high)
	putHex(t[19:23], low>>48)
	putHex(t[24:36], low)
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return unsafe.String(&f.text[0], idLen) // text is not written to again
}

// putHex fills dst with the last digits of n.
func putHex(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[n&15]
		n >>= 4
	}
}
