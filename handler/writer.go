package handler

import (
	"bufio"
	"cmp"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// writer is the one http.ResponseWriter that a chain puts between engine and
// handler. What it does not know reaches the engine's by Unwrap
// (http.ResponseController).
type writer struct {
	inner http.ResponseWriter
	x     *Exchange

	status  atomic.Int32 // final; 0: none yet
	written atomic.Int64
	late    atomic.Bool // expire was called: the handler works for nobody
	recycle bool        // MayRecycle was called

	// An answer that can expire is sent while its handler may be using the header
	// map. An engine that can, gives that up to the handler then, and takes another
	// for the answer (BenchmarkDefaultChain: a quarter of the chain's time).
	detacher headerDetacher
	shared   http.Header // the engine's, until then
	before   http.Header // what the stages outside have set in it

	// Behind others the handler has one of its own, which is copied into the
	// engine's at WriteHeader.
	isolated bool        // set before the handler runs
	given    atomic.Bool // own is in use
	own      http.Header // the handler's

	// mu keeps a handler's first write and an expiry apart.
	mu       sync.Mutex
	hijacked bool
}

func (w *writer) reset() {
	w.inner, w.x = nil, nil
	// Nobody else is here any more: plain stores, where each Store would be a locked one.
	w.status, w.written, w.late = atomic.Int32{}, atomic.Int64{}, atomic.Bool{}
	w.hijacked, w.recycle = false, false
	w.detacher, w.shared = nil, nil
	if len(w.before) > 0 {
		clear(w.before)
	}
	if w.isolated = false; w.given.Load() {
		w.given.Store(false)
		if len(w.own) > maxKeptFields {
			w.own = nil
		}
		clear(w.own)
	}
}

// maxKeptFields bounds the map that is kept for the next request.
const maxKeptFields = 64

// headerDetacher is an engine's ResponseWriter whose header map can be left to the
// handler: what is sent from then on is of another, which is empty.
type headerDetacher interface{ DetachHeader() }

// isolate makes sure that a header can be sent which is not the handler's.
func (w *writer) isolate() {
	d, ok := w.inner.(headerDetacher)
	if !ok {
		w.isolated = true
		return
	}
	w.detacher, w.shared = d, w.inner.Header()
	if len(w.shared) > 0 {
		if w.before == nil {
			w.before = make(http.Header)
		}
		maps.Copy(w.before, w.shared)
	}
}

// detach leaves the engine's map to the handler, which is late. mu is held.
func (w *writer) detach() {
	if w.detacher != nil {
		w.detacher.DetachHeader()
		maps.Copy(w.inner.Header(), w.before)
	}
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.inner }

// MayRecycle is for the function of that name. The engine is told when the chain ends.
func (w *writer) MayRecycle() { w.recycle = true }

// Header is the engine's, or the handler's own if the answer can expire; once it
// is late, one that goes nowhere.
func (w *writer) Header() http.Header {
	if w.shared != nil {
		return w.shared
	}
	if !w.isolated {
		if w.late.Load() {
			return make(http.Header)
		}
		return w.inner.Header()
	}
	if !w.given.Load() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.giveOwn()
	}
	return w.own
}

// giveOwn makes the handler's map, with what the stages outside have set. mu is
// held.
func (w *writer) giveOwn() {
	if w.given.Load() {
		return
	}
	if w.own == nil {
		w.own = make(http.Header)
	}
	if h := w.inner.Header(); len(h) > 0 && !w.late.Load() {
		maps.Copy(w.own, h)
	}
	w.given.Store(true)
}

// copyOwn makes the engine's fields those of the handler. mu is held.
func (w *writer) copyOwn() {
	h := w.inner.Header()
	if len(h) > 0 {
		clear(h)
	}
	maps.Copy(h, w.own)
}

// WriteHeader lets the stages see the final head before it is sent.
func (w *writer) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *writer) writeHeader(status int) {
	if w.late.Load() {
		return
	}
	if w.isolated {
		w.giveOwn() // Head asks for Header
	}
	final := status >= 200 || status == http.StatusSwitchingProtocols
	if final && w.status.CompareAndSwap(0, int32(status)) {
		w.x.chain.head(w.x, status)
	}
	if !w.isolated {
		w.inner.WriteHeader(status)
		return
	}
	if final {
		w.copyOwn()
		w.inner.WriteHeader(status)
		return
	}
	// The answer may still expire, and is not to have the handler's fields then.
	before := maps.Clone(w.inner.Header())
	w.copyOwn()
	w.inner.WriteHeader(status)
	h := w.inner.Header()
	clear(h)
	maps.Copy(h, before)
}

// fieldWriter is an engine's ResponseWriter that takes fields as they came from
// elsewhere, without strings and a map.
type fieldWriter interface {
	WriteFields(status int, fields []semantics.Field)
}

// WriteFields is WriteHeader for an answer that is passed on: fields go out besides
// those of the header map, which stages have set and which come before any of the
// same name. They are copied.
func (w *writer) WriteFields(status int, fields []semantics.Field) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, ok := w.inner.(fieldWriter)
	if w.late.Load() {
		return
	}
	if !ok || w.isolated || status < 200 {
		h := (&plain{w}).Header()
		for i := range fields {
			name := semantics.CanonicalName(fields[i].Name)
			h[name] = append(h[name], string(fields[i].Value))
		}
		w.writeHeader(status)
		return
	}
	if w.status.CompareAndSwap(0, int32(status)) {
		w.x.chain.head(w.x, status)
	}
	f.WriteFields(status, fields)
}

// finish lets the engine know of trailers, which a handler sets in its map behind
// the head. It is called when the handler has returned, and none of its writes run.
func (w *writer) finish() {
	if !w.isolated || !w.given.Load() || w.late.Load() || w.hijacked {
		return
	}
	for name := range w.own {
		if strings.HasPrefix(name, "Trailer") { // the field, or http.TrailerPrefix
			w.copyOwn()
			return
		}
	}
}

// first sends the head if a write comes without one.
func (w *writer) first() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.late.Load() {
		return http.ErrHandlerTimeout
	}
	if w.status.Load() == 0 {
		w.writeHeader(http.StatusOK)
	}
	return nil
}

// begun tells whether the head has gone and the answer is not late: the case of
// all writes but the first.
func (w *writer) begun() bool { return w.status.Load() != 0 && !w.late.Load() }

// Write sends p as a part of the content.
func (w *writer) Write(p []byte) (int, error) {
	if !w.begun() {
		if err := w.first(); err != nil {
			return 0, err
		}
	}
	n, err := w.inner.Write(p)
	w.written.Add(int64(n))
	return n, err
}

// WriteString spares io.WriteString the conversion where the engine does.
func (w *writer) WriteString(s string) (int, error) {
	if !w.begun() {
		if err := w.first(); err != nil {
			return 0, err
		}
	}
	n, err := io.WriteString(w.inner, s)
	w.written.Add(int64(n))
	return n, err
}

// ReadFrom leaves io.Copy's short way (sendfile) open.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	// The first bytes come before the head: reading may ask the client for them
	// (100 Continue), which a final head would forbid.
	n, err := w.copyFirst(src)
	if err != nil || n == 0 {
		return n, err
	}
	rest, err := io.Copy(w.inner, src)
	w.written.Add(rest)
	return n + rest, err
}

// firstCopy is how much of a source is read before the head is sent.
const firstCopy = 4 << 10

// copyFirst copies the first bytes of src. 0 without an error: there are none.
func (w *writer) copyFirst(src io.Reader) (int64, error) {
	buf := bufpool.Get(firstCopy)
	defer buf.Release()
	for {
		n, err := src.Read(buf.B[:firstCopy])
		if n > 0 {
			written, werr := w.Write(buf.B[:n])
			if err == io.EOF {
				err = nil
			}
			return int64(written), cmp.Or(werr, err)
		}
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Flush and FlushError send what was written so far.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError: see Flush.
func (w *writer) FlushError() error {
	if !w.begun() {
		if err := w.first(); err != nil {
			return err
		}
	}
	switch f := w.inner.(type) {
	case interface{ FlushError() error }:
		return f.FlushError()
	case http.Flusher:
		f.Flush()
		return nil
	}
	return http.NewResponseController(w.inner).Flush()
}

// Hijack is for those who ask the writer itself instead of a ResponseController.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.late.Load() {
		return nil, nil, http.ErrHandlerTimeout
	}
	c, rw, err := http.NewResponseController(w.inner).Hijack()
	w.hijacked = w.hijacked || err == nil
	return c, rw, err
}

// expire ends the answer of a handler that is late, by t's own if nothing was
// sent; else the writes that wait are ended, and cut tells that the answer is not
// whole. Later calls of the handler get http.ErrHandlerTimeout. A handler that has
// said 504 itself is left alone: it has said it all, and is about to return.
func (w *writer) expire(t *Timeout) (expired, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked || w.late.Load() || w.status.Load() == http.StatusGatewayTimeout {
		return false, false
	}
	w.late.Store(true)
	rc := http.NewResponseController(w.inner)
	past := time.Unix(1, 0)
	if cut = w.status.Load() != 0; cut {
		_ = rc.SetWriteDeadline(past) // where there is none, the abort alone must do
	} else {
		w.status.Store(int32(t.late.text.status))
		w.detach()
		w.written.Store(t.answer(w.x))
	}
	_ = rc.SetReadDeadline(past)
	return true, cut
}

// instead sends answer if the handler has sent nothing; see Exchange.Instead.
func (w *writer) instead(answer func(http.ResponseWriter)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.late.Load():
		return true
	case w.hijacked || w.status.Load() != 0:
		return false
	}
	answer(&plain{w})
	return true
}

// plain is the writer for an answer that is sent with mu held.
type plain struct{ w *writer }

func (p *plain) Header() http.Header {
	if !p.w.isolated {
		return p.w.inner.Header()
	}
	p.w.giveOwn()
	return p.w.own
}

// WriteHeader: see writer.
func (p *plain) WriteHeader(status int) {
	p.w.writeHeader(status)
}

func (p *plain) Write(b []byte) (int, error) {
	if p.w.status.Load() == 0 {
		p.w.writeHeader(http.StatusOK)
	}
	n, err := p.w.inner.Write(b)
	p.w.written.Add(int64(n))
	return n, err
}
