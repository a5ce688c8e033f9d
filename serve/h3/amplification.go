package h3

import (
	"net"
	"net/netip"
	"sync"
)

// Who sends an Initial with a forged address makes us send to that address. Until
// it is proved we send at most three times the bytes received from it (RFC 9000
// §8.1, Q-1). quic-go holds to that by connection, and looks before it packs: one
// packet may go on top, and bytes from another address count too. So the books
// are kept here once more, by address, where bytes meet the wire.

// amplification is how many bytes may be sent for each that was received.
const amplification = 3

// maxBooks bounds the addresses that are remembered. Beyond, the oldest is
// forgotten, and quic-go's own limit is the only one for it.
const maxBooks = 16 << 10

// guard is the books of one socket. Only packets with long headers come here.
type guard struct {
	issued *issuedIDs

	mu    sync.Mutex
	books map[netip.AddrPort]*book
	order []netip.AddrPort // a ring, oldest at next
	next  int
}

// book is what was received from an address and sent to it.
type book struct {
	in, out int
	proved  bool
}

func newGuard(issued *issuedIDs) *guard {
	return &guard{issued: issued, books: make(map[netip.AddrPort]*book)}
}

// received counts a datagram with a long header. One that carries an ID of ours
// proves its address: the ID was sent there, and cannot be guessed (RFC 9000
// §8.1: 64 bits).
func (g *guard) received(from net.Addr, datagram []byte) {
	u, ok := from.(*net.UDPAddr)
	if !ok {
		return
	}
	addr := u.AddrPort()
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.books[addr]
	if b == nil {
		b = new(book)
		g.remember(addr, b)
	}
	b.in += len(datagram)
	if !b.proved && g.issued.has(destination(datagram)) {
		b.proved = true
	}
}

// remember adds an address, in the place of the oldest when there are too many.
func (g *guard) remember(addr netip.AddrPort, b *book) {
	g.books[addr] = b
	if len(g.order) < maxBooks {
		g.order = append(g.order, addr)
		return
	}
	delete(g.books, g.order[g.next])
	g.order[g.next] = addr
	g.next = (g.next + 1) % maxBooks
}

// maySend counts n bytes to addr, and tells whether it has earned them.
func (g *guard) maySend(to *net.UDPAddr, n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.books[to.AddrPort()]
	if b == nil || b.proved {
		return true
	}
	if b.out+n > amplification*b.in {
		return false
	}
	b.out += n
	return true
}

// destination is the destination connection ID of a packet with a long header
// (RFC 9000 §17.2), nil if it is cut short.
func destination(packet []byte) []byte {
	const at = 1 + 4 // first byte, version
	if len(packet) <= at {
		return nil
	}
	n := int(packet[at])
	if len(packet) < at+1+n {
		return nil
	}
	return packet[at+1 : at+1+n]
}

// issuedIDs are the connection IDs that a transport has issued lately: those that
// handshakes can be under way with.
type issuedIDs struct {
	mu    sync.Mutex
	ids   map[[cidLength]byte]struct{}
	order [][cidLength]byte // a ring, oldest at next
	next  int
}

func newIssuedIDs() *issuedIDs { return &issuedIDs{ids: make(map[[cidLength]byte]struct{})} }

func (s *issuedIDs) add(id [cidLength]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = struct{}{}
	if len(s.order) < maxBooks {
		s.order = append(s.order, id)
		return
	}
	delete(s.ids, s.order[s.next])
	s.order[s.next] = id
	s.next = (s.next + 1) % maxBooks
}

func (s *issuedIDs) has(id []byte) bool {
	if len(id) != cidLength {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ids[[cidLength]byte(id)]
	return ok
}
