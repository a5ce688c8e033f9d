package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Suite says what is measured, and how.
type Suite struct {
	// Root is the module's folder.
	Root string
	// Penstock is the binary under test, which is the generator too.
	Penstock string
	// Targets and Works: each of the former on each of the latter that it does.
	Targets []Target
	Works   []Work
	// Rounds of each work, each of Duration behind a Warmup.
	Rounds           int
	Duration, Warmup time.Duration
	// Latency and Syscalls have the works that ask for it measured for these too.
	Latency, Syscalls bool
	// ServerCores and LoadCores are lists as taskset takes them.
	ServerCores, LoadCores string
	// Limit is a time from which on no work begins any more, and after twice of which
	// the one that runs is given up; what is left out is told. If zero, none.
	Limit time.Duration
	// BuildLimit is how long fetching and building a peer may take. If zero, 10
	// minutes.
	BuildLimit time.Duration
	// Log is told of each step.
	Log func(format string, args ...any)

	builds string
}

const defaultBuildLimit = 10 * time.Minute

func (s *Suite) buildLimit() time.Duration {
	if s.BuildLimit == 0 {
		return defaultBuildLimit
	}
	return s.BuildLimit
}

// session is one call of Do.
type session struct {
	*Suite
	site        *site
	there       []found
	origin      *origin // nil: none
	result      *Result
	measured    Measured // what all works have alike
	descriptors uint64
	counters    []counter // of system calls, that may work here
}

// found is a target that is there.
type found struct {
	Target
	path string
}

// Do measures all. Servers that are not there are left out, and told; so is what a
// server does not do, and what the machine does not allow.
func (s *Suite) Do(ctx context.Context) (*Result, error) {
	dir, err := os.MkdirTemp("", "penstock-suite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	begun := time.Now()
	n, err := s.begin(dir)
	if err != nil {
		return nil, err
	}
	defer n.origin.stop()
	s.Log("%d works, %d servers, %d rounds of %v: about %v", len(s.Works), len(n.there), s.Rounds, s.Duration, n.estimate().Round(time.Second))
	limited, cancel := s.limited(ctx)
	defer cancel()
	for _, w := range s.Works {
		if why := n.refuse(w, time.Since(begun)); why != "" {
			s.Log("SKIPPED %s: %s", w.Name, why)
			continue
		}
		if err := n.work(limited, w); err != nil {
			n.result.drop(w.Name) // it is not complete
			if ctx.Err() == nil && limited.Err() != nil {
				s.Log("SKIPPED %s: it was not done at twice the limit of %v", w.Name, s.Limit)
				continue
			}
			return n.result, err
		}
		s.Log("%s", n.result.line(w))
	}
	if len(n.result.Works) == 0 {
		s.Log("NOTE nothing was measured")
	}
	s.Log("%s in all", time.Since(begun).Round(time.Second))
	return n.result, nil
}

// limited ends at twice the limit.
func (s *Suite) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, 2*s.Limit)
}

// begin prepares what all works need.
func (s *Suite) begin(dir string) (*session, error) {
	s.builds = filepath.Join(dir, "peers")
	folder := filepath.Join(dir, "site")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(s.builds, 0o755), os.Mkdir(folder, 0o755)); err != nil {
		return nil, err
	}
	where, err := newSite(folder)
	if err != nil {
		return nil, err
	}
	n := &session{Suite: s, site: where, result: &Result{Schema: Schema}, descriptors: raiseDescriptors(2*maxConnections + spareDescriptors)}
	n.measured, n.counters = s.newMeasured(), counters
	for _, t := range s.Targets {
		n.result.Targets = append(n.result.Targets, t.Name)
		path, err := t.binary(s)
		if err != nil {
			s.Log("SKIPPED %s: %v; %s", t.Name, err, t.Needs)
			n.measured.Skipped = append(n.measured.Skipped, t.Name)
			continue
		}
		n.there = append(n.there, found{t, path})
		n.measured.Versions[t.Name] = versionOf(t, path)
	}
	if n.origin, err = s.startOrigin(where); err != nil {
		s.Log("SKIPPED works through a proxy: %v", err)
		return n, nil
	}
	return n, nil
}

// spareDescriptors are those of a process besides its connections.
const spareDescriptors = 256

// refuse tells why a work is not done; empty: it is.
func (n *session) refuse(w Work, spent time.Duration) string {
	switch {
	case n.Limit > 0 && spent > n.Limit:
		return fmt.Sprintf("the limit of %v is over", n.Limit)
	case w.Kind == Proxy && n.origin == nil:
		return "there is no origin"
	case uint64(w.Connections+spareDescriptors) > n.descriptors:
		return fmt.Sprintf("%d connections need as many descriptors, and %d may be open: ulimit -Hn %d", w.Connections, n.descriptors, 2*w.Connections)
	}
	return ""
}

// idleRounds are enough: memory differs little.
const idleRounds = 2

// work measures a work by all targets, round by round.
func (n *session) work(ctx context.Context, w Work) error {
	m := n.measured
	m.Started, m.Load, m.Rounds = time.Now().UTC().Truncate(time.Second), loadAverage(), n.Rounds
	if w.Kind == Idle {
		m.Rounds = min(n.Rounds, idleRounds)
	}
	if w.Kind == Proxy {
		m.Origin = n.origin.name
	}
	n.result.Works = append(n.result.Works, Entry{Work: w, Measured: m})
	err := n.rounds(ctx, Run{Work: w.Name}, w, m.Rounds, n.cost)
	if err == nil && w.Latency && n.Latency {
		err = n.latencies(ctx, w)
	}
	if err == nil && w.Syscalls && n.Syscalls && len(n.counters) > 0 {
		err = n.syscalls(ctx, w)
	}
	return err
}

// rounds has each target take its turn in each round, for a run like first.
func (n *session) rounds(ctx context.Context, first Run, w Work, rounds int, once func(context.Context, *turn) error) error {
	for round := range rounds {
		for _, t := range n.there {
			run := first
			run.Target, run.Round = t.Name, round
			did := n.take(ctx, t, w, &run, once)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if did {
				n.result.Runs = append(n.result.Runs, run)
			}
		}
	}
	return nil
}

// mostUnsure is the share of a server's CPU time that may lie in gaps between its
// readings.
const mostUnsure = .2

// cost measures what a request, or an idle connection, costs the server.
func (n *session) cost(ctx context.Context, t *turn) error {
	if t.work.Kind == Idle {
		var err error
		t.run.KiB, err = n.idle(ctx, t)
		return err
	}
	cpu := watch(t.server)
	r, err := n.load(ctx, t.place, loadOptions{duration: t.longer(n.Duration), warmup: n.warmup(t.work)})
	samples := cpu.end()
	if err != nil {
		return err
	}
	if err := judge(r, t.work); err != nil {
		return err
	}
	took := time.Duration(r.Seconds * float64(time.Second))
	used, unsure := usedBetween(samples, r.Started, r.Started.Add(took))
	if used <= 0 || float64(unsure) > mostUnsure*float64(used) {
		return &slowError{fmt.Sprintf("the server's CPU time was read too seldom: %v of %v are not sure", unsure, used)}
	}
	run := t.run
	run.Micros, run.Rate = used.Seconds()*1e6/float64(r.Completed), r.Rate
	run.P50, run.P99 = r.Latency.Quantile(.5).Seconds(), r.Latency.Quantile(.99).Seconds()
	run.ServerBusy, run.GeneratorBusy = used.Seconds()/took.Seconds()/float64(t.workers), r.Generator.Busy
	run.TLS = strings.TrimSpace(r.Target.TLSVersion + " " + r.Target.CipherSuite + " " + r.Target.KeyExchange)
	return nil
}
