package h2

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// start runs the handler of s, or lets it wait for another one to end: resets
// do not make room, or a peer could have any number of them running (H2-1).
// What waits is an open stream, of which there are MaxStreams at most. False:
// overtaken.
func (c *Conn) start(s *stream) bool {
	if c.running < c.cfg.MaxStreams {
		return c.serve(s)
	}
	c.keep(s)
	c.waiting = append(c.waiting, s)
	return true
}

// startWaiting starts the requests for which there is room now. False: overtaken.
func (c *Conn) startWaiting() bool {
	for len(c.waiting) > 0 && c.running < c.cfg.MaxStreams && c.phase <= phaseOpen {
		s := c.waiting[0]
		c.waiting = c.waiting[1:]
		if !c.serve(s) {
			return false
		}
	}
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
	return true
}

// startDeferred starts the requests whose body has not arrived with its head.
// False: overtaken.
func (c *Conn) startDeferred() bool {
	for len(c.deferred) > 0 && c.phase <= phaseOpen {
		s := c.deferred[0]
		c.deferred = slices.Delete(c.deferred, 0, 1) // few, and the array is used again
		if !c.start(s) {
			return false
		}
	}
	if cap(c.deferred) > smallTable {
		c.deferred = nil
	}
	return true
}

// serve calls the handler. In the event loop it runs here and now: all that
// the step has still to do lies in c, for whoever overtakes. False: overtaken.
func (c *Conn) serve(s *stream) (inline bool) {
	c.running++
	s.started = true
	if c.blocks {
		c.keep(s)
		s.detached = true
		go func() {
			c.handle(s)
			c.end()
		}()
		return true
	}
	c.inline = s
	if c.in != nil && c.off < len(c.in.B) || len(c.deferred) > 0 || len(c.waiting) > 0 {
		c.host.WorkBehind()
	}
	c.mu.Unlock()
	if c.cfg.tasks() {
		return c.runTask(s)
	}
	return c.handle(s)
}

// runTask calls the handler as a task. It returns with c.mu held.
func (c *Conn) runTask(s *stream) (inline bool) {
	parked, inline := c.host.RunTask((*taskRunner)(s))
	if !parked {
		return inline
	}
	c.mu.Lock()
	if c.inline == s {
		c.inline = nil
	}
	s.detached, s.parked = true, true
	c.keep(s)
	s.task.Park()
	return inline
}

// taskRunner is a stream whose handler runs as a task.
type taskRunner stream

// SetTask: see TaskRunner.
func (r *taskRunner) SetTask(t Task) { r.task = t }

// Run calls the handler.
func (r *taskRunner) Run() { r.c.handle((*stream)(r)) }

// handle calls the handler as net/http does: a panic ends the stream, not the
// process. It returns with c.mu held, unless the handler has waited as a task.
// inline false: it was overtaken.
func (c *Conn) handle(s *stream) (inline bool) {
	returned := false
	defer func() {
		v := recover()
		// What may wait for a disk or a log comes before the lock, and while the
		// handler may still be overtaken.
		if s.req.MultipartForm != nil {
			s.req.MultipartForm.RemoveAll() // as net/http: its temporary files
		}
		if v != nil {
			c.notePanic(v)
		}
		switch {
		case s.task != nil:
			s.ctx.Notify(nil) // this task is somebody else's soon
			inline = s.task.Leave()
		case s.turn != 0:
			inline = c.host.EndTurn(s.turn)
		}
		c.mu.Lock()
		s.detached = s.detached || !inline
		if c.inline == s {
			c.inline = nil
		}
		s.w.aborted = !returned
		// A task that has waited runs beside the steps, and so it asks for one;
		// runtime.Goexit unwinds on: nobody else unlocks.
		alone := s.parked || v == nil && !returned
		c.finishStream(s)
		if alone {
			c.end()
		}
	}()
	if !c.blocks && s.task == nil {
		s.turn = c.host.BeginTurn()
	}
	c.cfg.Handler.ServeHTTP(&s.w, s.req)
	returned = true
	return
}

// finishStream ends an exchange: no call of its handler gets in any more, and
// the answer is completed.
func (c *Conn) finishStream(s *stream) {
	c.running--
	s.returned = true
	s.exposed = s.ctx.Cancel(context.Canceled)
	if s.waiters != nil {
		s.waiters.stop()
	}
	if s.w.complete() {
		c.cfg.Counters.Requests.Add(1)
	}
	s.body.close()
	s.signalRoom()
	c.settle(s)
	if !s.gone {
		c.keep(s) // its last bytes wait for room
	}
	if s.detached {
		if s.parked {
			c.wake = c.wake || c.out != nil
		} else {
			c.flush()
		}
		c.wake = c.wake || c.open == 0 || len(c.waiting) > 0 || s.out != nil || c.writeErr != nil || c.goaway != goawayNone
	}
	c.recycle(s)
}

// settle closes a stream whose answer is framed while its request still comes:
// nobody reads it (RFC 9113 §8.1).
func (c *Conn) settle(s *stream) {
	if s.returned && s.sendClosed && !s.recvClosed && !s.gone {
		c.reset(s, frame.NoError)
	}
}

func (c *Conn) notePanic(v any) {
	if v == http.ErrAbortHandler {
		return
	}
	c.cfg.Counters.Panics.Add(1)
	const size = 64 << 10
	buf := make([]byte, size)
	buf = buf[:runtime.Stack(buf, false)]
	c.cfg.ErrorLog.Error("http2: panic serving "+c.remote, slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(buf)))
}
