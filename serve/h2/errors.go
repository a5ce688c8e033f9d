package h2

import (
	"errors"
	"os"
)

var (
	errOver      = errors.New("h2: the request is over") // calls of a writer or body after its handler returned
	errConnOver  = errors.New("h2: the connection is over")
	errReset     = errors.New("h2: the peer has reset the stream")
	errResetByUs = errors.New("h2: the stream was reset by the server")
	errTimeout   = timeoutError{}
)

// timeoutError is what Body.Read answers when the peer is too slow (S-2).
type timeoutError struct{}

func (timeoutError) Error() string   { return "h2: request body: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return false }

// Is: with net/http, a read past its deadline is os.ErrDeadlineExceeded.
func (timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
