package h3

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// relay carries datagrams between clients and a server, but for those that it
// loses.
type relay struct {
	front  net.PacketConn
	server net.Addr
	lose   func(toClient bool) bool

	// mu guards the following.
	mu    sync.Mutex
	backs map[string]net.PacketConn // by client
	wg    sync.WaitGroup
}

// relayTo starts one, which ends with the test.
func relayTo(tb testing.TB, server net.Addr, lose func(toClient bool) bool) *relay {
	tb.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	servetest.Must(tb, "a socket", err)
	r := &relay{front: front, server: server, lose: lose, backs: make(map[string]net.PacketConn)}
	r.wg.Go(r.forth)
	tb.Cleanup(func() {
		r.front.Close()
		r.mu.Lock()
		for _, back := range r.backs {
			back.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

// lossy loses a share of what goes to clients.
func lossy(share float64) func(bool) bool {
	return func(toClient bool) bool { return toClient && rand.Float64() < share }
}

// forth carries to the server.
func (r *relay) forth() {
	buf := make([]byte, 2<<10)
	for {
		n, client, err := r.front.ReadFrom(buf)
		if err != nil {
			return
		}
		if back := r.back(client); back != nil && !r.lose(false) {
			back.WriteTo(buf[:n], r.server)
		}
	}
}

// back is the socket that the server knows a client by.
func (r *relay) back(client net.Addr) net.PacketConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if back := r.backs[client.String()]; back != nil {
		return back
	}
	back, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil
	}
	r.backs[client.String()] = back
	r.wg.Go(func() {
		buf := make([]byte, 2<<10)
		for {
			n, _, err := back.ReadFrom(buf)
			if err != nil {
				return
			}
			if !r.lose(true) {
				r.front.WriteTo(buf[:n], client)
			}
		}
	})
	return back
}
