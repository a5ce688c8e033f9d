package servetest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A route is one client's way through a Relay.
type route struct {
	relay    *Relay
	client   netip.AddrPort
	up, down *lane

	mu     sync.Mutex
	vias   []*net.UDPConn // connected to the server; the last is the present one
	closed bool
}

// rebind opens a new way to the server. The old one is not closed, so that
// nobody else gets its port.
func (rt *route) rebind() (netip.AddrPort, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed {
		return netip.AddrPort{}, net.ErrClosed
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(rt.relay.Server))
	if err != nil {
		return netip.AddrPort{}, err
	}
	_ = conn.SetReadBuffer(relayBuffer)
	rt.vias = append(rt.vias, conn)
	rt.relay.group.Go(func() { rt.readServer(conn) })
	return addrPortOf(conn), nil
}

// readServer carries what the server sends to one of the client's addresses.
func (rt *route) readServer(conn *net.UDPConn) {
	via := addrPortOf(conn)
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP: the server is not there (yet)
		}
		if !rt.relay.KeepOld && rt.current() != via {
			rt.relay.down.arrived(n)
			rt.relay.down.lost.Add(1)
			continue
		}
		rt.pass(rt.down, Datagram{Client: rt.client, Via: via, Payload: buf[:n]})
	}
}

// pass carries a datagram that has arrived.
func (rt *route) pass(l *lane, d Datagram) {
	l.counts.arrived(len(d.Payload))
	if tap := rt.relay.Tap; tap != nil && !tap(d) {
		l.counts.lost.Add(1)
		return
	}
	l.pass(d.Payload)
}

func (rt *route) sendUp(b []byte) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	n, err := rt.vias[len(rt.vias)-1].Write(b)
	rt.relay.up.sent(n, err)
}

func (rt *route) current() netip.AddrPort {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return addrPortOf(rt.vias[len(rt.vias)-1])
}

func (rt *route) addresses() []netip.AddrPort {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	out := make([]netip.AddrPort, 0, len(rt.vias))
	for _, c := range rt.vias {
		out = append(out, addrPortOf(c))
	}
	return out
}

func (rt *route) close() {
	rt.up.close()
	rt.down.close()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.closed = true
	for _, c := range rt.vias {
		c.Close()
	}
}

// A lane is one direction of a route, with its faults.
type lane struct {
	faults *Faults
	counts *relayCounts
	send   func([]byte)

	mu     sync.Mutex
	random *rand.Rand
	held   []heldDatagram
	timer  *time.Timer
	closed bool
}

// A heldDatagram waits for others to overtake it.
type heldDatagram struct {
	payload []byte
	after   int // so many others
}

func (r *Relay) newLane(f *Faults, c *relayCounts, send func([]byte)) *lane {
	r.lanes++
	return &lane{faults: f, counts: c, send: send, random: rand.New(rand.NewPCG(r.Seed, r.lanes))}
}

// pass sends b on, now, later, twice or not at all. It draws the same numbers
// for each datagram, whatever happens to it.
func (l *lane) pass(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.random.Float64() < l.faults.Loss
	twice := l.random.Float64() < l.faults.Duplicate
	hold := l.random.Float64() < l.faults.Reorder
	after := 1 + l.random.IntN(4)
	switch {
	case l.closed:
		return
	case lost:
		l.counts.lost.Add(1)
		return
	case hold && len(l.held) < maxHeld:
		l.hold(heldDatagram{bytes.Clone(b), after})
		return
	}
	l.send(b)
	if twice {
		l.counts.duplicated.Add(1)
		l.send(b)
	}
	l.overtake()
}

func (l *lane) hold(h heldDatagram) {
	l.counts.held.Add(1)
	l.held = append(l.held, h)
	if l.timer == nil {
		l.timer = time.AfterFunc(holdTime, l.flush)
	} else {
		l.timer.Reset(holdTime)
	}
}

// overtake counts for what is held that a datagram went by.
func (l *lane) overtake() {
	kept := l.held[:0]
	for _, h := range l.held {
		if h.after--; h.after == 0 {
			l.send(h.payload)
		} else {
			kept = append(kept, h)
		}
	}
	clear(l.held[len(kept):])
	l.held = kept
}

// flush sends what nothing has overtaken in time.
func (l *lane) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.held {
		if !l.closed {
			l.send(h.payload)
		}
	}
	l.held = nil
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
}
