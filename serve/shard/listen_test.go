package shard

import (
	"testing"

	"github.com/penstock-edge/penstock/listener"
)

// listenEcho listens on a free loopback port with one socket.
func listenEcho(t testing.TB) (*Service, *listener.Socket) {
	t.Helper()
	g, err := listener.Listen(t.Context(), listener.Config{Address: "127.0.0.1:0", Sockets: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &Service{Listener: g}, g.Sockets()[0]
}
