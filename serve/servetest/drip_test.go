package servetest

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestDrip(t *testing.T) {
	CheckLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, "listen", err)
	defer l.Close()
	d := Drip{Addr: l.Addr().String(), Conns: 2, Bytes: []byte("abc"), Every: time.Millisecond}
	Must(t, "start", d.Start())
	Want(t, "all are connected", d.Connected(), 2)

	first, err := l.Accept()
	Must(t, "accept", err)
	defer first.Close()
	got := make([]byte, 3)
	_, err = io.ReadFull(first, got)
	Must(t, "read", err)
	Want(t, "the bytes come in order", string(got), "abc")
	first.Close()
	WantSoon(t, "a client sees that the server closed", func() bool { return d.Ended() == 1 })
	d.Stop()
	Want(t, "Stop ends them all", d.Ended(), 2)
}

func TestDripNotConnected(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, "listen", err)
	addr := l.Addr().String()
	l.Close()
	d := Drip{Addr: addr, Conns: 2}
	Want(t, "a refused dial is an error", d.Start() != nil, true)
}
