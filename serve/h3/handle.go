package h3

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
)

// handle calls the handler as net/http does: a panic ends the stream, not the
// process.
func (s *stream) handle() {
	returned := false
	defer func() {
		v := recover()
		if s.req.MultipartForm != nil {
			s.req.MultipartForm.RemoveAll() // as net/http: its temporary files
		}
		if v != nil {
			s.c.notePanic(v)
		}
		s.w.complete(returned)
		if v == nil && !returned { // runtime.Goexit: this goroutine ends
			if c := s.c; s.finish() {
				go c.lead()
			}
		}
	}()
	s.c.srv.cfg.Handler.ServeHTTP(&s.w, s.req)
	returned = true
}

func (c *conn) notePanic(v any) {
	if v == http.ErrAbortHandler {
		return
	}
	c.srv.cfg.Counters.Panics.Add(1)
	const size = 64 << 10
	buf := make([]byte, size)
	buf = buf[:runtime.Stack(buf, false)]
	c.srv.cfg.ErrorLog.Error("http3: panic serving "+c.remoteAddr(), slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(buf)))
}
