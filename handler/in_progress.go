package handler

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// maxRunningText bounds what a snapshot keeps of a path or method: they are a
// client's, and up to 16 KiB long.
const maxRunningText = 256

// A Registry knows the requests that run now: for the drain (WaitGroup), for
// deadlines (Timeout), and to tell who keeps a server from stopping. Several
// chains may share one. It must be made by NewRegistry; any goroutine may use it.
//
// A request joins at the first stage that needs the registry, and leaves at that
// stage's End. That is two short sections under a lock of its own shard, and no
// allocation: the list's links lie in the Exchange (BenchmarkStages/registry).
type Registry struct {
	// Immutable.
	base   time.Time // of all times in ns
	shards []registryShard
	shift  uint

	closing sync.Once // of close
	short   leaving   // requests that the drain waits for
	long    leaving   // long-running ones, which have a grace of their own

	sweeper sweeper // of Timeout
}

// registryShard is a part of the running requests. Each is on cache lines of its
// own: cores are not to wait for one another.
type registryShard struct {
	// mu guards the following, and all of running but due.
	mu             sync.Mutex
	oldest, newest *Exchange
	counts         [runningKinds]int
	protocols      [len(protocolNames)]int
	closed         bool // requests that join now are refused, if they can be

	expired sync.Cond // one that had expired is let go; L is &mu

	_ [64]byte
}

// runningKind is how a request counts.
type runningKind uint8

const (
	runningRead runningKind = iota
	runningMutating
	runningLong
	runningExempt // neither refused nor waited for, or probes would hold up the drain
	runningKinds
)

// running is what a Registry keeps in the Exchange of a request. The mutex of
// shard guards it, but for due.
type running struct {
	shard      *registryShard // nil: it has not joined
	next, prev *Exchange
	kind       runningKind
	protocol   uint8 // place in protocolNames
	late       bool  // it has joined after close: leaving does not count it
	method     string
	path       string
	cancel     context.CancelCauseFunc // of one that is long-running, with a grace

	due atomic.Int64 // when it expires, in ns since base; 0: never; claimed: it does so now
}

// NewRegistry makes an empty one.
func NewRegistry() *Registry {
	n, shift := 1, uint(64)
	for n < 2*runtime.GOMAXPROCS(0) && n < 64 {
		n, shift = 2*n, shift-1
	}
	g := &Registry{base: time.Now(), shards: make([]registryShard, n), shift: shift}
	for i := range g.shards {
		g.shards[i].expired.L = &g.shards[i].mu
	}
	g.short.begin()
	g.long.begin()
	return g
}

// since is a time in ns after the base, which itself is 1: 0 is no time. It is
// monotonic (O-5).
func (g *Registry) since(t time.Time) int64 { return max(1, 1+int64(t.Sub(g.base))) }

// join lists x, unless it is already. False: the registry is closed to requests
// that can be refused.
func (g *Registry) join(x *Exchange, refusable bool) bool {
	if s := x.running.shard; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.closed || !refusable || x.running.kind == runningExempt
	}
	// A pooled Exchange mostly stays on its core, so its address keeps cores apart;
	// the product spreads what the size of an Exchange leaves of it.
	at := uint64(uintptr(unsafe.Pointer(x))>>6) * 0x9e3779b97f4a7c15 >> g.shift
	s, n := &g.shards[at], &x.running
	n.kind, n.protocol = runningKindOf(&x.Info), uint8(protocolOf(x.Request))
	n.method, n.path = x.Request.Method, x.Request.URL.Path
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed && refusable && n.kind != runningExempt {
		return false
	}
	n.shard, n.late = s, s.closed
	s.counts[n.kind]++
	s.protocols[n.protocol]++
	if n.prev = s.newest; n.prev == nil {
		s.oldest = x
	} else {
		n.prev.running.next = x
	}
	s.newest = x
	return true
}

func runningKindOf(info *Info) runningKind {
	switch {
	case info.Exempt:
		return runningExempt
	case info.LongRunning:
		return runningLong
	case info.Class == ClassMutating:
		return runningMutating
	}
	return runningRead
}

// leave unlists x, if it is listed.
func (g *Registry) leave(x *Exchange) {
	n := &x.running
	s := n.shard
	if s == nil {
		return
	}
	s.mu.Lock()
	if n.prev == nil {
		s.oldest = n.next
	} else {
		n.prev.running.next = n.next
	}
	if n.next == nil {
		s.newest = n.prev
	} else {
		n.next.running.prev = n.prev
	}
	s.counts[n.kind]--
	s.protocols[n.protocol]--
	n.shard, n.next, n.prev, n.cancel = nil, nil, nil, nil
	waited := s.closed && !n.late
	s.mu.Unlock()
	if waited {
		g.leftClosed(n.kind)
	}
}

// RunningCounts are the numbers of requests that run now.
type RunningCounts struct{ Read, Mutating, LongRunning, Exempt int }

// Counts is how many requests run now.
func (g *Registry) Counts() (c RunningCounts) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		c.Read += s.counts[runningRead]
		c.Mutating += s.counts[runningMutating]
		c.LongRunning += s.counts[runningLong]
		c.Exempt += s.counts[runningExempt]
		s.mu.Unlock()
	}
	return c
}

// protocols is how many requests run now, by their places in protocolNames.
func (g *Registry) protocols() (sum [len(protocolNames)]int) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for p, n := range s.protocols {
			sum[p] += n
		}
		s.mu.Unlock()
	}
	return sum
}

// Running is a request that runs. Method and Path are the client's bytes, 256 of
// them at most: quote them.
type Running struct {
	Received     time.Time
	Method, Path string
	ID, Route    string
	LongRunning  bool
	Exempt       bool
}

// Oldest lists the requests that have run longest, n at most, the oldest first:
// the stragglers of a drain.
func (g *Registry) Oldest(n int) []Running {
	var list []Running
	for i := range g.shards {
		list = g.shards[i].appendOldest(list, n)
	}
	slices.SortStableFunc(list, func(a, b Running) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.Path, b.Path))
	})
	return list[:max(0, min(n, len(list)))]
}

func (s *registryShard) appendOldest(list []Running, n int) []Running {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.oldest; x != nil && n > 0; x, n = x.running.next, n-1 {
		list = append(list, Running{
			// Copies: an engine may use the request's memory again.
			Received: x.Received, Method: runningText(x.running.method), Path: runningText(x.running.path),
			ID: runningText(x.ID), Route: strings.Clone(x.Info.Route),
			LongRunning: x.Info.LongRunning, Exempt: x.Info.Exempt,
		})
	}
	return list
}

func runningText(s string) string { return strings.Clone(s[:min(len(s), maxRunningText)]) }
