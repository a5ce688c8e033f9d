package bench

import (
	"crypto/tls"
	"net/url"
	"time"
)

// Protocol is the HTTP version that a run speaks.
type Protocol string

// Protocols. Auto takes what ALPN gives over TLS, HTTP/2 if the server has it,
// and HTTP/1.1 on clear connections; H2 on a clear one is by prior knowledge.
const (
	Auto Protocol = "auto"
	H1   Protocol = "h1"
	H2   Protocol = "h2"
	H3   Protocol = "h3"
)

// Options say what a run asks and how hard. Only URLs is needed.
type Options struct {
	// URLs are asked in turn. All have the same scheme, host and port.
	URLs []*url.URL

	// Method defaults to GET, or POST with a Body.
	Method string

	// Header is sent with each request, in order. Host (or :authority) is that
	// of the URL unless given here; Content-Length is Body's.
	Header []Field

	// Body is sent with each request; nil: none. It is only read.
	Body []byte

	// Protocol defaults to Auto.
	Protocol Protocol

	// Connections held at one time; default 50.
	Connections int

	// Streams is how many requests a connection has in flight; default 1, and
	// more only with HTTP/2 and HTTP/3. A server's lower limit holds.
	Streams int

	// Workers is the number of event loops that share the connections; default
	// GOMAXPROCS, at most Connections.
	Workers int

	// Duration and Requests end the run, whichever comes first; without both
	// Duration is 10 s. What is in flight then is waited for up to Timeout when
	// Requests ended it, and abandoned, not failed, when Duration did.
	Duration time.Duration
	Requests int64

	// Warmup runs before and is not counted.
	Warmup time.Duration

	// Rate, in requests a second over all connections, makes an open loop.
	// 0: closed loop.
	Rate float64

	// Timeout of a request, from its intended start, and of a connection with
	// its handshake; default 30 s.
	Timeout time.Duration

	// ConnectPerRequest makes a new connection for each request. NoKeepAlive
	// asks the server to close (Connection: close) and does the same (HTTP/1.1).
	ConnectPerRequest bool
	NoKeepAlive       bool

	// TLS is for https; nil means the defaults. NextProtos is set by the run.
	TLS *tls.Config

	// Check, if set, sees each complete answer within the measured time, on the
	// goroutine of its loop; an error counts the answer as failed (ErrorCheck).
	// body is valid during the call alone, and nil unless KeepBody.
	Check    func(status int, body []byte) error
	KeepBody bool

	// Interval of Progress and of Result.Series; default 1 s.
	Interval time.Duration
	// Progress, if set, is told of each interval, also during the warm-up, on a
	// goroutine of its own.
	Progress func(Point)
}

// Field is a header field, sent as it is given (HTTP/2 and HTTP/3: in lower case).
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
