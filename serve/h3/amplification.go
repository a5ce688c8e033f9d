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

// received counts a datagram with a long header. One that carries the ID that was
// sent to its address proves that: it cannot be guessed (RFC 9000 §8.1: 64 bits).
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
	if destination, _ := connectionIDs(datagram); !b.proved && g.issued.sentTo(destination, addr) {
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

// maySend counts a datagram with a long header to an address, and tells whether
// that has earned it.
func (g *guard) maySend(to *net.UDPAddr, datagram []byte) bool {
	addr := to.AddrPort()
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.books[addr]; b != nil && !b.proved {
		if b.out+len(datagram) > amplification*b.in {
			return false
		}
		b.out += len(datagram)
	}
	_, source := connectionIDs(datagram)
	g.issued.send(source, addr)
	return true
}

// connectionIDs are those of a packet with a long header (RFC 9000 §17.2), nil
// where it is cut short.
func connectionIDs(packet []byte) (destination, source []byte) {
	const at = 1 + 4 // first byte, version
	if len(packet) > at {
		var rest []byte
		destination, rest = cutID(packet[at:])
		source, _ = cutID(rest)
	}
	return destination, source
}

// cutID takes an ID with its length in front.
func cutID(b []byte) (id, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	n := 1 + int(b[0])
	if len(b) < n {
		return nil, nil
	}
	return b[1:n], b[n:]
}

// issuedIDs are the connection IDs that a transport has issued lately, those that
// handshakes can be under way with, and the address that each was sent to. An
// ID that others may know proves nothing: a client learns more of its own than
// one, and may show them from anywhere.
type issuedIDs struct {
	mu    sync.Mutex
	ids   map[[cidLength]byte]netip.AddrPort // invalid: sent to nobody yet
	order [][cidLength]byte                  // a ring, oldest at next
	next  int
}

// spoiled is the address of an ID that came in before it was sent in a long
// header: some answers repeat the ID that they were asked with.
var spoiled = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)

func newIssuedIDs() *issuedIDs {
	return &issuedIDs{ids: make(map[[cidLength]byte]netip.AddrPort)}
}

func (s *issuedIDs) add(id [cidLength]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = netip.AddrPort{}
	if len(s.order) < maxBooks {
		s.order = append(s.order, id)
		return
	}
	delete(s.ids, s.order[s.next])
	s.order[s.next] = id
	s.next = (s.next + 1) % maxBooks
}

// send notes that id goes to an address, the first it is sent to.
func (s *issuedIDs) send(id []byte, to netip.AddrPort) {
	if len(id) != cidLength {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.ids[[cidLength]byte(id)]; ok && !at.IsValid() {
		s.ids[[cidLength]byte(id)] = to
	}
}

// sentTo tells whether id was sent to the address that it comes from.
func (s *issuedIDs) sentTo(id []byte, from netip.AddrPort) bool {
	if len(id) != cidLength {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.ids[[cidLength]byte(id)]
	if ok && !at.IsValid() {
		s.ids[[cidLength]byte(id)] = spoiled
	}
	return ok && at == from
}
