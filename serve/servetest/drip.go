package servetest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Drip holds slow clients: each connection sends Bytes one at a time, then
// reads the answer one byte at a time. They are what a server must put up with
// while it serves others. Set the fields, then Start.
type Drip struct {
	// Network and Addr are dialled. If Network is empty, "tcp".
	Network, Addr string
	// Conns is the number of connections. If zero, 1.
	Conns int
	// Bytes are sent one by one. If empty, the clients read from the beginning.
	Bytes []byte
	// Every is the time between two bytes. If zero, 1 s.
	Every time.Duration

	connected atomic.Int64
	ended     atomic.Int64
	group     sync.WaitGroup
	cancel    context.CancelFunc
}

// Start dials all clients, one after another, and lets them drip until Stop.
// An error of a dial ends what was started.
func (d *Drip) Start() error {
	network, every := d.Network, d.Every
	if network == "" {
		network = "tcp"
	}
	if every <= 0 {
		every = time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	for range max(d.Conns, 1) {
		conn, err := net.DialTimeout(network, d.Addr, defaultTimeout)
		if err != nil {
			d.Stop()
			return err
		}
		d.connected.Add(1)
		d.group.Go(func() { d.drip(ctx, conn, every) })
	}
	return nil
}

func (d *Drip) drip(ctx context.Context, conn net.Conn, every time.Duration) {
	defer d.ended.Add(1)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	one := make([]byte, 1)
	for i := 0; ; i++ {
		var err error
		if i < len(d.Bytes) {
			_, err = conn.Write(d.Bytes[i : i+1])
		} else {
			_, err = conn.Read(one)
		}
		if err != nil || !sleepUntil(ctx, time.Now().Add(every)) {
			return // the server ended it, as it may, or Stop
		}
	}
}

// Connected is the number of clients that reached the server.
func (d *Drip) Connected() int { return int(d.connected.Load()) }

// Ended is the number of clients on whom the server closed, as far as they have
// noticed by their next byte. After Stop it is all of them.
func (d *Drip) Ended() int { return int(d.ended.Load()) }

// Stop closes all clients and waits for them. Call it once Start was called.
func (d *Drip) Stop() {
	d.cancel()
	d.group.Wait()
}
