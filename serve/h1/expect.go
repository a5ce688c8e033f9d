package h1

import (
	"net/http"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// sendContinue asks for the body, when its handler first reads it (RFC 9110
// §10.1.1). After a final head it is not sent. rmu is held, which is taken
// before wmu everywhere.
func (c *Conn) sendContinue(x *exchange) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	w := &x.w
	if w.status != 0 || w.continued {
		return
	}
	w.continued = true
	out := c.gather(headRoom)
	out.B = append(out.B, "HTTP/1.1 100 Continue\r\n\r\n"...)
	w.flushInterim()
}

// informational sends a 1xx head with the fields set so far, at once. HTTP/1.0
// has none (RFC 9110 §15.2).
func (w *response) informational(status int) {
	if w.x.head.Minor == 0 || w.c.writeErr != nil {
		return
	}
	if status == http.StatusContinue {
		w.continued = true
		w.x.body.noExpect.Store(true)
	}
	out := w.c.gather(headRoom)
	b := semantics.AppendStatusLine(out.B, 1, status)
	for name, values := range w.header {
		if name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range values {
			b = w.appendField(b, name, v)
		}
	}
	out.B = append(b, '\r', '\n')
	w.flushInterim()
}

// flushInterim sends gathered output of which nothing is the final answer.
func (w *response) flushInterim() {
	w.mark = 0
	w.c.flushLocked()
}
