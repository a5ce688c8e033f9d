package h1

import (
	"errors"
	"os"
)

var (
	errOver        = errors.New("h1: the request is over") // calls of a writer or body after its handler returned
	errAborted     = errors.New("h1: the handler aborted the answer")
	errIncomplete  = errors.New("h1: the answer is shorter than its Content-Length")
	errBodyTimeout = timeoutError{}
)

// timeoutError is what Body.Read answers when the peer is too slow (S-2).
type timeoutError struct{}

func (timeoutError) Error() string   { return "h1: request body: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return false }

// Is: with net/http, a read past its deadline is os.ErrDeadlineExceeded.
func (timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
