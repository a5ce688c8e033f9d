package upstream

import (
	"time"
)

// state is what an endpoint is, for Pick and to be shown.
type state uint8

const (
	stateUp state = iota
	stateEjected
	stateDown
	stateDraining
)

// state is of now. group.mu is held.
func (e *Endpoint) state() state {
	switch {
	case e.draining:
		return stateDraining
	case e.check.down:
		return stateDown
	case e.ejection.until != 0:
		return stateEjected
	}
	return stateUp
}

// GroupStatus is a snapshot of a Group. It marshals to JSON.
type GroupStatus struct {
	Name      string           `json:"name"`
	Balance   Balance          `json:"balance"`
	Endpoints []EndpointStatus `json:"endpoints"`
	Names     []NameStatus     `json:"names,omitempty"` // those that are looked up
	Queue     QueueStatus      `json:"queue"`
	Retries   RetryStatus      `json:"retries"`
}

// EndpointStatus is a snapshot of an Endpoint. Counters are since its beginning.
type EndpointStatus struct {
	Target    string `json:"target"`
	Address   string `json:"address"`
	Authority string `json:"authority"`
	// State is up, down or draining; the last also of an address that has left the
	// group, until its requests end.
	State string `json:"state"`
	// Why is the reason of being down or draining.
	Why string `json:"why,omitempty"`
	// Since is when it came to be so.
	Since          time.Time `json:"since"`
	Weight         float64   `json:"weight"`
	InFlight       int64     `json:"in_flight"`
	LatencySeconds float64   `json:"latency_seconds"` // of Pick; 0: not measured
	Picks          uint64    `json:"picks"`
	Failures       uint64    `json:"failures"`
	Ejections      uint64    `json:"ejections"`
}

// NameStatus is how the last look-up of a target went.
type NameStatus struct {
	Target    string    `json:"target"`
	Addresses int       `json:"addresses"`
	At        time.Time `json:"at,omitzero"` // zero: none has ended yet
	Error     string    `json:"error,omitempty"`
}

// QueueStatus tells of requests that waited for a place.
type QueueStatus struct {
	Waiting int64  `json:"waiting"`
	Served  uint64 `json:"served"`
	Refused uint64 `json:"refused"` // the queue was full
	Late    uint64 `json:"late"`    // waited too long
}

// RetryStatus tells of the budget of retries and hedges.
type RetryStatus struct {
	Left    int    `json:"left"`
	Granted uint64 `json:"granted"`
	Refused uint64 `json:"refused"`
}

// Status is a snapshot at now.
func (g *Group) Status(now time.Time) GroupStatus {
	t := g.since(now)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refreshLocked(t)
	g.forgetFinished()
	s := GroupStatus{
		Name: g.name, Balance: g.set.Balance,
		Queue: QueueStatus{g.waiting.Load(), g.queue.served, g.queue.refused, g.queue.late},
	}
	for _, e := range g.endpoints {
		s.Endpoints = append(s.Endpoints, e.status(t, g.medianLatency()))
	}
	for _, e := range g.leaving {
		s.Endpoints = append(s.Endpoints, e.status(t, g.medianLatency()))
	}
	for _, n := range g.sources {
		if !n.fixed {
			s.Names = append(s.Names, n.status())
		}
	}
	g.budget.mu.Lock()
	defer g.budget.mu.Unlock()
	s.Retries = RetryStatus{g.budget.left(t, &g.set.Retry), g.budget.granted, g.budget.refused}
	return s
}

// status is of time t. group.mu is held.
func (e *Endpoint) status(t int64, median float64) EndpointStatus {
	s := EndpointStatus{
		Target: e.Target, Address: e.Address, Authority: e.Authority, State: "up", Since: e.since,
		Weight: e.weight, InFlight: e.inFlight.Load(), Picks: e.picks.Load(),
		Failures: e.failures.Load(), Ejections: e.ejection.total,
	}
	if e.latency.load() > 0 {
		s.LatencySeconds = e.latency.estimate(t, median) / float64(time.Second)
	}
	switch {
	case e.gone.Load():
		s.State, s.Why = "draining", "the address has left the group"
	case e.shown == stateDraining:
		s.State, s.Why = "draining", "weight below zero"
	case e.shown == stateDown:
		s.State, s.Why = "down", e.check.why
	case e.shown == stateEjected:
		s.State, s.Why = "down", "ejected: too many failures in a row"
	}
	return s
}

// status is of the last look-up. group.mu is held.
func (s *source) status() NameStatus {
	n := NameStatus{Target: s.url, Addresses: len(s.addresses), At: s.at}
	if s.failed != nil {
		n.Error = s.failed.Error()
	}
	return n
}
