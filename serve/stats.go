package serve

import (
	"sync/atomic"

	"github.com/penstock-edge/penstock/serve/h2"
)

// stats are the server's own counters; the shards and engines keep theirs.
type stats struct {
	Handshakes        atomic.Uint64
	HandshakeErrors   atomic.Uint64
	HandshakesRefused atomic.Uint64
	Cut               atomic.Int64
}

// Snapshot is what a server has done so far. Sums are taken counter by
// counter, not at one instant.
type Snapshot struct {
	Connections       int64  // open now, hijacked ones not counted
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
	Cut               int64 // connections cut at the end of a drain

	// Of HTTP/2.
	StreamsRefused  uint64            // with REFUSED_STREAM: nothing of them was done
	StreamsReset    uint64            // by their peers
	StreamsWithheld uint64            // reset since they kept their neighbours' credit
	ProtocolErrors  uint64            // connections ended for a violation
	Calmed          map[string]uint64 // connections ended with ENHANCE_YOUR_CALM, by reason
}

// Stats sums the counters of all shards.
func (s *Server) Stats() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := Snapshot{
		Handshakes: s.stats.Handshakes.Load(), HandshakeErrors: s.stats.HandshakeErrors.Load(),
		HandshakesRefused: s.stats.HandshakesRefused.Load(), Cut: s.stats.Cut.Load(),
	}
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
	n.Connections += int64(s.portables.open())
	n.Accepted += s.portables.accepted.Load()
	return n
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
