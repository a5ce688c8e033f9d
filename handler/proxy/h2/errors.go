package h2

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/penstock-edge/penstock/handler/proxy/message"
)

var (
	errMethod     = errors.New("method cannot be sent")
	errTarget     = errors.New("malformed request target")
	errNoConnect  = errors.New("the upstream takes no extended CONNECT (RFC 8441 §3)")
	errClosed     = errors.New("exchange is closed")
	errNoTunnel   = errors.New("exchange is no tunnel")
	errGone       = errors.New("the connection takes no new streams")
	errIdle       = errors.New("the connection was idle for too long")
	errNoALPN     = errors.New("the upstream does not agree on h2 (RFC 9113 §3.3)")
	errManyInfo   = errors.New("too many informational answers (RFC 9110 §15.2)")
	errHeadLarge  = errors.New("heads are too large in sum")
	errLength     = errors.New("content does not have its length (RFC 9113 §8.1.1)")
	errNoContent  = errors.New("content where there is none (RFC 9110 §6.4.1)")
	errGoAway     = errors.New("GOAWAY")
	errEarlyFrame = errors.New("frame before the head")
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
