package h1

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/penstock-edge/penstock/handler/proxy/message"
)

var (
	errMethod    = errors.New("method cannot be sent")
	errTarget    = errors.New("malformed request target")
	errUpgrade   = errors.New("malformed request for an upgrade")
	errBytes     = errors.New("bytes behind an answer that has no content (RFC 9112 §6.3)")
	errManyInfo  = errors.New("too many informational answers (RFC 9110 §15.2)")
	errHeadLarge = errors.New("heads are too large in sum")
	errClosed    = errors.New("exchange is closed")
	errNoTunnel  = errors.New("exchange was not upgraded")
)

// isTimeout tells whether a deadline has passed, ours or the system's own.
func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// local is an error of the request itself: nothing was sent.
func local(err error) *message.Error {
	return &message.Error{Kind: message.RequestFailed, Unsent: true, Err: err}
}

// broken says why reading the answer, or writing before it, has failed.
func (x *exchange) broken(err error) *message.Error {
	if x.pump != nil && x.ctx.Err() == nil {
		if e := x.pump.failure(); e != nil {
			return e // it has closed the connection
		}
	}
	e := &message.Error{Err: err, Answered: x.got}
	inBody := x.stage == stageBody
	switch late := isTimeout(err); {
	case x.ctx.Err() != nil:
		e.Kind = message.Cancelled
	case late && inBody:
		e.Kind = message.BodyTimeout
	case late:
		e.Kind = message.HeadTimeout
	case inBody:
		e.Kind = message.BodyCut
	case x.got:
		e.Kind = message.HeadCut
	default:
		e.Kind = message.ResetEarly
		e.Reused = x.conn.served
	}
	return e
}
