package h1

import (
	"context"
	"io"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// stage is how far an exchange has come.
type stage uint8

const (
	stageSend stage = iota
	stageHead
	stageBody // the final head is here
)

// exchange is one request and its answer. It belongs to the goroutine that runs
// the handler, and to the client's pool between two of them.
type exchange struct {
	client *Client

	// Set by Do.
	ctx  context.Context
	home link.Home
	pool *pool
	req  *message.Request

	handle *handle   // the caller's
	conn   *conn     // nil: none yet, or no more
	pump   *pump     // nil: the body needs none
	now    time.Time // the last that was looked at

	// The request.
	src     message.Source  // of a small body
	small   *bufpool.Buffer // the small body itself
	out     *bufpool.Buffer // the head
	holding bool            // the body waits for 100 (Continue)

	// The answer.
	stage   stage
	in      *bufpool.Buffer
	off     int // in.B[off:] is not taken yet
	head    wire.ResponseHead
	chunks  wire.Chunked
	heads   int    // bytes of heads so far
	infos   int    // informational answers so far
	got     bool   // any byte has come
	left    int64  // of a body with a length
	pending []byte // a piece that ready has found
	err     error  // of next; io.EOF: the answer is complete
	dirty   bool   // the connection cannot be kept
	bounded bool   // a read deadline is set
	resp    message.Response
	fields  []message.Field
	trailer []message.Field
}

// clean tells whether the connection may carry another exchange: everything went
// as it should, and nothing is left over on either side.
func (x *exchange) clean() bool {
	return !x.dirty && x.err == io.EOF && x.off == len(x.in.B) && (x.pump == nil || x.pump.done())
}

// close ends the exchange, wherever it stands.
func (x *exchange) close() {
	switch k := x.conn; {
	case k == nil:
	case x.clean():
		x.keep(k)
	default:
		k.close()
		if x.pump != nil {
			x.pump.leave()
		}
		k.link.Detach()
	}
	x.recycle()
}

// keep gives the connection back to its pool.
func (x *exchange) keep(k *conn) {
	k.link.Detach()
	k.served = true
	k.since = x.now
	if k.old(k.since) || !x.pool.push(k) {
		k.close()
	}
}

// recycle forgets all but allocations.
func (x *exchange) recycle() {
	for _, b := range [...]*bufpool.Buffer{x.small, x.out, x.in} {
		if b != nil {
			b.Release()
		}
	}
	clear(x.fields)
	clear(x.trailer)
	*x = exchange{client: x.client, head: x.head, chunks: x.chunks, fields: x.fields[:0], trailer: x.trailer[:0]}
	x.head.Reset("")
	x.client.exchanges.Put(x)
}

// handle is what the caller holds: the exchange, until it is closed. Nobody else
// gets the same one afterwards.
type handle struct{ x *exchange }

// Response: see message.Exchange. nil once it is closed.
func (h *handle) Response() *message.Response {
	if h.x == nil {
		return nil
	}
	return &h.x.resp
}

// Next: see message.Exchange. The piece is valid until the next call of Next or
// Ready.
func (h *handle) Next() ([]byte, error) {
	if h.x == nil {
		return nil, errClosed
	}
	return h.x.next()
}

// Attach: see message.Exchange.
func (h *handle) Attach(ctx context.Context) {
	if x := h.x; x != nil {
		portable, _ := x.home.(*link.Portable)
		x.ctx, x.home = ctx, link.HomeOf(ctx, portable)
		x.conn.link.Attach(ctx)
	}
}

// Ready: see message.Exchange.
func (h *handle) Ready() bool { return h.x == nil || h.x.ready() }

// Outside: see message.Splicer.
func (h *handle) Outside() int64 {
	if h.x == nil {
		return 0
	}
	return h.x.outside()
}

// NextPipe: see message.Splicer.
func (h *handle) NextPipe(fd int) (int64, error) {
	if h.x == nil {
		return 0, errClosed
	}
	return h.x.nextPipe(fd)
}

// Trailer: see message.Exchange.
func (h *handle) Trailer() []message.Field {
	if h.x == nil {
		return nil
	}
	return h.x.trailers()
}

// Tunnel: see message.Exchange. The response is not valid afterwards.
func (h *handle) Tunnel() (message.Tunnel, error) {
	if h.x == nil {
		return nil, errClosed
	}
	t, err := h.x.tunnel()
	if err == nil {
		h.x = nil
	}
	return t, err
}

// Close: see message.Exchange.
func (h *handle) Close() {
	if x := h.x; x != nil {
		h.x = nil
		x.close()
	}
}
