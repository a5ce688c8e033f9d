package h3

import (
	"net"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// longPacket is a datagram of size bytes with a long header and connection IDs.
func longPacket(size int, destination, source []byte) []byte {
	b := []byte{0xc0, 0, 0, 0, 1, byte(len(destination))}
	b = append(append(append(b, destination...), byte(len(source))), source...)
	return append(b, make([]byte, max(0, size-len(b)))...)
}

func TestGuard(t *testing.T) {
	issued := newIssuedIDs()
	g := newGuard(issued)
	victim := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	other := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}
	id := [cidLength]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}
	issued.add(id)
	none := make([]byte, 8)

	g.received(victim, longPacket(1200, none, nil))
	servetest.Want(t, "three times what came", g.maySend(victim, longPacket(3600, none, id[:])), true)
	servetest.Want(t, "and not a byte more", g.maySend(victim, longPacket(20, none, id[:])), false)
	g.received(other, longPacket(1200, none, nil))
	servetest.Want(t, "another's bytes are not the victim's", g.maySend(victim, longPacket(20, none, id[:])), false)
	g.received(victim, longPacket(100, make([]byte, cidLength), nil))
	servetest.Want(t, "an ID that was not issued proves nothing", g.maySend(victim, longPacket(301, none, id[:])), false)
	servetest.Want(t, "but its bytes count", g.maySend(victim, longPacket(300, none, id[:])), true)
	g.received(other, longPacket(50, id[:], nil))
	servetest.Want(t, "an ID that was sent to another proves nothing", g.maySend(other, longPacket(3751, none, nil)), false)
	g.received(victim, longPacket(50, id[:], nil))
	servetest.Want(t, "one that was sent there proves the address", g.maySend(victim, longPacket(1<<16, none, nil)), true)
}

// An ID that a client shows before it was sent in a long header is one it has
// learned otherwise; an answer that repeats it does not make it a proof.
func TestGuardSpoiled(t *testing.T) {
	issued := newIssuedIDs()
	g := newGuard(issued)
	victim := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	id := [cidLength]byte{1}
	issued.add(id)
	g.received(victim, longPacket(100, id[:], nil))
	servetest.Want(t, "the answer repeats it", g.maySend(victim, longPacket(60, nil, id[:])), true)
	g.received(victim, longPacket(100, id[:], nil))
	servetest.Want(t, "shown again it proves nothing", g.maySend(victim, longPacket(600, nil, nil)), false)
}

// The books have a bound, beyond which the oldest are forgotten, and those who
// are, are left to the transport's own limit.
func TestGuardBounds(t *testing.T) {
	g := newGuard(newIssuedIDs())
	at := func(i int) *net.UDPAddr {
		return &net.UDPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1 + i>>16}
	}
	for i := range maxBooks + 100 {
		g.received(at(i), longPacket(10, nil, nil))
	}
	servetest.Want(t, "books", len(g.books), maxBooks)
	servetest.Want(t, "the oldest is forgotten", g.maySend(at(0), longPacket(31, nil, nil)), true)
	servetest.Want(t, "a younger one is not", g.maySend(at(200), longPacket(31, nil, nil)), false)

	ids := newIssuedIDs()
	id := func(i int) [cidLength]byte { return [cidLength]byte{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range maxBooks + 100 {
		ids.add(id(i))
	}
	servetest.Want(t, "issued IDs", len(ids.ids), maxBooks)
	_, old := ids.ids[id(0)]
	_, young := ids.ids[id(200)]
	servetest.Want(t, "the oldest", old, false)
	servetest.Want(t, "a younger one", young, true)
}

func TestConnectionIDs(t *testing.T) {
	whole := longPacket(20, []byte("abc"), []byte("de"))
	for n := range len(whole) {
		destination, source := connectionIDs(whole[:n])
		servetest.Want(t, "destination", string(destination), map[bool]string{true: "abc"}[n >= 9])
		servetest.Want(t, "source", string(source), map[bool]string{true: "de"}[n >= 12])
	}
}

// FuzzConnectionIDs: what strangers send is cut within its bounds.
func FuzzConnectionIDs(f *testing.F) {
	f.Add(longPacket(20, []byte("abc"), []byte("de")))
	f.Add(longPacket(1200, make([]byte, 255), nil))
	f.Add(longPacket(1200, nil, make([]byte, 255)))
	f.Fuzz(func(t *testing.T, packet []byte) {
		destination, source := connectionIDs(packet)
		if destination == nil && source != nil {
			t.Errorf("%x: a source without a destination", packet)
		}
		if got := len(destination) + len(source); got > 0 && got > len(packet)-7+1 {
			t.Errorf("%x: IDs of %d bytes", packet, got)
		}
	})
}
