package bench

import (
	"errors"
	"net/http"
)

// exchange is a request under way. Times are in ns since the run's begin.
type exchange struct {
	intended int64 // when it was to begin: latency counts from it
	begun    int64 // when its sending began
	head     int64 // when the answer's head was there; 0: not yet
	slot     int32 // its place in conn.slots
	busy     bool
	status   int
	body     []byte // with Options.KeepBody

	// HTTP/2
	id      uint32
	length  int64 // Content-Length of the answer; -1: none
	got     int64 // bytes of its body
	taken   int64 // of the stream's window since the peer was last told
	sent    int   // of Options.Body
	window  int64 // what the peer takes of the body
	waiting bool  // for that: it is in clientH2.waiting
}

// contentless tells that the answer of this status to p's requests has no content,
// whatever its Content-Length says (RFC 9110 §6.4.1).
func (p *plan) contentless(status int) bool {
	return p.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

const contentForbidden = "content in an answer that has none (HEAD, 204 or 304)"

// failure is why a request, or a connection, has failed.
type failure struct {
	kind ErrorKind
	err  error
}

func (f *failure) Error() string { return string(f.kind) + ": " + f.err.Error() }

// failed makes a failure.
func failed(kind ErrorKind, text string) *failure { return &failure{kind, errors.New(text)} }

// client is a version of HTTP on one connection. It is driven by the worker, on
// its goroutine.
type client interface {
	// room is how many requests may be begun now.
	room() int
	// begin sends the request of x, as far as the connection takes it now.
	begin(x *exchange, t *target)
	// input takes what was read, as far as it makes whole parts. What it leaves
	// comes again in front of the next.
	input(b []byte) (used int, f *failure)
	// ended tells what becomes of the requests under way when the peer ends its
	// side; nil: one of them is complete by that.
	ended() *failure
	// cancel ends the request of x alone; false: only with the connection.
	cancel(x *exchange) bool
	// over tells that the connection carries no further request.
	over() bool
}
