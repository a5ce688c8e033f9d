package handler

import "net/http"

// RetryAfter is the second mode of the drain: the server still listens and answers
// 429 on all connections, new ones too, and asks them to end: over HTTP/2 and
// HTTP/3 "Connection: close" is a GOAWAY. In the default mode it is left out, and
// the listeners are closed in place of it.
//
// Exempt requests (Info.Exempt) are served, by the same rule as in WaitGroup: else
// the wait could hang on what is let in here.
type RetryAfter struct {
	draining func() bool
	refused  *refusal
}

// NewRetryAfter makes the stage; it goes before WaitGroup. draining answers true
// from the moment NotAcceptingNewRequest is signalled; it is asked with each request.
func NewRetryAfter(draining func() bool, retry RetryOptions) *RetryAfter {
	return &RetryAfter{
		draining,
		newRefusal(http.StatusTooManyRequests, "TooManyRequests", "The server is shutting down, please try again later.", retry.draining()),
	}
}

// Begin refuses x while the server drains.
func (s *RetryAfter) Begin(x *Exchange) bool {
	if !s.draining() || x.Info.Exempt {
		return true
	}
	x.Writer().Header()["Connection"] = closeConn
	return s.refused.serve(x)
}
