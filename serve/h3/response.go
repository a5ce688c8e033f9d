package h3

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// response is the http.ResponseWriter of a stream.
type response struct {
	s        *stream
	headSent atomic.Bool
	over     atomic.Bool  // the handler has returned; set with mu held
	timed    atomic.Bool  // deadlines were set: a timer may look at the stream still
	deadline atomic.Int64 // the handler's own, for writes, Unix ns; 0: none

	// mu guards the following: a handler may have goroutines of its own.
	mu        sync.Mutex
	header    http.Header
	answer    message.Answer  // what the handler has said; Status 0: WriteHeader was not called
	written   int64           // bytes of content that the handler wrote
	kept      *bufpool.Buffer // content that waits for its length to be known
	queued    int             // bytes the transport was given as copies
	frame     int64           // bytes that are left of the DATA frame that holds all content
	continued bool            // 100 was sent
	recycle   bool            // MayRecycle was called
	err       error           // of the stream's sending half
}

func (w *response) reset() {
	clear(w.header)
	w.answer.Reset()
	w.headSent.Store(false)
	w.over.Store(false)
	w.s, w.written, w.kept, w.queued, w.frame = nil, 0, nil, 0, 0
	w.continued, w.recycle, w.err = false, false, nil // one with deadlines does not come back
}

// MayRecycle tells that nothing of the request is kept; see Config.Recycle. It is
// for the handler's own goroutine, which is about to return.
func (w *response) MayRecycle() { w.recycle = true }

// Header returns the map that WriteHeader sends.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// DetachHeader leaves the header map to whoever holds it, and gives the answer a
// new one: a handler that is late (handler.Timeout) may go on writing to its own.
// Nobody may be in Header meanwhile.
func (w *response) DetachHeader() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.header = nil
}

// WriteHeader sends an informational head at once, and notes a final one: it
// is sent with the first bytes of the content, or at the end.
func (w *response) WriteHeader(status int) {
	message.CheckStatus(status)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.over.Load():
	case w.answer.Status != 0:
		w.s.c.srv.cfg.ErrorLog.Warn("http3: superfluous response.WriteHeader call", slog.Int("status", status))
	default:
		w.writeHeader(status)
	}
}

// WriteFields is WriteHeader for an answer that is passed on: it has fields besides
// those of the header map, which are copied. A name that is in the map is the
// handler's own: its lines among fields are left out.
func (w *response) WriteFields(status int, fields []semantics.Field) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if status < 200 || w.answer.Status != 0 || w.over.Load() {
		w.mu.Unlock()
		defer w.mu.Lock()
		w.WriteHeader(status) // which has a word for each
		return
	}
	message.CheckStatus(status)
	w.answer.BeginPassedOn(status, w.header, fields)
	if w.answer.Close {
		go w.s.c.drain()
	}
}

func (w *response) writeHeader(status int) {
	switch {
	case status == http.StatusSwitchingProtocols: // RFC 9114 §4.5: HTTP/3 has none; the final status is still to come
	case status < 200:
		if status == http.StatusContinue {
			w.continued = true
			w.s.body.expected()
		}
		w.sendInterim(status, w.header)
	default:
		w.answer.Begin(status, w.header)
		if w.answer.Close { // as net/http: the connection is to end
			go w.s.c.drain()
		}
	}
}

// Write sends p as a part of the content.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write(p)
}

// WriteString spares io.WriteString the conversion: the bytes are only read.
func (w *response) WriteString(s string) (int, error) {
	return w.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func (w *response) write(p []byte) (int, error) {
	if err := w.before(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	a := &w.answer
	if a.Length >= 0 && w.written+int64(len(p)) > a.Length {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	// Short pieces are kept back: the length of a short body is told if the
	// handler ends before more comes, and small writes make no packets of their own.
	if !w.tooLong(len(p)) {
		w.keep(p)
		return len(p), nil
	}
	n := len(p)
	if !w.headSent.Load() && w.kept != nil && len(w.kept.B) < semantics.SniffBytes {
		// The content type is that of the content's begin, in however many writes
		// it came.
		k := min(len(p), semantics.SniffBytes-len(w.kept.B))
		w.keep(p[:k])
		p = p[k:]
	}
	if err := w.send(p, false); err != nil {
		return 0, err
	}
	return n, nil
}

// before is what every write of content has to pass.
func (w *response) before(n int) error {
	switch {
	case w.over.Load():
		return errOver
	case w.answer.Status == 0:
		w.writeHeader(http.StatusOK)
	}
	if n > 0 && w.err == nil && !semantics.BodyAllowed(w.answer.Status) {
		return http.ErrBodyNotAllowed
	}
	return w.err
}

func (w *response) keep(p []byte) {
	w.kept = w.kept.WithRoom(len(p))
	w.kept.B = append(w.kept.B, p...)
}

// tooLong tells whether n more bytes would be too many to keep back.
func (w *response) tooLong(n int) bool {
	if w.kept != nil {
		n += len(w.kept.B)
	}
	return n > gatherSize || w.answer.Tunnel
}

// discard gives back what was kept of an answer that will not be sent.
func (w *response) discard() {
	if w.kept != nil {
		w.kept.Release()
		w.kept = nil
	}
}

// Flush and FlushError send what was written so far.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError: see Flush.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.before(0); err != nil {
		return err
	}
	return w.send(nil, false)
}

// ReadFrom is io.Copy's way in.
func (w *response) ReadFrom(src io.Reader) (int64, error) { return bufpool.Copy(w, src, copySize) }

// complete finishes the answer when the handler has returned; returned false:
// it has panicked.
func (w *response) complete(returned bool) {
	s := w.s
	status := s.body.failed()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over.Store(true)
	defer w.discard()
	if !returned || w.late() {
		abort(s.str, frame.InternalError)
		return
	}
	if w.answer.Status == 0 {
		if status != 0 { // nothing was said yet: the body's fault is the answer (S-2)
			clear(w.header)
			w.answer.Begin(status, nil)
		} else {
			w.answer.Begin(http.StatusOK, w.header)
		}
	}
	short := w.answer.Length >= 0 && w.written != w.answer.Length && !w.answer.NoContent
	if w.err != nil || w.send(nil, !short) != nil || short { // the reset shows that bytes are missing
		s.str.CancelWrite(quic.StreamErrorCode(frame.InternalError))
		return
	}
	s.c.srv.cfg.Counters.Requests.Add(1) // before its client can know
	s.str.Close()
}

// late tells whether the handler's own deadline for writes has passed.
func (w *response) late() bool {
	own := w.deadline.Load()
	return own != 0 && time.Now().UnixNano() >= own
}
