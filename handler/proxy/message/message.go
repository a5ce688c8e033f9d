// Package message is what the proxy and its HTTP/1 and HTTP/2 clients tell each
// other: a request on its way to an upstream, the answer, and why there is none.
package message

import (
	"context"
	"io"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Field is one field line. Whose bytes they are, the holder says.
type Field = semantics.Field

// Request is a request as it goes to an upstream. The client keeps nothing of
// it after the exchange was closed.
type Request struct {
	Method    string
	Scheme    string // http or https; only HTTP/2 sends it
	Authority string // Host, or :authority
	Target    string // origin-form (or "*"), sent byte for byte

	// Fields are the end-to-end fields, the proxy's own among them, in the order
	// they are sent. Never Host, Connection, Content-Length, Transfer-Encoding,
	// TE, Upgrade, Expect, Trailer: those are the client's, of what follows.
	Fields []Field

	// Protocol is what a tunnel is asked for ("websocket"): Upgrade in HTTP/1,
	// :protocol in HTTP/2. Empty: none.
	Protocol string
	// TETrailers asks for trailers (gRPC).
	TETrailers bool

	// Body is nil where there is none. It is read by one goroutine, which may be
	// another than the caller's, and not after the exchange was closed.
	Body io.Reader
	// Length is Body's; -1: it is not known. A body that turns out shorter or
	// longer destroys the exchange before the upstream can take it for complete.
	Length int64
	// Trailer is asked for once Body has ended. nil: there is none.
	Trailer func() []Field
	// Expect sends Expect: 100-continue and holds the body back until 100, a
	// final answer, or ExpectTimeout.
	Expect bool

	// Informational is told of 1xx answers but 100 and 101. nil: they are
	// dropped. Its arguments are valid during the call.
	Informational func(status int, fields []Field)

	// Now is the time at which Do is called, if the caller knows it.
	Now time.Time
	// HeadTimeout bounds the wait for the final head, from the moment the request
	// was sent; IdleTimeout each wait for bytes of the answer and each wait to
	// write. 0: none.
	HeadTimeout, IdleTimeout time.Duration
}

// Response is the head of a final answer. Fields point into the client's
// buffers and are valid until the exchange is read further or closed. They are
// end-to-end but for Connection and what it names, which the client has removed
// with Transfer-Encoding and the like; Content-Length stays if it was sent.
type Response struct {
	Status int
	Fields []Field
	// Length is the body's; -1: it is not known before its end.
	Length int64
	// Received is when the head was here; zero: the client did not look.
	Received time.Time
}

// Exchange is a request whose answer has come. It belongs to the goroutine that
// runs the handler.
type Exchange interface {
	Response() *Response
	// Next gives the next piece of the body, waiting for it; io.EOF at the
	// end. The piece is valid until the next call. It is never empty.
	Next() ([]byte, error)
	// Attach moves the exchange to the request of ctx, on the same home: its waits end
	// with ctx from then on. Called by who uses it next, when nobody else does any more.
	Attach(ctx context.Context)
	// Ready tells whether Next, or the end, is here without waiting.
	Ready() bool
	// Trailer is what came behind the body. Valid after io.EOF, until Close.
	Trailer() []Field
	// Tunnel gives the two directions of an upgraded exchange (status 101, or
	// 2xx to Protocol over HTTP/2). The exchange ends with it.
	Tunnel() (Tunnel, error)
	// Close ends the exchange: the connection is kept for another one if, and
	// only if, everything went as it should. It may be called twice.
	Close()
}

// Splicer is an Exchange whose body can go on inside the kernel.
type Splicer interface {
	// Outside is how many bytes of the body are still to come, if all of them can go
	// by NextPipe; else 0. It is 0 while a piece is here that Next has not given.
	Outside() int64
	// NextPipe moves the next bytes into the empty pipe whose writing end is fd, and
	// tells how many. It waits and ends as Next does.
	NextPipe(fd int) (int64, error)
}

// Tunnel is a two-way stream of bytes.
type Tunnel interface {
	io.ReadWriteCloser
	// CloseWrite ends our direction.
	CloseWrite() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}
