package h1

import (
	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// outside is how much of the body can go from socket to socket: all that is left of
// one whose length is known, once what was read with it has been taken.
func (x *exchange) outside() int64 {
	if x.err != nil || x.pending != nil || x.head.Framing != wire.FramingLength || x.off < len(x.in.B) {
		return 0
	}
	if _, ok := x.conn.link.(link.PipeReader); !ok {
		return 0
	}
	return x.left
}

// nextPipe is next into a pipe. What comes behind the body stays in the socket, where
// Stale finds it (U-3).
func (x *exchange) nextPipe(fd int) (int64, error) {
	if x.err != nil {
		return 0, x.err
	}
	x.bound()
	n, err := x.conn.link.(link.PipeReader).ReadPipe(fd, x.left)
	if err != nil {
		x.err = x.broken(err)
		return 0, x.err
	}
	if x.left -= n; x.left == 0 {
		x.complete()
	}
	return n, nil
}
