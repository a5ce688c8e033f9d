package h2

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"unsafe"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/message"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// response is the http.ResponseWriter of a stream. c.mu guards it: the handler,
// goroutines of its own, and the leader may all come here.
type response struct {
	s *stream

	header    http.Header
	written   int64 // bytes of content that the handler wrote
	connect   bool  // extended CONNECT: content is a tunnel
	duplex    bool  // EnableFullDuplex was called
	headDone  bool  // HEADERS were framed
	continued bool  // 100 was sent
	aborted   bool
	recycle   bool            // MayRecycle was called
	over      bool            // the handler has returned
	kept      *bufpool.Buffer // content that waits for its length to be known
	answer    message.Answer  // what the handler has said; Status 0: WriteHeader was not called
}

func (w *response) begin(s *stream, m *message.Head) {
	w.s = s
	w.answer.To(m)
	w.connect = w.answer.Tunnel
}

func (w *response) reset() {
	clear(w.header)
	w.answer.Reset()
	w.s, w.written, w.kept = nil, 0, nil
	w.connect, w.duplex, w.headDone, w.continued, w.aborted, w.over, w.recycle = false, false, false, false, false, false, false
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
	w.s.c.mu.Lock()
	defer w.s.c.mu.Unlock()
	w.header = nil
}

// WriteHeader sends an informational head at once, and notes a final one: it
// is framed with the first bytes of the content, or at the end.
func (w *response) WriteHeader(status int) {
	if !w.lockedWriteHeader(status) { // told without the lock: a log may wait
		w.s.c.cfg.ErrorLog.Warn("http2: superfluous response.WriteHeader call", slog.Int("status", status))
	}
}

// lockedWriteHeader is writeHeader; false: a final head was there already.
func (w *response) lockedWriteHeader(status int) bool {
	w.s.c.mu.Lock()
	defer w.s.unlock()
	if w.answer.Status != 0 && !w.over {
		message.CheckStatus(status)
		return false
	}
	w.writeHeader(status)
	return true
}

// WriteFields is WriteHeader for an answer that is passed on: it has fields besides
// those of the header map, which spares a proxy a map and their strings. They are
// copied. A name that is in the map is the handler's own: its lines among fields are
// left out.
func (w *response) WriteFields(status int, fields []semantics.Field) {
	if status < 200 || !w.beginPassedOn(status, fields) {
		w.WriteHeader(status) // which has a word for each
	}
}

// beginPassedOn is beginHead with fields of elsewhere; false: it is not the time.
func (w *response) beginPassedOn(status int, fields []semantics.Field) bool {
	c := w.s.c
	c.mu.Lock()
	defer w.s.unlock()
	if w.answer.Status != 0 || w.over {
		return false
	}
	message.CheckStatus(status)
	w.answer.BeginPassedOn(status, w.header, fields)
	if w.answer.Close && !w.s.gone {
		c.retire()
	}
	return true
}

func (w *response) writeHeader(status int) {
	message.CheckStatus(status)
	switch {
	case w.over:
		return
	case status == http.StatusSwitchingProtocols:
		return // RFC 9113 §8.6: HTTP/2 has none; the final status is still to come
	case status < 200:
		w.informational(status)
		return
	}
	w.beginHead(status)
}

// Write sends p as a part of the content.
func (w *response) Write(p []byte) (int, error) {
	c := w.s.c
	c.mu.Lock()
	defer w.s.unlock()
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
	if w.answer.Length >= 0 && w.written+int64(len(p)) > w.answer.Length {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	// Short pieces are kept back: the length of a short body is told if the
	// handler ends before more comes, and small writes make no frames of their own.
	last := w.answer.EndsAt(w.written)
	if !last && !w.tooLong(len(p)) {
		w.keep(p)
		return len(p), nil
	}
	n := len(p)
	if !w.headDone {
		if w.kept != nil && len(w.kept.B) < semantics.SniffBytes {
			// The content type is that of the content's begin, in however many
			// writes it came.
			k := min(len(p), semantics.SniffBytes-len(w.kept.B))
			w.keep(p[:k])
			p = p[k:]
		}
		w.sendHead(p[:min(len(p), semantics.SniffBytes)], false)
	}
	if w.answer.IsHead {
		w.discard()
		return n, nil
	}
	if err := w.sendPiece(p, last); err != nil {
		return 0, w.failed(err)
	}
	return n, nil
}

// sendPiece sends what was kept back, and p behind it unless that is kept in
// its place.
func (w *response) sendPiece(p []byte, last bool) error {
	if last && w.kept != nil && !w.tooLong(len(p)) {
		w.keep(p)
		return w.sendKept(true)
	}
	if err := w.sendKept(false); err != nil {
		return err
	}
	if !last && !w.tooLong(len(p)) {
		if len(p) > 0 {
			w.keep(p)
		}
		return nil
	}
	return w.s.send(p, last)
}

// failed ends the request's context with its answer, as in net/http: the
// handler works for nobody.
func (w *response) failed(err error) error {
	w.s.ctx.Cancel(context.Canceled)
	return err
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
	return n > gatherSize || w.connect
}

// before is what every write of content has to pass.
func (w *response) before(n int) error {
	switch {
	case w.over:
		return errOver
	case w.answer.Status == 0:
		w.writeHeader(http.StatusOK)
	}
	switch {
	case w.s.err != nil:
		return w.s.err
	case w.s.c.writeErr != nil:
		return w.failed(w.s.c.writeErr)
	case n > 0 && !semantics.BodyAllowed(w.answer.Status):
		return http.ErrBodyNotAllowed
	}
	return nil
}

// sendKept moves what was kept back behind the head.
func (w *response) sendKept(end bool) error {
	k := w.kept
	if k == nil {
		return nil
	}
	w.kept = nil
	defer k.Release()
	if w.answer.IsHead {
		return nil
	}
	return w.s.send(k.B, end)
}

// Flush and FlushError send what was written so far.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError: see Flush.
func (w *response) FlushError() error {
	c := w.s.c
	c.mu.Lock()
	defer w.s.unlock()
	if err := w.before(0); err != nil {
		return err
	}
	w.sendHead(nil, false)
	err := w.sendKept(false)
	c.flush()
	if err == nil {
		err = c.writeErr
	}
	return err
}

// complete finishes the answer. True: it is whole.
func (w *response) complete() bool {
	w.over = true
	s := w.s
	c := s.c
	if s.gone {
		w.discard()
		return s.err == nil
	}
	if w.aborted {
		w.discard()
		c.reset(s, frame.InternalError)
		return false
	}
	if status := s.body.failed(); status != 0 && w.answer.Status == 0 {
		// Nothing was said yet: the body's fault is the answer (S-2).
		w.header = nil
		w.beginHead(status)
	}
	if w.answer.Status == 0 {
		w.beginHead(http.StatusOK)
	}
	w.sendHead(nil, true)
	if s.sendClosed {
		w.discard() // HEAD
		return true
	}
	if w.answer.Length >= 0 && w.written != w.answer.Length && !w.answer.NoContent {
		if k := w.kept; k != nil && s.out == nil && c.turnOf(len(k.B)) {
			s.frameData(k.B, false) // as over HTTP/1: what there is of it
		}
		w.discard()
		c.reset(s, frame.InternalError) // the reset shows that bytes are missing
		return false
	}
	if s.waiters != nil && s.waiters.writeLate {
		w.discard()
		c.reset(s, frame.InternalError)
		return false
	}
	return w.sendEnd()
}

// sendEnd sends the rest of a good answer, and its end.
func (w *response) sendEnd() bool {
	s := w.s
	s.trailer = w.answer.NoteTrailers(w.header)
	k := w.kept
	w.kept = nil
	var rest []byte
	if k != nil {
		defer k.Release()
		if rest = k.B; w.answer.IsHead {
			rest = nil
		}
	}
	s.sendLast(rest)
	return s.c.writeErr == nil
}

// discard gives back what was kept of an answer that will not be sent.
func (w *response) discard() {
	if w.kept != nil {
		w.kept.Release()
		w.kept = nil
	}
}

// ReadFrom is io.Copy's way in. Whole frames are read at a time: more would make
// a short one of each rest.
func (w *response) ReadFrom(src io.Reader) (int64, error) { return bufpool.Copy(w, src, copySize) }
