package app

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

// A serverView reads the target's own counters before and behind a run. All methods
// of nil do nothing.
type serverView struct {
	admin   *bench.Admin
	guessed bool // nobody said that this is the target's

	mu     sync.Mutex // guards the following
	before bench.Reading
	known  bool
}

// openAdmin finds the admin listener of the target; nil: it has none, or it is not
// wanted.
func (b *benchRun) openAdmin(ctx context.Context) (*serverView, error) {
	address := b.plan.admin
	if address == adminOff {
		return nil, nil
	}
	if address != "" {
		admin, err := bench.OpenAdmin(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("--server-admin %w; check the address, or leave the flag out", err)
		}
		return &serverView{admin: admin}, nil
	}
	if !isLoopback(b.plan.options.URLs[0].Hostname()) {
		return nil, nil
	}
	admin, err := bench.OpenAdmin(ctx, bench.DefaultAdmin)
	if err != nil { // it was worth a try
		return nil, nil //nolint:nilerr // a target without one is none to complain of
	}
	return &serverView{admin: admin, guessed: true}, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// begin takes the first reading, ahead of the run.
func (s *serverView) begin(ctx context.Context) {
	if s == nil {
		return
	}
	r, err := s.admin.Read(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.known = r, err == nil
}

// point takes it anew as long as nothing is counted yet.
func (s *serverView) point(ctx context.Context, p bench.Point) {
	if s != nil && p.At <= 0 {
		s.begin(ctx)
	}
}

// settle is how long a server has to count what it has answered before its counters
// are read.
const settle = 50 * time.Millisecond

// end sets r.Server from a last reading. What was only guessed to be the target, and
// has not answered as many requests as r has, is not.
func (s *serverView) end(ctx context.Context, r *bench.Result) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		return
	}
	time.Sleep(settle)
	after, err := s.admin.Read(ctx)
	if err != nil {
		return
	}
	view := after.Since(s.before)
	if s.guessed && !likely(view, r) {
		return
	}
	r.Server = view
}

// likely tells whether the server's requests are those of r: the first reading was
// up to an interval of warm-up early.
func likely(s *bench.Server, r *bench.Result) bool {
	early := 0.
	if r.Load.Warmup > 0 && r.Seconds > 0 {
		early = 1.5 / r.Seconds
	}
	n, counted := float64(s.Requests), float64(r.Completed)
	return counted > 0 && n >= .9*counted && n <= 1.1*counted*(1+early)+float64(r.Abandoned+r.Failed)
}
