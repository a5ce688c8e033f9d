package h3

import (
	"crypto/rand"

	"github.com/quic-go/quic-go"
)

// cidLength is the length of the connection IDs we issue: a byte that steers, a
// byte kept free for the number of the machine among those that share an
// address (QUIC-LB), and seven. All are random, but for what the first one has to
// be modulo the number of sockets: 64 bits that nobody can guess, which also
// prove an address (RFC 9000 §8.1).
const cidLength = 9

// SteerByte is the byte of a connection ID that names the socket (listener.PacketConfig.SteerByte).
const SteerByte = 0

// cidGenerator issues connection IDs whose first byte, modulo the number of
// sockets, is the index of the socket that their packets have to reach. The
// byte is otherwise random, so that IDs of one connection cannot be told to
// belong together by it where there are few sockets.
type cidGenerator struct {
	index, sockets int
	issued         *issuedIDs
}

// GenerateConnectionID makes a fresh ID.
func (g *cidGenerator) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [cidLength]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	id[SteerByte] = g.steer(id[SteerByte])
	g.issued.add(id)
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// steer is a byte near random whose value modulo sockets is index.
func (g *cidGenerator) steer(random byte) byte {
	n := int(random) - int(random)%g.sockets + g.index
	if n > 255 {
		n -= g.sockets
	}
	return byte(n)
}

// ConnectionIDLen is the length of all of them.
func (g *cidGenerator) ConnectionIDLen() int { return cidLength }
