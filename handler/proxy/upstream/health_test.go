package upstream

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// checked starts a group of n endpoints that p checks every 10 s.
func checked(t *testing.T, n int, p Prober) *Group {
	g := newGroup(t, Options{
		Targets: targets(n), Balance: RoundRobin,
		Health: Health{Path: "/readyz", Interval: 10 * time.Second},
	}, Hooks{Prober: p})
	g.Start(t.Context())
	return g
}

func TestFallAndRise(t *testing.T) { synctest.Test(t, testFallAndRise) }

func testFallAndRise(t *testing.T) {
	p := &switchProber{}
	g := checked(t, 2, p)
	e := g.at(0)
	p.broken.Store(e.Address, true)
	start := time.Now()
	// Checks begin within a second, and then every 9 to 11 seconds.
	for e.group.Status(time.Now()).Endpoints[0].State == "up" {
		time.Sleep(10 * time.Millisecond)
	}
	if after := time.Since(start); after < 18*time.Second || after > 23*time.Second+10*time.Millisecond {
		t.Errorf("it fell after %v: three failed checks take 18 to 23 s", after)
	}
	s := stateOf(t, e, time.Now())
	servetest.Want(t, "state", s.State, "down")
	servetest.Want(t, "reason", s.Why, "health check: broken")
	servetest.Want(t, "since", time.Since(s.Since) <= 10*time.Millisecond, true)
	servetest.Want(t, "the other takes all", g.up(t, time.Now()), 0b10)

	since := s.Since
	time.Sleep(time.Minute)
	servetest.Want(t, "further failures do not make it younger", stateOf(t, e, time.Now()).Since.Equal(since), true)

	p.broken.Delete(e.Address)
	e.latency.set(0, 777*ms)
	start = time.Now()
	for stateOf(t, e, time.Now()).State == "down" {
		time.Sleep(10 * time.Millisecond)
	}
	if after := time.Since(start); after < 9*time.Second || after > 22*time.Second+10*time.Millisecond {
		t.Errorf("it rose after %v: two good checks take 9 to 22 s", after)
	}
	servetest.Want(t, "its old latency is forgotten", e.latency.load(), 0)
	servetest.Want(t, "it starts slowly", e.share(g.since(time.Now()), 10*time.Second) < 0.2, true)
	g.Close()
}

// One bad check among good ones is nothing, and one good one among bad ones.
func TestOnlyRowsCount(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(2), Health: Health{Path: "/"}}, Hooks{})
	e := g.at(0)
	w := &watch{}
	e.check.watch = w
	judge := func(why string, results string, want string) {
		t.Helper()
		for _, r := range results {
			var err error
			if r == 'x' {
				err = errBroken
			}
			g.judge(e, w, err, time.Now())
		}
		servetest.Want(t, why, stateOf(t, e, time.Now()).State, want)
	}
	judge("before the first verdict", "xx", "up")
	judge("not in a row", ".xx.xx.xx", "up")
	judge("three in a row", "x", "down")
	judge("not in a row", ".x.x.x", "down")
	judge("two in a row", "..", "up")
	w2 := &watch{}
	g.judge(e, w2, errBroken, time.Now())
	servetest.Want(t, "results of checks that were replaced do not count", w2.bad, 0)
	e.check.watch = nil
}

// All down by their checks: 503 at once.
func TestAllDown(t *testing.T) { synctest.Test(t, testAllDown) }

func testAllDown(t *testing.T) {
	p := &switchProber{}
	g := checked(t, 2, p)
	p.broken.Store(g.at(0).Address, true)
	p.broken.Store(g.at(1).Address, true)
	_, err := g.Pick(time.Now(), 0, nil)
	servetest.WantErr(t, "up until the first verdict", err, nil)
	time.Sleep(25 * time.Second)
	_, err = g.Pick(time.Now(), 0, nil)
	servetest.WantErr(t, "then nobody is", err, ErrNoneUp)
	g.Close()
}

type proberFunc func(ctx context.Context, e *Endpoint, h Health) error

func (f proberFunc) Probe(ctx context.Context, e *Endpoint, h Health) error { return f(ctx, e, h) }

func TestProbeTimeout(t *testing.T) { synctest.Test(t, testProbeTimeout) }

func testProbeTimeout(t *testing.T) {
	var took []time.Duration
	var began []time.Time
	p := proberFunc(func(ctx context.Context, _ *Endpoint, h Health) error {
		start := time.Now()
		servetest.Want(t, "options come complete", h.Timeout, 2*time.Second)
		<-ctx.Done()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			took = append(took, time.Since(start))
			began = append(began, start)
		}
		return errors.New(strings.Repeat("long ", 100))
	})
	g := checked(t, 1, p)
	time.Sleep(59 * time.Second)
	synctest.Wait()
	servetest.Want(t, "checks go on", len(took) >= 5, true)
	for i, d := range took {
		servetest.Want(t, "each ends after 2 s", d, 2*time.Second)
		if i > 0 {
			pause := began[i].Sub(began[i-1])
			if pause < 9*time.Second || pause > 11*time.Second {
				t.Errorf("%v from check to check, and not 10 s ± 10 %%", pause)
			}
		}
	}
	servetest.Want(t, "a long reason is cut", len(stateOf(t, g.at(0), time.Now()).Why), maxWhy)
	start := time.Now()
	g.Close()
	servetest.Want(t, "Close does not wait for a check's time", time.Since(start), 0)
}

// Without path, or by a negative interval, there are no checks and no goroutines.
func TestNoChecks(t *testing.T) { synctest.Test(t, testNoChecks) }

func testNoChecks(t *testing.T) {
	p := &switchProber{}
	g := newGroup(t, Options{Targets: targets(1)}, Hooks{Prober: p})
	g.Start(t.Context())
	time.Sleep(time.Minute)
	servetest.Want(t, "none", p.probes.Load(), 0)
	g.Close()
}

// A reload without checks forgets what they found; one with others keeps it.
func TestChecksChange(t *testing.T) { synctest.Test(t, testChecksChange) }

func testChecksChange(t *testing.T) {
	p := &switchProber{}
	g := checked(t, 2, p)
	e := g.at(0)
	p.broken.Store(e.Address, true)
	time.Sleep(time.Minute)
	servetest.Want(t, "down", stateOf(t, e, time.Now()).State, "down")
	o := g.Options()
	o.Health.Path = "/livez"
	_, err := g.Update(o)
	servetest.Must(t, "another path", err)
	servetest.Want(t, "down until it is seen to be up", stateOf(t, e, time.Now()).State, "down")
	p.broken.Delete(e.Address)
	time.Sleep(30 * time.Second)
	servetest.Want(t, "by the new checks", stateOf(t, e, time.Now()).State, "up")
	servetest.Want(t, "of the new path", p.path.Load(), any("/livez"))
	before := p.probes.Load()
	time.Sleep(100 * time.Second)
	near(t, "and of no other", float64(p.probes.Load()-before), 20, 0.15)

	p.broken.Store(e.Address, true)
	time.Sleep(time.Minute)
	servetest.Want(t, "down", stateOf(t, e, time.Now()).State, "down")
	o.Health = Health{}
	_, err = g.Update(o)
	servetest.Must(t, "no checks", err)
	servetest.Want(t, "nobody says so any more", stateOf(t, e, time.Now()).State, "up")
	before = p.probes.Load()
	time.Sleep(time.Minute)
	servetest.Want(t, "nobody checks", p.probes.Load(), before)
	g.Close()
}

// The checks of an endpoint end with it.
func TestCheckEndsWithEndpoint(t *testing.T) { synctest.Test(t, testCheckEndsWithEndpoint) }

func testCheckEndsWithEndpoint(t *testing.T) {
	p := &switchProber{}
	g := checked(t, 3, p)
	o := g.Options()
	o.Targets = o.Targets[:1]
	_, err := g.Update(o)
	servetest.Must(t, "two leave", err)
	synctest.Wait()
	before := p.probes.Load()
	time.Sleep(100 * time.Second)
	near(t, "one is checked every 10 s", float64(p.probes.Load()-before), 10, 0.15)
	g.Close()
}
