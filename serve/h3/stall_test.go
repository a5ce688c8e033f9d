package h3

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
)

// deaf is a socket that hears nothing: a client of it never ends its handshake.
type deaf struct {
	net.PacketConn
	closed chan struct{}
	once   sync.Once
}

func (d *deaf) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.closed
	return 0, nil, net.ErrClosed
}

// SetReadBuffer and SetWriteBuffer keep the transport from complaining.
func (d *deaf) SetReadBuffer(int) error  { return nil }
func (d *deaf) SetWriteBuffer(int) error { return nil }

// stall begins a handshake from socket that goes no further, until stop.
func stall(t *testing.T, s *site, socket net.PacketConn) (stop func()) {
	t.Helper()
	d := &deaf{PacketConn: socket, closed: make(chan struct{})}
	tr := &quic.Transport{Conn: d}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if q, err := tr.Dial(ctx, s.addr, clientTLS(), &quic.Config{}); err == nil {
			t.Error("a handshake without an answer")
			q.CloseWithError(0, "")
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		d.once.Do(func() { close(d.closed) })
		tr.Close()
	})
	t.Cleanup(stop)
	return stop
}
