package handler

import (
	"errors"
	"net/http"
	"sync"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// errCompressOver is what a write behind the handler's end gets.
var errCompressOver = errors.New("handler: write behind the end of the answer")

// compressState is how far an answer is decided.
//
//	undecided ─┬─> plain      goes as it is
//	           ├─> encoding   goes through an encoder
//	           └─> counting   answers HEAD as encoding would a GET: no content
//	any ─────────> over       the handler has returned
type compressState int

const (
	undecided compressState = iota
	plainly
	encoding
	counting
	over
)

// compressWriter is the ResponseWriter of a handler behind Compress.
type compressWriter struct {
	c      *Compress
	inner  http.ResponseWriter
	r      *http.Request
	coding int // the place in c.encodings; -1: the client takes none

	// mu guards the following: an encoder must not be used behind its return.
	mu       sync.Mutex
	state    compressState
	status   int             // as the handler gave it; 0: not yet
	declared int64           // Content-Length; -1: none
	written  int64           // of the content, as the handler gave it
	kept     *bufpool.Buffer // content that waits for the decision
	enc      encoder
	out      *bufpool.Buffer // what enc gave
}

func (w *compressWriter) begin(c *Compress, inner http.ResponseWriter, r *http.Request) {
	w.c, w.inner, w.r = c, inner, r
	w.coding = ChooseEncoding(r.Header["Accept-Encoding"], c.encodings)
	w.state, w.status, w.declared, w.written = undecided, 0, -1, 0
}

// Unwrap is for http.ResponseController.
func (w *compressWriter) Unwrap() http.ResponseWriter { return w.inner }

// Header is that of the answer.
func (w *compressWriter) Header() http.Header { return w.inner.Header() }

// WriteHeader decides what the head alone can.
func (w *compressWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *compressWriter) writeHeader(status int) {
	informational := status < 200 && status != http.StatusSwitchingProtocols
	if informational || w.state != undecided {
		w.inner.WriteHeader(status) // superfluous ones too: the engine tells of them
		return
	}
	if w.status != 0 {
		return
	}
	w.status = status
	h := w.inner.Header()
	known, listed := w.c.typed(h)
	w.declared = declaredLength(h)
	short := w.declared >= 0 && w.declared < int64(w.c.minBytes)
	switch {
	case !suits(status, h):
		if status == http.StatusNotModified {
			weakenNotModified(h, w.r.Header["If-None-Match"])
		}
		if status == http.StatusNotModified || listed && status == http.StatusPartialContent {
			addVary(h, varyAcceptEncoding)
		}
		w.pass()
	case short, known && !listed:
		w.pass()
	case known && (w.declared >= 0 || w.coding < 0):
		w.encode(h)
	}
}

// pass sends the answer as it is, with what was kept back.
func (w *compressWriter) pass() {
	w.state = plainly
	w.inner.WriteHeader(w.status)
	if k := w.kept; k != nil {
		w.kept = nil
		_, _ = w.inner.Write(k.B) // an error comes again with the next write
		k.Release()
	}
}

// encode begins a compressed answer, if the client takes one and an encoder is
// free. The answer varies all the same.
func (w *compressWriter) encode(h http.Header) {
	addVary(h, varyAcceptEncoding)
	if w.coding < 0 {
		w.pass()
		return
	}
	name := w.c.encodings[w.coding : w.coding+1 : w.coding+1]
	if w.r.Method == http.MethodHead {
		w.state = counting
	} else if w.enc = w.c.encoders.lend(name[0], (*compressOutput)(w)); w.enc != nil {
		w.state = encoding
	} else {
		w.c.skipped.Add(1)
		w.pass()
		return
	}
	recode(h, name)
	w.inner.WriteHeader(w.status)
	if k := w.kept; k != nil {
		w.kept = nil
		_, _ = w.put(k.B) // an error comes again with the next write
		k.Release()
	}
}

// Write sends p, or keeps it until it is decided how.
func (w *compressWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.state == undecided && w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if w.state == plainly {
		w.mu.Unlock()
		return w.inner.Write(p)
	}
	defer w.mu.Unlock()
	if w.state == over {
		return 0, errCompressOver
	}
	if w.declared >= 0 && w.written+int64(len(p)) > w.declared {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.state == undecided {
		if w.written < int64(w.enough()) {
			w.keep(p)
			return len(p), nil
		}
		w.decide(p)
	}
	return w.put(p)
}

// enough is how much content tells type and worth of an answer.
func (w *compressWriter) enough() int {
	known, _ := w.c.typed(w.inner.Header())
	switch {
	case known:
		return max(w.c.minBytes, 0)
	case w.coding < 0:
		return 1
	}
	return max(w.c.minBytes, sniffBytes)
}

// sniffBytes is what http.DetectContentType looks at.
const sniffBytes = 512

func (w *compressWriter) keep(p []byte) {
	if w.kept == nil {
		w.kept = bufpool.Get(w.enough())
	}
	w.kept.B = append(w.kept.B, p...)
}

// decide is called when there is enough content, next behind what was kept, or when
// it cannot wait for more.
func (w *compressWriter) decide(next []byte) {
	h := w.inner.Header()
	known, listed := w.c.typed(h)
	if !known {
		var begin [sniffBytes]byte
		n := 0
		if w.kept != nil {
			n = copy(begin[:], w.kept.B)
		}
		n += copy(begin[n:], next)
		sniffed := http.DetectContentType(begin[:n])
		if listed = n > 0 && w.c.lists(sniffed); listed {
			h["Content-Type"] = []string{sniffed} // the engine would look at compressed bytes
		}
	}
	if listed {
		w.encode(h)
		return
	}
	w.pass()
}

// put sends content of a decided answer.
func (w *compressWriter) put(p []byte) (int, error) {
	switch w.state {
	case encoding:
		return w.enc.Write(p)
	case plainly:
		return w.inner.Write(p)
	case undecided, counting, over:
	}
	return len(p), nil
}

// finish ends the answer of a handler that has returned.
func (w *compressWriter) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.drop()
	switch w.state {
	case undecided:
		if w.status != 0 {
			w.pass()
		}
	case encoding:
		if w.declared >= 0 && w.written != w.declared {
			// The length that would have shown it is gone: the cut must be visible.
			panic(http.ErrAbortHandler)
		}
		if w.enc.Close() == nil {
			_ = w.send() // a client that left is the engine's to notice
		}
	case plainly, counting, over:
	}
}

// abandon gives all back without ending the answer.
func (w *compressWriter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop()
}

func (w *compressWriter) drop() {
	w.state = over
	if w.enc != nil {
		w.c.encoders.giveBack(w.c.encodings[w.coding], w.enc)
		w.enc = nil
	}
	for _, b := range []*bufpool.Buffer{w.kept, w.out} {
		if b != nil {
			b.Release()
		}
	}
	w.kept, w.out = nil, nil
}
