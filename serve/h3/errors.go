package h3

import (
	"errors"
	"os"
)

var (
	errOver     = errors.New("h3: the request is over") // calls of a writer or body after its handler returned
	errReset    = errors.New("h3: the peer has reset the stream")
	errTimeout  = timeoutError{}
	errStalled  = errors.New("h3: the peer takes too little of its answer")
	errLength   = errors.New("h3: the body is not as long as its Content-Length")
	errTrailer  = errors.New("h3: a trailer section that is too large or malformed")
	errHeadSize = errors.New("h3: a field section that is too large") // answered with 431

	errNoSockets = errors.New("h3: no sockets to listen on")
	errRefused   = errors.New("h3: too many handshakes")
)

// timeoutError is what Body.Read answers when the peer is too slow (S-2).
type timeoutError struct{}

func (timeoutError) Error() string   { return "h3: request body: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return false }

// Is: with net/http, a read past its deadline is os.ErrDeadlineExceeded.
func (timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
