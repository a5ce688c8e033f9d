package h1

import (
	"errors"
	"net/http"

	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// readHead reads and serves the next request. False: the step ends.
func (c *Conn) readHead() bool {
	if c.in != nil && c.off < len(c.in.B) {
		// One request ahead is parsed, never served, while its predecessor's
		// answer has not left (H1-17).
		if c.host.Buffered() > 0 {
			return false
		}
		if !c.sawBytes {
			c.beginHead()
		}
		if c.requests == 0 && c.cfg.Preface != nil {
			switch begin := c.in.B[c.off:]; {
			case len(begin) >= len(preface) && string(begin[:len(preface)]) == preface:
				c.leave()
				return false
			case len(begin) < len(preface) && string(begin) == preface[:len(begin)]:
				return c.read() // it may become one
			}
		}
		x := c.fresh
		n, err := x.parse(c.in.B[c.off:], c.cfg)
		if err != nil {
			return c.refuseHead(err)
		}
		if n > 0 {
			c.off += n
			c.sawBytes = false
			return c.serve(x)
		}
	}
	c.flushOut()
	if c.writeErr != nil {
		c.over(c.writeErr)
		return false
	}
	if c.host.Buffered() > 0 {
		return false
	}
	return c.read()
}

// preface begins every HTTP/2 connection (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// leave gives the connection, with what was read of it, to another engine.
func (c *Conn) leave() {
	c.enter(stateOver)
	in := c.in
	c.in, c.off = nil, 0
	c.release()
	c.cfg.Preface(c.host, in)
}

func (c *Conn) beginHead() {
	c.sawBytes = true
	c.headAt = c.host.Now().Sub(epoch) // c.now may be from before a long handler
	if c.fresh == nil {
		c.fresh = newExchange(c.cfg)
	}
	c.idle = false
	c.host.SetState(http.StateActive)
}

// serve runs the handler and finishes its answer. False: overtaken, or over.
func (c *Conn) serve(x *exchange) bool {
	c.fresh = nil
	c.requests++
	x.begin(c)
	c.enter(stateHandler)
	c.cur.Store(x)
	if !c.blocks && c.cfg.tasks() {
		return c.stepTask(x, c.host.RunTask)
	}
	return c.served(x, c.runHandler(x))
}

// served ends the exchange of a handler that has returned. False: overtaken, or over.
func (c *Conn) served(x *exchange, inline bool) bool {
	// A detached exchange is left to the garbage collector: the leader may be
	// telling its context of a hang-up right now.
	x.left = !inline
	if c.finish(x) {
		c.cfg.Counters.Requests.Add(1)
	}
	c.cur.Store(nil)
	if c.draining == nil {
		x.recycle()
	}
	return inline && c.state != stateOver
}

// refuseHead answers a head that does not follow the rules.
func (c *Conn) refuseHead(err error) bool {
	status := http.StatusBadRequest
	if e, ok := errors.AsType[*wire.Error](err); ok {
		status = e.Status
	}
	if status == http.StatusRequestURITooLong || status == http.StatusRequestHeaderFieldsTooLarge {
		c.cfg.Counters.TooLarge.Add(1)
	} else {
		c.cfg.Counters.Malformed.Add(1)
	}
	c.refuse(status)
	return true
}

// refuse sends one error answer and closes behind it; no further byte of
// input is interpreted. Nothing of the peer's is echoed.
func (c *Conn) refuse(status int) {
	c.wmu.Lock()
	out := c.gather(headRoom)
	out.B = c.appendError(out.B, status)
	c.flushLocked()
	c.wmu.Unlock()
	c.startLinger()
}
