package h1

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// await reads until the final head is here.
func (x *exchange) await() *message.Error {
	x.in = bufpool.Get(readBytes)
	x.stage = stageHead
	opts := &x.client.opts
	for {
		x.head.Reset(x.req.Method)
		n, e := x.readHead()
		if e != nil {
			return e
		}
		if x.heads += n; x.heads > opts.MaxHead {
			return &message.Error{Kind: message.HeadTooLarge, Err: errHeadLarge}
		}
		x.off += n
		if status := x.head.Status; status >= 200 || status == http.StatusSwitchingProtocols {
			return x.final()
		}
		if e := x.interim(); e != nil {
			return e
		}
	}
}

// readHead parses one head, of n bytes, reading as much as it takes.
func (x *exchange) readHead() (n int, e *message.Error) {
	for {
		n, err := x.head.Parse(x.in.B[x.off:], &x.client.opts.Limits)
		if err != nil {
			return 0, refused(err)
		}
		if n > 0 {
			return n, nil
		}
		if x.heads+len(x.in.B)-x.off >= x.client.opts.MaxHead {
			return 0, &message.Error{Kind: message.HeadTooLarge, Err: errHeadLarge}
		}
		x.makeRoom()
		if err := x.readMore(); err != nil {
			return 0, x.broken(err)
		}
	}
}

// refused tells an answer that breaks the rules from one that breaks a limit.
func refused(err error) *message.Error {
	kind := message.Malformed
	var w *wire.Error
	if errors.As(err, &w) && w.Status == http.StatusRequestHeaderFieldsTooLarge {
		kind = message.HeadTooLarge
	}
	return &message.Error{Kind: kind, Err: err}
}

// makeRoom lets the buffer take more of an unfinished head: MaxHead in the end.
func (x *exchange) makeRoom() {
	if x.off > 0 { // behind informational heads
		x.in.B = x.in.B[:copy(x.in.B, x.in.B[x.off:])]
		x.off = 0
	}
	if len(x.in.B) < cap(x.in.B) {
		return
	}
	larger := bufpool.Get(max(bodyBytes, x.client.opts.MaxHead))
	larger.B = append(larger.B, x.in.B...)
	x.in.Release()
	x.in = larger
}

// readMore waits for more bytes of the head.
func (x *exchange) readMore() error {
	for {
		n, err := x.conn.link.Read(x.in.B[len(x.in.B):cap(x.in.B)])
		if n > 0 {
			x.in.B = x.in.B[:len(x.in.B)+n]
			x.got = true
			return nil
		}
		if x.holding && x.client.opts.ExpectTimeout > 0 && isTimeout(err) && x.ctx.Err() == nil {
			x.release() // RFC 9110 §10.1.1: a client does not wait for ever
			continue
		}
		if err != nil {
			return err
		}
	}
}

// interim takes an informational answer.
func (x *exchange) interim() *message.Error {
	if x.infos++; x.infos > maxInformational {
		return &message.Error{Kind: message.HeadTooLarge, Err: errManyInfo}
	}
	switch {
	case x.head.Status == http.StatusContinue:
		if x.holding {
			x.release()
		}
	case x.req.Informational != nil:
		x.req.Informational(x.head.Status, x.endToEnd())
	}
	return nil
}

// final takes the final head: where the body ends, what is passed on, and whether
// the connection can still be kept.
func (x *exchange) final() *message.Error {
	h := &x.head
	if h.Framing == wire.FramingTunnel && !x.upgraded() {
		return &message.Error{Kind: message.UnaskedUpgrade}
	}
	whole := !x.holding // a body held back is not sent any more
	if x.pump != nil {
		whole = x.pump.answer()
	}
	if !whole || h.Close || x.req.Protocol != "" {
		x.dirty = true
	}
	x.stage = stageBody
	x.now = time.Now()
	x.resp = message.Response{Status: h.Status, Fields: x.endToEnd(), Received: x.now}
	switch h.Framing {
	case wire.FramingTunnel:
		x.err = io.EOF
	case wire.FramingNone:
		if x.off < len(x.in.B) {
			return &message.Error{Kind: message.Malformed, Err: errBytes}
		}
		x.err = io.EOF
	case wire.FramingLength:
		x.left = h.ContentLength
		x.resp.Length = x.left
		if x.left == 0 {
			x.complete()
		}
	case wire.FramingChunked:
		x.resp.Length = -1
		x.chunks.Reset(&x.client.opts.Limits)
	case wire.FramingClose:
		x.resp.Length = -1
	}
	return nil
}

// upgraded tells whether a 101 answers what was asked for, and nothing else
// (RFC 9110 §15.2.2).
func (x *exchange) upgraded() bool {
	protocol := x.head.Upgrade
	return x.req.Protocol != "" && semantics.IsToken(protocol) && strings.EqualFold(string(protocol), x.req.Protocol)
}
