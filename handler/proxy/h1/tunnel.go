package h1

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// tunnel is a connection after 101. It is never kept. Read is for one goroutine,
// Write for one, Close for any.
type tunnel struct {
	link.Conn
	conn   *conn
	rest   []byte // came behind the head; owned by the reader
	closed atomic.Bool
}

// tunnel ends an upgraded exchange.
func (x *exchange) tunnel() (message.Tunnel, error) {
	if x.head.Framing != wire.FramingTunnel {
		return nil, errNoTunnel
	}
	k := x.conn
	k.link.SetDeadline(time.Time{})
	t := &tunnel{Conn: k.link, conn: k, rest: bytes.Clone(x.in.B[x.off:])}
	x.conn = nil
	x.recycle()
	return t, nil
}

// Read gives what came with the head first.
func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.rest) > 0 {
		n := copy(p, t.rest)
		t.rest = t.rest[n:]
		return n, nil
	}
	return t.Conn.Read(p)
}

// Close may be called twice.
func (t *tunnel) Close() error {
	if !t.closed.Swap(true) {
		t.conn.close()
	}
	return nil
}
