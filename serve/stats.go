package serve

import (
	"maps"
	"sync/atomic"

	"github.com/penstock-edge/penstock/serve/h2"
	"github.com/penstock-edge/penstock/serve/h3"
)

// stats are the server's own counters; the shards and engines keep theirs.
type stats struct {
	Handshakes        atomic.Uint64
	HandshakeErrors   atomic.Uint64
	HandshakesRefused atomic.Uint64
	ProxyHeaderErrors atomic.Uint64
	Cut               atomic.Int64
}

// Snapshot is what a server has done so far. Sums are taken counter by
// counter, not at one instant.
type Snapshot struct {
	Connections       int64  // open now, hijacked ones not counted
	HTTP1Connections  int64  // of them, those that speak HTTP/1; a clear one does until it has said what it speaks
	HTTP2Connections  int64  // HTTP/2
	HTTP3Connections  int64  // HTTP/3. What is left shakes hands
	TLSConnections    int64  // those of HTTP/1 and HTTP/2 that are over TLS
	Accepted          uint64 // since the start
	Refused           uint64 // above a ceiling (S-4)
	Evicted           uint64 // idle ones closed to make room (S-4)
	Stalled           uint64 // cut by the write progress rule (S-3)
	Hijacked          uint64
	HandOffs          uint64 // known waits of handlers
	Overtaken         uint64 // handlers that lost leadership
	Requests          uint64 // answered
	Malformed         uint64 // heads refused
	TooLarge          uint64 // heads refused
	BadBody           uint64 // chunked bodies refused
	TimedOut          uint64 // heads and bodies too slow (S-1, S-2)
	Panics            uint64 // of handlers
	Sanitised         uint64 // fields changed or dropped (H1-16)
	Handshakes        uint64
	HandshakeErrors   uint64
	HandshakesRefused uint64
	ProxyHeaderErrors uint64 // connections of Proxies whose PROXY header did not come, or was none (P-4)
	Cut               int64  // connections cut at the end of a drain

	// Of HTTP/2 and HTTP/3.
	StreamsRefused  uint64            // with REFUSED_STREAM, H3_REQUEST_REJECTED: nothing of them was done
	StreamsReset    uint64            // by their peers
	StreamsWithheld uint64            // reset since they kept their neighbours' credit
	ProtocolErrors  uint64            // connections ended for a violation
	Calmed          map[string]uint64 // connections of HTTP/2 ended with ENHANCE_YOUR_CALM, by reason

	// Of HTTP/3.
	Retries  uint64 // handshakes that had to prove their address first
	TooEarly uint64 // requests of 0-RTT answered 425
}

// Stats sums the counters of all shards.
func (s *Server) Stats() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.past
	n.Calmed = maps.Clone(n.Calmed)
	n.Handshakes += s.stats.Handshakes.Load()
	n.HandshakeErrors += s.stats.HandshakeErrors.Load()
	n.HandshakesRefused, n.Cut = s.stats.HandshakesRefused.Load(), s.stats.Cut.Load()
	n.ProxyHeaderErrors = s.stats.ProxyHeaderErrors.Load()
	for _, sh := range s.shards {
		c := sh.Counters()
		n.Connections += c.Open.Load()
		n.Accepted += c.Accepted.Load()
		n.Refused += c.Refused.Load()
		n.Evicted += c.Evicted.Load()
		n.Stalled += c.Stalled.Load()
		n.Hijacked += c.Hijacked.Load()
		n.HandOffs += c.HandOffs.Load()
		n.Overtaken += c.Overtaken.Load()
	}
	for _, svc := range s.services {
		n.addService(svc)
		for _, p := range svc.parts {
			n.addOpen(p.speak[versionHTTP1].Load(), p.speak[versionHTTP2].Load(), svc.tlsConfig != nil)
		}
	}
	for _, q := range s.quics {
		n.addHTTP3(q.counters)
		n.Connections += q.counters.Open.Load()
		n.HTTP3Connections += q.counters.Open.Load()
	}
	s.portables.addOpen(&n)
	n.Accepted += s.portables.accepted.Load()
	n.Refused += s.portables.refused.Load()
	return n
}

// addService adds what the connections of a listener did.
func (n *Snapshot) addService(svc *service) {
	for _, p := range svc.parts {
		c := p.h1.Counters
		n.Requests += c.Requests.Load()
		n.Malformed += c.Malformed.Load()
		n.TooLarge += c.TooLarge.Load()
		n.BadBody += c.BadBody.Load()
		n.TimedOut += c.TimedOut.Load()
		n.Panics += c.Panics.Load()
		n.Sanitised += c.Sanitised.Load()
		n.addHTTP2(p.h2.Counters)
	}
}

// addOpen adds connections whose protocol is known.
func (n *Snapshot) addOpen(http1, http2 int64, underTLS bool) {
	n.HTTP1Connections += http1
	n.HTTP2Connections += http2
	if underTLS {
		n.TLSConnections += http1 + http2
	}
}

// addHTTP2 adds what the HTTP/2 connections of a part did.
func (n *Snapshot) addHTTP2(c *h2.Counters) {
	n.Requests += c.Requests.Load()
	n.Malformed += c.Malformed.Load()
	n.TooLarge += c.TooLarge.Load()
	n.TimedOut += c.TimedOut.Load()
	n.Panics += c.Panics.Load()
	n.Sanitised += c.Sanitised.Load()
	n.StreamsRefused += c.Refused.Load()
	n.StreamsReset += c.Resets.Load()
	n.StreamsWithheld += c.Withheld.Load()
	n.ProtocolErrors += c.Errors.Load()
	for r := range c.Calmed {
		if spent := c.Calmed[r].Load(); spent > 0 {
			if n.Calmed == nil {
				n.Calmed = make(map[string]uint64)
			}
			n.Calmed[h2.Reason(r).String()] += spent
		}
	}
}

// addHTTP3 adds what the connections of a group of UDP sockets did.
func (n *Snapshot) addHTTP3(c *h3.Counters) {
	n.Accepted += c.Accepted.Load()
	n.Refused += c.Refused.Load()
	n.Requests += c.Requests.Load()
	n.Malformed += c.Malformed.Load()
	n.TooLarge += c.TooLarge.Load()
	n.TooEarly += c.TooEarly.Load()
	n.TimedOut += c.TimedOut.Load()
	n.Panics += c.Panics.Load()
	n.Sanitised += c.Sanitised.Load()
	n.HandOffs += c.HandOffs.Load()
	n.Overtaken += c.Overtaken.Load()
	n.Handshakes += c.Handshakes.Load()
	n.HandshakeErrors += c.HandshakeErrors.Load()
	n.Retries += c.Retries.Load()
	n.StreamsRefused += c.Rejected.Load()
	n.StreamsReset += c.Resets.Load()
	n.ProtocolErrors += c.Errors.Load()
}
