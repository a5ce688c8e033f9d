package handler

import (
	"errors"
	"fmt"
	"hash/maphash"
	"time"
)

const (
	// defaultSeats are those of MaxInFlight together.
	defaultSeats = DefaultMaxInFlight + DefaultMaxMutatingInFlight
	// Of each level: flows that share all queues of a hand with one that floods
	// are one in 75 million; each waiting request keeps a goroutine, of which a
	// level has 3200 at most.
	defaultQueues      = 64
	defaultQueueLength = 50
	defaultHandSize    = 6
	// maxQueues and maxHandSize are what one hash of 64 bits can deal.
	maxQueues   = 1024
	maxHandSize = 6
	// waitDivisor: a request waits for a quarter of its time at most, or nothing
	// would be left to serve it in.
	waitDivisor = 4
)

// PriorityLevel is a class of requests with a share of the server.
type PriorityLevel struct {
	// Name is for errors and metrics. It must be given, once.
	Name string
	// Shares is the level's part of all seats, by the sum of all levels' shares;
	// one seat at least. If zero, 1.
	Shares int
	// Exempt requests never wait and take no seat.
	Exempt bool
	// Queues is over how many queues its flows are spread. If zero, 64. If
	// negative, none: what finds no seat is refused at once.
	Queues int
	// QueueLength bounds each queue. If zero, 50.
	QueueLength int
	// HandSize is of how many queues a flow is in the shortest, 6 at most. If
	// zero, 6.
	HandSize int
}

// PriorityOptions shapes Priority. Levels and Classify must be given.
type PriorityOptions struct {
	// Seats is how many requests run at once, on all levels but exempt ones. If
	// zero, 600.
	Seats int
	// Levels are the classes.
	Levels []PriorityLevel
	// Classify tells the level of a request, by its place in Levels, and its flow:
	// what is to be treated fairly beside others, a user or an address. A level
	// that is not there is the last one.
	Classify func(x *Exchange) (level int, flow string)
	// RequestTimeout is that of Deadline: a quarter of it is the longest wait. If
	// zero, 60 s.
	RequestTimeout time.Duration
	// Retry has the Retry-After of refusals: Busy.
	Retry RetryOptions
	// Refused, if set, is called with each refusal, from any goroutine. late: it
	// was queued and has waited too long; else there was no room.
	Refused func(level string, info Info, late bool)
}

// Priority shares the server between levels, and each level's seats between its
// flows: while they are taken, requests wait in queues, from which they are let in
// by turns. A flow is dealt a hand of queues by its name, and waits in the shortest:
// one that floods fills its own queues, and others mostly have one free of it. What
// finds its queue full, or waits too long, is answered 429.
//
// It takes the place of MaxInFlight. Exempt requests (Info.Exempt) and long-running
// ones take no seat, whatever their level.
type Priority struct {
	levels   []*level
	classify func(x *Exchange) (int, string)
	seed     maphash.Seed
	wait     time.Duration
	full     *refusal
	refused  func(string, Info, bool)
}

// NewPriority makes the stage.
func NewPriority(opts PriorityOptions) (*Priority, error) {
	if len(opts.Levels) == 0 || opts.Classify == nil {
		return nil, errors.New("priority: levels and a classifier are needed")
	}
	seats, timeout := opts.Seats, opts.RequestTimeout
	if seats == 0 {
		seats = defaultSeats
	}
	if timeout == 0 {
		timeout = defaultRequestTimeout
	}
	if seats < 0 || timeout < 0 {
		return nil, errors.New("priority: seats and request timeout must be positive")
	}
	p := &Priority{
		classify: opts.Classify, seed: maphash.MakeSeed(), wait: timeout / waitDivisor,
		full: tooManyRequests(opts.Retry.busy()), refused: opts.Refused,
	}
	shares := 0
	seen := make(map[string]bool)
	for _, l := range opts.Levels {
		if l.Name == "" || seen[l.Name] {
			return nil, fmt.Errorf("priority: level %q: each needs a name of its own", l.Name)
		}
		if l.Shares < 0 || l.Queues > maxQueues || l.QueueLength < 0 || l.HandSize < 0 || l.HandSize > maxHandSize {
			return nil, fmt.Errorf("priority: level %q: a negative number, more than %d queues, or a hand of more than %d", l.Name, maxQueues, maxHandSize)
		}
		seen[l.Name] = true
		if !l.Exempt {
			shares += max(1, l.Shares)
		}
	}
	for _, l := range opts.Levels {
		p.levels = append(p.levels, newLevel(l, seats, shares))
	}
	return p, nil
}

// Begin takes a seat for x, or waits for one.
func (p *Priority) Begin(x *Exchange) bool {
	if x.Info.Exempt || x.Info.LongRunning {
		return true
	}
	n, flow := p.classify(x)
	if n < 0 || n >= len(p.levels) {
		n = len(p.levels) - 1
	}
	l := p.levels[n]
	if l.exempt {
		return true
	}
	switch p.enter(l, x, flow) {
	case seated:
		x.seat = l
		return true
	case refusedFull:
		p.tell(l, x, false)
	case refusedLate:
		p.tell(l, x, true)
	}
	return p.full.serve(x)
}

func (p *Priority) tell(l *level, x *Exchange, late bool) {
	if p.refused != nil {
		p.refused(l.name, x.Info, late)
	}
}

// End gives the seat to the next who waits.
func (p *Priority) End(x *Exchange) {
	if x.seat != nil {
		x.seat.leave()
	}
}

// PriorityCounts are a level's numbers now.
type PriorityCounts struct{ Seats, Running, Waiting int }

// Counts is what runs and waits on a level.
func (p *Priority) Counts(level int) PriorityCounts {
	l := p.levels[level]
	l.mu.Lock()
	defer l.mu.Unlock()
	return PriorityCounts{l.seats, l.running, l.waiting}
}

// outcome is what becomes of a request that wants a seat.
type outcome uint8

const (
	seated outcome = iota
	refusedFull
	refusedLate
)

// enter gets a seat of l for x.
func (p *Priority) enter(l *level, x *Exchange, flow string) outcome {
	if l.trySeat() {
		return seated
	}
	limit := p.wait
	if !x.Deadline.IsZero() {
		limit = min(limit, time.Until(x.Deadline)) // never longer than it has
	}
	if limit <= 0 {
		return refusedLate
	}
	w, got := l.enqueue(maphash.String(p.seed, flow))
	switch {
	case got:
		return seated
	case w == nil:
		return refusedFull
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.seat:
		return seated
	case <-timer.C:
	case <-x.Request.Context().Done(): // the client has left: nobody waits
	}
	if l.abandon(w) {
		return refusedLate
	}
	return seated // it was given to w at that moment
}
