package h3

import (
	"net"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
)

// socket is a UDP socket that keeps the books of the handshakes on it: quic-go
// reads and sends through these two methods.
type socket struct {
	quic.OOBCapablePacketConn
	batch batchReader
	guard *guard
}

// batchReader reads many datagrams by one call.
type batchReader interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
}

// guarded is c with books, if quic-go would send from it by more than WriteTo.
func guarded(c net.PacketConn, issued *issuedIDs) net.PacketConn {
	s := &socket{guard: newGuard(issued)}
	switch c := c.(type) {
	case *net.UDPConn:
		s.OOBCapablePacketConn, s.batch = c, ipv4.NewPacketConn(c) // which reads IPv6 as well: the message is the same
		return s
	case quic.OOBCapablePacketConn:
		if batch, ok := c.(batchReader); ok {
			s.OOBCapablePacketConn, s.batch = c, batch
			return s
		}
	}
	return c
}

// longHeader is set in the first byte of a packet of a handshake (RFC 9000 §17.2).
const longHeader = 0x80

// ReadBatch reads what is there into ms (recvmmsg).
func (s *socket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := s.batch.ReadBatch(ms, flags)
	for i := range ms[:max(n, 0)] {
		m := &ms[i]
		if b := m.Buffers[0][:m.N]; len(b) > 0 && b[0]&longHeader != 0 {
			s.guard.received(m.Addr, b)
		}
	}
	return n, err
}

// WriteMsgUDP sends b, unless that would be more than its receiver has earned:
// such a packet is lost, and repeated when the peer has sent more.
func (s *socket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if len(b) > 0 && b[0]&longHeader != 0 && !s.guard.maySend(addr, b) {
		return len(b), len(oob), nil
	}
	return s.OOBCapablePacketConn.WriteMsgUDP(b, oob, addr)
}

// SetWriteBuffer passes on what quic-go asks for.
func (s *socket) SetWriteBuffer(bytes int) error {
	if c, ok := s.OOBCapablePacketConn.(interface{ SetWriteBuffer(int) error }); ok {
		return c.SetWriteBuffer(bytes)
	}
	return nil
}
