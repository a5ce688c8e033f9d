package h1

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"unsafe"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// response is the http.ResponseWriter of one exchange. c.wmu guards it: the
// handler, goroutines of its own, and the leader that lets earlier answers out
// may all come here.
type response struct {
	c *Conn
	x *exchange

	header     http.Header
	status     int   // 0: WriteHeader was not called
	length     int64 // declared Content-Length; -1: none
	written    int64 // body bytes that the handler wrote
	isHead     bool
	chunked    bool
	headDone   bool // the head was serialised
	onWire     bool // a part of this answer has left
	noBody     bool // HEAD, 1xx, 204, 304
	closing    bool // the connection ends with this answer
	fullDuplex bool
	continued  bool // 100 was sent
	upgrading  bool // the request asks for another protocol (H1-15)
	hijacked   bool
	aborted    bool
	recycle    bool // MayRecycle was called
	over       bool // the handler has returned
	mark       int  // where this answer begins in the gathered output
	own        own  // what the handler has said itself, as the head begins
	kept       *bufpool.Buffer
	trailers   []string    // announced names
	bounded    atomic.Bool // a write deadline was set
	ended      atomic.Bool // the handler has returned
}

func (w *response) begin(c *Conn, x *exchange) {
	w.c, w.x = c, x
	w.length = -1
	w.isHead = x.method == http.MethodHead
	w.closing = x.head.Close
	if c.out != nil {
		w.mark = len(c.out.B)
	}
}

func (w *response) reset() {
	h := w.header
	if h != nil {
		clear(h)
	}
	trailers := w.trailers[:0]
	*w = response{}
	w.header, w.trailers = h, trailers
}

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
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	w.header = nil
}

// MayRecycle tells that nothing of the request is kept; see Config.Recycle. It is
// for the handler's own goroutine, which is about to return.
func (w *response) MayRecycle() { w.recycle = true }

// WriteHeader sends an informational head at once, and notes a final one: it
// is serialised with the first bytes of the body, or at the end.
func (w *response) WriteHeader(status int) {
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	w.writeHeader(status)
}

func (w *response) writeHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http
	}
	switch {
	case w.over:
		return
	case w.hijacked:
		w.c.cfg.ErrorLog.Warn("http: response.WriteHeader on hijacked connection")
		return
	case w.status != 0:
		w.c.cfg.ErrorLog.Warn("http: superfluous response.WriteHeader call", slog.Int("status", status))
		return
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.informational(status)
		return
	}
	w.beginHead(status)
}

// Write sends p as a part of the body.
func (w *response) Write(p []byte) (int, error) { return w.write(p) }

// WriteString spares io.WriteString the conversion: the bytes are only read,
// and what has to be kept is copied (BenchmarkWrite).
func (w *response) WriteString(s string) (int, error) {
	return w.write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func (w *response) write(p []byte) (int, error) {
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	if err := w.before(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	// Without a declared length a short body is kept back: its length is told
	// if the handler ends before more comes.
	if !w.headDone && w.length < 0 && !w.tooLong(len(p)) {
		w.kept = w.kept.WithRoom(len(p))
		w.kept.B = append(w.kept.B, p...)
		return len(p), nil
	}
	n := len(p)
	if !w.headDone {
		if w.kept != nil && len(w.kept.B) < semantics.SniffBytes {
			// The content type is that of the body's begin, in however many
			// writes it came.
			k := min(n, semantics.SniffBytes-len(w.kept.B))
			w.kept = w.kept.WithRoom(k)
			w.kept.B = append(w.kept.B, p[:k]...)
			p = p[k:]
		}
		w.sendHead(p[:min(len(p), semantics.SniffBytes)], false)
		w.sendKept()
	}
	w.sendBody(p)
	return n, w.failedWrite()
}

// failedWrite is why nothing can be sent any more. It ends the request's
// context, as in net/http: the handler works for nobody.
func (w *response) failedWrite() error {
	err := w.c.writeErr
	if err != nil {
		w.x.ctx.Cancel(context.Canceled)
	}
	return err
}

// tooLong tells whether n more bytes would be too many to keep back.
func (w *response) tooLong(n int) bool {
	if w.kept != nil {
		n += len(w.kept.B)
	}
	return n > gatherSize
}

// before is what every write of body bytes has to pass.
func (w *response) before(n int) error {
	switch {
	case w.over:
		return errOver
	case w.hijacked:
		return http.ErrHijacked
	case w.status == 0:
		w.writeHeader(http.StatusOK)
	}
	switch {
	case w.c.writeErr != nil:
		return w.c.writeErr
	case n > 0 && !semantics.BodyAllowed(w.status):
		return http.ErrBodyNotAllowed
	}
	return nil
}

// sendKept moves what was kept back behind the head.
func (w *response) sendKept() {
	if w.kept == nil {
		return
	}
	k := w.kept
	w.kept = nil
	w.sendBody(k.B)
	k.Release()
}

// sendBody appends p to the answer, as a chunk if need be. Short parts gather;
// a long one goes to the socket from where it lies.
func (w *response) sendBody(p []byte) {
	if len(p) == 0 || w.isHead {
		return
	}
	c := w.c
	long := len(p)+c.gathered() > copyLimit
	room := chunkBytes
	if !long {
		room += len(p)
	}
	out := c.gather(room)
	if w.chunked {
		out.B = wire.AppendChunkHeader(out.B, len(p))
	}
	if long {
		w.sendLong(p)
		out = c.gather(len("\r\n"))
	} else {
		out.B = append(out.B, p...)
	}
	if w.chunked {
		out.B = append(out.B, '\r', '\n')
	}
	if len(out.B) >= flushSize {
		w.flushOut()
	}
}

// sendLong writes the gathered head and p without copying what the socket
// takes of it.
func (w *response) sendLong(p []byte) {
	c := w.c
	w.onWire, w.mark = true, 0
	if c.out != nil && len(c.out.B) > 0 && c.writeErr == nil {
		var n int
		n, c.writeErr = c.host.WriteBoth(c.out.B, p)
		c.out.B = c.out.B[:0]
		p = p[n:]
	}
	for len(p) > 0 && c.writeErr == nil {
		w.backPressure()
		n := min(len(p), highWater)
		if c.writeErr == nil {
			_, c.writeErr = c.host.Write(p[:n])
		}
		p = p[n:]
	}
	w.backPressure()
}

// backPressure makes a handler that is faster than its peer wait. After the
// handler's end nobody waits: the loop sends the rest.
func (w *response) backPressure() {
	c := w.c
	if c.writeErr == nil && !w.over && c.host.Buffered() > highWater {
		c.writeErr = c.host.WaitWritable(lowWater)
	}
}

func (w *response) flushOut() {
	w.onWire, w.mark = true, 0
	w.c.flushLocked()
	w.backPressure()
}

// Flush and FlushError send what was written so far.
func (w *response) Flush() { w.FlushError() }

// FlushError: see Flush.
func (w *response) FlushError() error {
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	if err := w.before(0); err != nil {
		return err
	}
	w.sendHead(nil, false)
	w.sendKept()
	w.flushOut()
	return w.failedWrite()
}

// appendError appends a whole error answer that closes the connection.
func (c *Conn) appendError(dst []byte, status int) []byte {
	dst = semantics.AppendStatusLine(dst, 1, status)
	dst = c.cfg.Date.AppendField(dst, c.host.WallClock())
	text := http.StatusText(status)
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: "...)
	dst = appendInt(dst, int64(len(text)+1))
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, text...)
	return append(dst, '\n')
}
