package serve_test

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// a thousand addresses that send the first packet of a handshake and no
// other, some with junk for a token. The certificates are more than any of them
// may get, so the limit is reached, again and again by repetitions.
func TestH3Amplification(t *testing.T) {
	const addresses = 1000
	s := newWireServer(t, steeredSockets(t, 1), chainTLS(9_000), h3.Config{
		RetryAbove: -1, RetryRate: -1, // the limit alone
		HandshakeTimeout: time.Second,
	})
	craft := newInitialCrafter(t)
	tokens := [][]byte{nil, {0}, randomBytes(60), nil, randomBytes(255)}
	peers := make([]netip.AddrPort, addresses)
	for i := range peers {
		udp := wireUDP(t)
		peers[i] = udp.LocalAddr().(*net.UDPAddr).AddrPort()
		_, err := udp.WriteToUDPAddrPort(craft.datagram(1200+i%253, tokens[i%len(tokens)]), s.addr)
		servetest.Must(t, "send", err)
		if i%20 == 19 { // not faster than the server's certificate is signed for
			servetest.WantSoon(t, "the packets are answered, or given up", func() bool {
				return s.answered() > i || s.counters.HandshakeErrors.Load() > uint64(i)
			})
		}
	}
	servetest.WantSoon(t, "the server has given up on all of them", func() bool { return s.counters.HandshakeErrors.Load() == addresses })
	var worst, in, out float64
	limited := 0
	total := s.total()
	for _, at := range peers {
		n := total[at]
		if n.outBytes > 3*n.inBytes {
			t.Errorf("%d bytes to an address that has sent %d: above three times as many", n.outBytes, n.inBytes)
		}
		if n.outBytes+1280 > 3*n.inBytes { // no datagram of a handshake fits
			limited++
		}
		worst = max(worst, float64(n.outBytes)/float64(n.inBytes))
		in, out = in+float64(n.inBytes), out+float64(n.outBytes)
	}
	servetest.Want(t, "addresses got as much as the limit allows", limited > addresses/10, true)
	t.Logf("bytes sent for a byte received: %.3f at worst, %.3f on average; %d of %d addresses at the limit", worst, out/in, limited, addresses)
}

// what another address sends to the same connection gives the first one no
// credit: the limit is by address.
func TestH3AmplificationByAddress(t *testing.T) {
	s := newWireServer(t, steeredSockets(t, 1), chainTLS(9_000), h3.Config{
		RetryAbove: -1, RetryRate: -1, HandshakeTimeout: time.Second,
	})
	craft := newInitialCrafter(t)
	victim, forger := wireUDP(t), wireUDP(t)
	datagram := craft.datagram(1200, nil)
	_, err := victim.WriteToUDPAddrPort(datagram, s.addr)
	servetest.Must(t, "send", err)
	servetest.WantSoon(t, "it is answered", func() bool { return s.answered() > 0 })
	for range 20 {
		_, err := forger.WriteToUDPAddrPort(datagram, s.addr)
		servetest.Must(t, "send from elsewhere", err)
	}
	servetest.WantSoon(t, "the server has given up", func() bool { return s.counters.HandshakeErrors.Load() > 0 })
	n := s.total()[victim.LocalAddr().(*net.UDPAddr).AddrPort()]
	if n.outBytes > 3*n.inBytes {
		t.Errorf("%d bytes to an address that has sent %d", n.outBytes, n.inBytes)
	}
	servetest.Want(t, "bytes of the victim", n.inBytes, 1200)
}

// answered counts the addresses that something was sent to.
func (s *wireServer) answered() (n int) {
	for _, c := range s.total() {
		if c.out > 0 {
			n++
		}
	}
	return n
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// chainTLS is serverTLS with a chain of size bytes at least.
func chainTLS(size int) *tls.Config {
	conf := serverTLS()
	cert := conf.Certificates[0]
	chain := cert.Certificate[:1:1]
	for have := len(chain[0]); have < size; have += len(chain[0]) {
		chain = append(chain, chain[0])
	}
	cert.Certificate = chain
	conf.Certificates[0] = cert
	return conf
}

// Datagrams that begin no handshake: what is answered to each of them is less
// than they are, and most get nothing.
func TestH3Strays(t *testing.T) {
	s := newWireServer(t, steeredSockets(t, 1), chainTLS(9_000), h3.Config{RetryAbove: -1, RetryRate: -1})
	craft := newInitialCrafter(t)
	whole := craft.datagram(1200, nil)
	other := bytes.Clone(whole)
	copy(other[1:5], "\xba\xba\xba\xba") // RFC 9000 §15: a version nobody speaks
	bad := bytes.Clone(whole)
	bad[len(bad)-1] ^= 1
	short := append([]byte{0x40}, randomBytes(999)...)
	version0 := bytes.Clone(whole)
	clear(version0[1:5])
	for _, c := range []struct {
		name     string
		datagram []byte
		answered bool
	}{
		{"Initial of 1199 bytes", craft.datagram(1199, nil), false},
		{"Initial of 700 bytes", craft.datagram(700, nil), false},
		{"Initial of 1100 bytes with a token", craft.datagram(1100, randomBytes(60)), false},
		{"Initial cut to 1199 bytes", whole[:1199], false},
		{"Initial cut in its ID", whole[:8], false},
		{"first byte alone", whole[:1], false},
		{"nothing", nil, false},
		{"unknown version", other, true},
		{"unknown version, too short", other[:1199], false},
		{"Version Negotiation", version0, false},
		{"Handshake of no connection", append([]byte{0xe3}, whole[1:]...), false},
		{"Retry", append([]byte{0xf3}, whole[1:]...), false},
		{"short header, unknown ID", short, true},
		{"short header, as long as a reset", short[:41], false},
		{"short header, too short for an ID", short[:5], false},
		{"Initial that cannot be decrypted", bad, false},
	} {
		at := sendStray(t, s, c.datagram, c.answered)
		n := s.total()[at]
		servetest.Want(t, c.name+": arrives", n.in, 1)
		servetest.Want(t, c.name+": is answered", n.out > 0, c.answered)
		servetest.Want(t, c.name+": with less than it is", n.outBytes < max(n.inBytes, 1), true)
	}
}

// sendStray sends a datagram from an address of its own. After it goes one that
// must be answered, of the same way through the server, so that an answer to
// the first would have been seen too.
func sendStray(t *testing.T, s *wireServer, datagram []byte, answered bool) netip.AddrPort {
	t.Helper()
	udp := wireUDP(t)
	at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	_, err := udp.WriteToUDPAddrPort(datagram, s.addr)
	servetest.Must(t, "send", err)
	probe := newInitialCrafter(t).datagram(1200, nil)
	after := wireUDP(t)
	_, err = after.WriteToUDPAddrPort(probe, s.addr)
	servetest.Must(t, "send", err)
	servetest.WantSoon(t, "what came next is answered", func() bool {
		n := s.total()
		return n[after.LocalAddr().(*net.UDPAddr).AddrPort()].out > 0 && (!answered || n[at].out > 0)
	})
	return at
}
