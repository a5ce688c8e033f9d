package h1

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// runHandler calls the handler as net/http does: a panic ends the connection,
// not the process. inline false: it was overtaken.
func (c *Conn) runHandler(x *exchange) (inline bool) {
	defer func() {
		if v := recover(); v != nil {
			c.handlerPanicked(x, v)
		}
		// Also when the goroutine is unwound by runtime.Goexit: the host must know.
		inline = c.host.EndHandler()
	}()
	c.host.BeginHandler()
	c.call(x)
	return
}

// call calls the handler.
func (c *Conn) call(x *exchange) {
	if x.target == "*" && c.answersOptions() {
		x.w.Header().Set("Content-Length", "0") // OPTIONS *: of the server as a whole (RFC 9110 §9.3.7)
		return
	}
	c.cfg.Handler.ServeHTTP(&x.w, x.req)
}

// answersOptions: net/http's rule.
func (c *Conn) answersOptions() bool {
	return c.cfg.Server == nil || !c.cfg.Server.DisableGeneralOptionsHandler
}

func (c *Conn) handlerPanicked(x *exchange, v any) {
	x.w.aborted = true
	if v == http.ErrAbortHandler {
		return
	}
	c.cfg.Counters.Panics.Add(1)
	const size = 64 << 10
	buf := make([]byte, size)
	buf = buf[:runtime.Stack(buf, false)]
	c.cfg.ErrorLog.Error("http: panic serving "+c.host.RemoteAddrString(), slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(buf)))
}

// finish ends an exchange: no call of its handler gets in any more, the answer
// is completed, and the connection goes where it leads. answered: it was not
// aborted or cut.
func (c *Conn) finish(x *exchange) (answered bool) {
	w, b := &x.w, &x.body
	x.ctx.Cancel(context.Canceled)
	x.stopReading()
	if b.watch.Load() { // after stopReading: the body's end may begin to watch
		c.host.StopWatch()
	}
	if x.req.MultipartForm != nil {
		x.req.MultipartForm.RemoveAll() // as net/http: its temporary files
	}
	w.ended.Store(true)
	if w.bounded.Load() {
		c.deadlines.Lock() // a late call is through, or sees the end
		c.host.SetWriteDeadline(time.Time{})
		c.deadlines.Unlock()
	}
	c.wmu.Lock()
	w.over = true
	if w.hijacked {
		c.wmu.Unlock()
		c.enter(stateOver)
		return true
	}
	err := w.complete()
	if err == nil && c.gathered() >= flushSize {
		c.flushLocked() // answers without a body gather too
	}
	if err == nil {
		err = c.writeErr
	}
	c.wmu.Unlock()
	switch {
	case err != nil:
		c.over(err)
	case w.closing && c.unread(b):
		c.flushOut()
		c.startLinger()
	case w.closing:
		c.over(nil)
	case b.err != io.EOF && b.err != nil:
		c.flushOut()
		c.startLinger()
	case b.err == nil:
		c.draining, c.spent = x, 0
		c.ending = c.host.Now().Sub(epoch) + drainTimeout
		c.enter(stateDrain)
	default:
		c.enter(stateHead)
	}
	return err == nil && c.writeErr == nil
}

// unread tells whether closing now could reset the connection under the answer.
func (c *Conn) unread(b *body) bool {
	return b.err == nil || c.in != nil && c.off < len(c.in.B)
}

// stopReading shuts the body for the handler's goroutines, and waits for one
// that is inside.
func (x *exchange) stopReading() {
	b := &x.body
	if b.ended.Load() && b.err == io.EOF && !b.chunked && x.req.Body == http.NoBody {
		return // there is no body: nobody is inside
	}
	c := b.c
	for !c.rmu.TryLock() {
		b.wakeStale()
		runtime.Gosched()
	}
	b.shut = true
	b.over.Store(true)
	c.rmu.Unlock()
}

// wakeStale releases a goroutine that waits inside Read.
func (b *body) wakeStale() {
	b.over.Store(true)
	b.c.host.WakeReader()
}

// shut ends an exchange whose connection goes while goroutines of its handler
// may live on: their calls find it over.
func (x *exchange) shut() {
	x.ctx.Cancel(context.Canceled)
	x.w.ended.Store(true)
	x.stopReading()
	if c := x.w.c; c.wmu.TryLock() {
		x.w.over = true
		c.wmu.Unlock()
	} // else a writer is inside: the host tells it that the connection is closed
}

// complete finishes the answer. wmu is held.
func (w *response) complete() error {
	c := w.c
	if w.aborted {
		w.discard()
		return errAborted
	}
	if status := w.x.body.failed(); status != 0 {
		w.closing = true
		if w.status == 0 {
			// Nothing was said yet: the body's fault is the answer (S-2, H1-4).
			out := c.gather(headRoom)
			out.B = c.appendError(out.B, status)
			return nil
		}
	}
	if b := &w.x.body; b.expect || b.err == nil && b.left > maxDrainBytes {
		// The body was never asked for, and may come all the same; or too much
		// of it is left to look for the next request behind it (H1-13).
		w.closing = true
	}
	if w.status == 0 {
		w.beginHead(http.StatusOK)
	}
	w.sendHead(nil, true)
	w.sendKept()
	if w.chunked && !w.isHead {
		w.endChunks()
	}
	if w.length >= 0 && w.written != w.length && !w.noBody {
		return errIncomplete // the cut shows that bytes are missing
	}
	return c.writeErr
}

// endChunks appends the last chunk and the trailer section.
func (w *response) endChunks() {
	out := w.c.gather(chunkBytes)
	b := append(out.B, wire.LastChunk...)
	for _, name := range w.trailers {
		for _, v := range w.header[name] {
			b = w.appendField(b, name, v)
		}
	}
	for key, values := range w.header {
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if !ok || semantics.ForbiddenTrailer(name) {
			continue
		}
		for _, v := range values {
			b = w.appendField(b, name, v)
		}
	}
	out.B = append(b, '\r', '\n')
}

// discard takes back what has not left of an aborted answer, so that it cannot
// pass for a complete one; earlier answers stay.
func (w *response) discard() {
	if w.kept != nil {
		w.kept.Release()
		w.kept = nil
	}
	if out := w.c.out; out != nil && !w.onWire {
		out.B = out.B[:w.mark]
	} else if out != nil {
		out.B = out.B[:0]
	}
	w.c.flushLocked()
}
