package servetest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Relay carries UDP datagrams between clients and a server, as badly as it is
// told: it loses, reorders and duplicates them, and behaves like a NAT that
// forgets. Each client reaches the server from an address of its own, which
// Rebind changes:
//
//	client A ──┐           ┌── via A ──┐
//	           ├─ Addr ────┤           ├── server
//	client B ──┘           └── via B ──┘
//
// Set the fields, then Start. The methods may be called by any goroutine.
type Relay struct {
	// Server is where the datagrams of clients go.
	Server netip.AddrPort
	// Up are the faults on the way to the server, Down on the way to clients.
	Up, Down Faults
	// Seed is that of the random source. What it draws is the same in every run,
	// which datagram it hits depends on the peers.
	Seed uint64
	// KeepOld: what the server sends to the addresses before a Rebind still
	// reaches the client, as if that had two ways. If false it is lost, as with a
	// NAT that forgot.
	KeepOld bool
	// Tap sees every datagram before the faults; if it returns false, the
	// datagram is lost. It is called by many goroutines and keeps no payload. If
	// nil, all pass.
	Tap func(Datagram) bool

	front *net.UDPConn
	group sync.WaitGroup

	up, down relayCounts

	mu     sync.Mutex
	routes map[netip.AddrPort]*route // by client
	lanes  uint64                    // so far: each has a random source
	closed bool
}

// Faults are what happens to datagrams of one direction: probabilities of 0 to 1.
type Faults struct {
	Loss, Duplicate float64
	// Reorder is the share of datagrams that are held back until one to four
	// others of the same client have overtaken them, or holdTime has passed.
	Reorder float64
}

// Datagram is one that arrives at a Relay.
type Datagram struct {
	Up      bool           // from the client to the server
	Client  netip.AddrPort // as the relay sees it
	Via     netip.AddrPort // as the server sees it
	Payload []byte
}

// RelayCount is what a Relay did in one direction.
type RelayCount struct {
	Datagrams, Bytes         int64 // that arrived
	SentDatagrams, SentBytes int64 // that were passed on, duplicates and injected ones as well
	Lost, Held, Duplicated   int64
}

type relayCounts struct{ datagrams, bytes, sentDatagrams, sentBytes, lost, held, duplicated atomic.Int64 }

func (c *relayCounts) arrived(n int) {
	c.datagrams.Add(1)
	c.bytes.Add(int64(n))
}

func (c *relayCounts) sent(n int, err error) {
	if err == nil {
		c.sentDatagrams.Add(1)
		c.sentBytes.Add(int64(n))
	}
}

func (c *relayCounts) read() RelayCount {
	return RelayCount{
		c.datagrams.Load(), c.bytes.Load(), c.sentDatagrams.Load(), c.sentBytes.Load(),
		c.lost.Load(), c.held.Load(), c.duplicated.Load(),
	}
}

const (
	// holdTime bounds how long a datagram waits to be overtaken.
	holdTime = 10 * time.Millisecond
	// maxHeld bounds how many wait in one direction of a client.
	maxHeld = 16
	// relayBuffer is asked for as buffer of the sockets: what does not fit is lost uncounted.
	relayBuffer = 1 << 20
)

// errNoRoute: the client has not sent anything yet.
var errNoRoute = errors.New("servetest: no such client of the relay")

// Start opens the relay. Clients send to Addr.
func (r *Relay) Start() error {
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopbackLike(r.Server), 0)))
	if err != nil {
		return fmt.Errorf("servetest: relay: %w", err)
	}
	_ = front.SetReadBuffer(relayBuffer)
	r.front = front
	r.routes = make(map[netip.AddrPort]*route)
	r.group.Go(r.readClients)
	return nil
}

func loopbackLike(server netip.AddrPort) netip.Addr {
	if server.Addr().Unmap().Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// Addr is what clients take for the server.
func (r *Relay) Addr() *net.UDPAddr { return r.front.LocalAddr().(*net.UDPAddr) }

// Close ends the relay and waits for its goroutines. What is held back is lost.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	routes := r.routes
	r.routes = nil
	r.mu.Unlock()
	err := r.front.Close()
	for _, rt := range routes {
		rt.close()
	}
	r.group.Wait()
	return err
}

// Counts are those of all clients so far.
func (r *Relay) Counts() (up, down RelayCount) { return r.up.read(), r.down.read() }

// Vias are the addresses from which a client has reached the server, the
// present one last. None: it is not known.
func (r *Relay) Vias(client netip.AddrPort) []netip.AddrPort {
	r.mu.Lock()
	rt := r.routes[unmapped(client)]
	r.mu.Unlock()
	if rt == nil {
		return nil
	}
	return rt.addresses()
}

// Rebind makes the server see the client at a new address from now on, which
// it returns.
func (r *Relay) Rebind(client netip.AddrPort) (netip.AddrPort, error) {
	rt, err := r.route(client, errNoRoute)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return rt.rebind()
}

// Inject sends a datagram to the server as if the client had; without faults.
func (r *Relay) Inject(client netip.AddrPort, payload []byte) error {
	rt, err := r.route(client, errNoRoute)
	if err != nil {
		return err
	}
	rt.sendUp(payload)
	return nil
}

// route finds the client's; a new one is made if missing is nil.
func (r *Relay) route(client netip.AddrPort, missing error) (*route, error) {
	client = unmapped(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, net.ErrClosed
	}
	rt := r.routes[client]
	if rt != nil || missing != nil {
		if rt == nil {
			return nil, missing
		}
		return rt, nil
	}
	rt = &route{relay: r, client: client}
	rt.up = r.newLane(&r.Up, &r.up, rt.sendUp)
	rt.down = r.newLane(&r.Down, &r.down, func(b []byte) {
		n, err := r.front.WriteToUDPAddrPort(b, client)
		r.down.sent(n, err)
	})
	if _, err := rt.rebind(); err != nil {
		return nil, err
	}
	r.routes[client] = rt
	return rt, nil
}

// readClients carries what clients send.
func (r *Relay) readClients() {
	buf := make([]byte, 64<<10)
	for {
		n, client, err := r.front.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP of an earlier datagram
		}
		rt, err := r.route(client, nil)
		if err != nil {
			continue
		}
		rt.pass(rt.up, Datagram{Up: true, Client: rt.client, Via: rt.current(), Payload: buf[:n]})
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func addrPortOf(c *net.UDPConn) netip.AddrPort {
	return unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort())
}
