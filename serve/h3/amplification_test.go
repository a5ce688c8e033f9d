package h3

import (
	"net"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// longPacket is a datagram of size bytes with a long header for a connection ID.
func longPacket(size int, id []byte) []byte {
	b := make([]byte, size)
	b[0], b[5] = 0xc0, byte(len(id))
	copy(b[6:], id)
	return b
}

func TestGuard(t *testing.T) {
	issued := newIssuedIDs()
	g := newGuard(issued)
	victim := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	other := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}
	id := [cidLength]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}
	issued.add(id)

	g.received(victim, longPacket(1200, make([]byte, 8)))
	servetest.Want(t, "three times what came", g.maySend(victim, 3600), true)
	servetest.Want(t, "and not a byte more", g.maySend(victim, 1), false)
	g.received(other, longPacket(1200, make([]byte, 8)))
	servetest.Want(t, "another's bytes are not the victim's", g.maySend(victim, 1), false)
	g.received(victim, longPacket(100, make([]byte, cidLength)))
	servetest.Want(t, "an ID that was not issued proves nothing", g.maySend(victim, 301), false)
	servetest.Want(t, "but its bytes count", g.maySend(victim, 300), true)
	g.received(victim, longPacket(50, id[:]))
	servetest.Want(t, "one that was issued proves the address", g.maySend(victim, 1<<20), true)
	servetest.Want(t, "of who sent it alone", g.maySend(other, 3601), false)
}

// The books have a bound, beyond which the oldest are forgotten, and those who
// are, are left to the transport's own limit.
func TestGuardBounds(t *testing.T) {
	g := newGuard(newIssuedIDs())
	at := func(i int) *net.UDPAddr {
		return &net.UDPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1 + i>>16}
	}
	for i := range maxBooks + 100 {
		g.received(at(i), longPacket(10, nil))
	}
	servetest.Want(t, "books", len(g.books), maxBooks)
	servetest.Want(t, "the oldest is forgotten", g.maySend(at(0), 31), true)
	servetest.Want(t, "a younger one is not", g.maySend(at(200), 31), false)

	ids := newIssuedIDs()
	id := func(i int) [cidLength]byte { return [cidLength]byte{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range maxBooks + 100 {
		ids.add(id(i))
	}
	servetest.Want(t, "issued IDs", len(ids.ids), maxBooks)
	old, young := id(0), id(200)
	servetest.Want(t, "the oldest", ids.has(old[:]), false)
	servetest.Want(t, "a younger one", ids.has(young[:]), true)
}

func TestDestination(t *testing.T) {
	servetest.Want(t, "whole", string(destination(longPacket(20, []byte("abc")))), "abc")
	for n := range 9 {
		if got := destination(longPacket(20, []byte("abc"))[:n]); got != nil && n < 6 {
			t.Errorf("of %d bytes: %q", n, got)
		}
	}
	cut := longPacket(20, []byte("abc"))[:8]
	servetest.Want(t, "cut within the ID", destination(cut) == nil, true)
}
