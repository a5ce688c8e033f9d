package link

import (
	"context"
	"errors"
	"net"
	"time"
)

// ErrWouldBlock is what TryRead answers when nothing is here now. It is a
// temporary net.Error: crypto/tls keeps a partial record on it.
var ErrWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "link: would block" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// ErrStale tells that a connection cannot carry another request: the peer has
// closed it, or has sent what nobody asked for (rule U-3).
var ErrStale = errors.New("link: connection is stale")

// Conn is a connection to an upstream. Reads and writes wait; deadlines that
// pass end the waits with os.ErrDeadlineExceeded.
type Conn interface {
	net.Conn

	// TryRead reads what is here and never waits: ErrWouldBlock, nothing now.
	TryRead(p []byte) (int, error)
	// WriteBoth writes head and then body, if it can in one system call.
	WriteBoth(head, body []byte) error
	// CloseWrite sends FIN (over TLS close_notify first).
	CloseWrite() error

	// Attach gives the connection to the request of ctx: its waits end with
	// context.Cause(ctx) when that is done. One that is attached already moves, without
	// being idle in between; who had it must not use it any more.
	Attach(ctx context.Context)
	// Detach ends that. A connection without a request is idle: what its peer
	// sends then makes it stale.
	Detach()
	// Stale tells, by one look at the socket, whether an idle connection must
	// not be used: closed, or with bytes that belong to no request (rule U-3).
	Stale() bool
}

// A Waiter lets one request wait for others: for a place in a queue, or for
// its answer on a connection that many share.
type Waiter interface {
	// Wait returns nil after Wake (also one before Wait; several count as one),
	// os.ErrDeadlineExceeded at until (zero: never), or the cause of the
	// request's end.
	Wait(until time.Time) error
	// Wake ends a Wait, or the next one. Any goroutine.
	Wake()
}

// Home is where a request runs.
type Home interface {
	// Index tells homes apart: connections of one home are not used from
	// another. It is 0 for the portable home and small, but grows with each shard
	// that the process starts: pools by index grow as they see them.
	Index() int
	// Dial connects: network tcp or unix. The connection is attached to ctx.
	Dial(ctx context.Context, network, address string) (Conn, error)
	// Waiter makes a Waiter of the request of ctx.
	Waiter(ctx context.Context) Waiter
	// Lead lets others have the shard: the caller is about to block, and not in a wait
	// of this package. Any goroutine of the handler.
	Lead()
	// Go runs f beside the request, on this home; ctx is what ends f's waits.
	// The caller sees to it that f ends.
	Go(ctx context.Context, f func(ctx context.Context))
}
