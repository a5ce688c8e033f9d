package proxy

import (
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// serviceStats count what came of requests. Any goroutine.
type serviceStats struct {
	answers                  [6]atomic.Uint64 // by the first digit of the status
	failures                 [message.Kinds]atomic.Uint64
	refused                  atomic.Uint64
	retries                  atomic.Uint64
	hedges                   atomic.Uint64
	hedgesWon, hedgesRefused atomic.Uint64
	tunnels                  atomic.Int64
}

// ServiceStatus is a snapshot of a Service. It marshals to JSON.
type ServiceStatus struct {
	upstream.GroupStatus
	// Answers of upstreams that were passed on, by class of status: "2xx".
	Answers map[string]uint64 `json:"answers"`
	// Failures by reason: each is one client that was told so.
	Failures map[string]uint64 `json:"failures,omitempty"`
	// Unserved had no upstream to go to.
	Unserved uint64 `json:"unserved"`
	// Retried are further attempts.
	Retried uint64 `json:"retried"`
	// Hedged are second attempts beside one that was late. HedgesWon of them have
	// answered first; HedgesRefused were not made, since the budget was empty.
	Hedged        uint64 `json:"hedged"`
	HedgesWon     uint64 `json:"hedges_won"`
	HedgesRefused uint64 `json:"hedges_refused"`
	// Tunnels are open now.
	Tunnels int64 `json:"tunnels"`
	// Connections are open now, Idle of them without a request.
	Connections int64 `json:"connections"`
	Idle        int   `json:"idle"`
}

// Status is a snapshot at now.
func (s *Service) Status(now time.Time) ServiceStatus {
	g := s.now.Load()
	st := ServiceStatus{
		GroupStatus: g.group.Status(now), Answers: make(map[string]uint64), Failures: make(map[string]uint64),
		Unserved: s.stats.refused.Load(), Retried: s.stats.retries.Load(),
		Hedged: s.stats.hedges.Load(), HedgesWon: s.stats.hedgesWon.Load(), HedgesRefused: s.stats.hedgesRefused.Load(),
		Tunnels: s.stats.tunnels.Load(),
	}
	for class := range s.stats.answers {
		if n := s.stats.answers[class].Load(); n > 0 {
			st.Answers[string(rune('0'+class))+"xx"] = n
		}
	}
	for kind := range s.stats.failures {
		if n := s.stats.failures[kind].Load(); n > 0 {
			st.Failures[message.Kind(kind).String()] = n
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for b := range g.backends {
		st.Connections += b.conns.Load()
		st.Idle += b.idle()
	}
	return st
}
