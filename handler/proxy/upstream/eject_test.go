package upstream

import (
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// up tells which endpoints Pick gives requests to, as a mask.
func (g *Group) up(tb testing.TB, now time.Time) (mask int) {
	tb.Helper()
	for e := range g.counts(tb, now, 200*len(g.endpoints)) {
		for i, other := range g.endpoints {
			if e == other {
				mask |= 1 << i
			}
		}
	}
	return mask
}

// roundRobin has no opinion about latency, so that what is up is seen to be.
func roundRobin(t *testing.T, n int, e Eject) *Group {
	return newGroup(t, Options{Targets: targets(n), Balance: RoundRobin, Eject: e, SlowStart: -1}, Hooks{})
}

func TestEjection(t *testing.T) {
	g := roundRobin(t, 4, Eject{})
	now := g.base.Add(time.Hour)
	e := g.at(1)
	fail(e, now, 4)
	servetest.Want(t, "four failures do nothing", g.up(t, now), 0b1111)
	e.Observe(now, Outcome{Kind: Answered, Latency: time.Millisecond})
	fail(e, now, 4)
	servetest.Want(t, "an answer begins anew", g.up(t, now), 0b1111)
	e.Observe(now, Outcome{Kind: Abandoned})
	fail(e, now, 1)
	servetest.Want(t, "who leaves says nothing", g.up(t, now), 0b1101)
	s := stateOf(t, e, now)
	servetest.Want(t, "state", s.State, "down")
	servetest.Want(t, "reason", s.Why, "ejected: too many failures in a row")
	servetest.Want(t, "since", s.Since.Equal(now), true)
	servetest.Want(t, "ejections", s.Ejections, 1)
	servetest.Want(t, "failures", s.Failures, 9)
	servetest.Want(t, "for 30 s", g.up(t, now.Add(30*time.Second-1)), 0b1101)
	now = now.Add(30 * time.Second)
	servetest.Want(t, "then it is back", g.up(t, now), 0b1111)
	servetest.Want(t, "state", stateOf(t, e, now).State, "up")
	servetest.Want(t, "since", stateOf(t, e, now).Since.Equal(now), true)
	fail(e, now, 4)
	servetest.Want(t, "with a clean record", g.up(t, now), 0b1111)
}

// 30 s × count, at most 5 min; good time works the count off.
func TestEjectionGrows(t *testing.T) {
	g := roundRobin(t, 2, Eject{})
	now := g.base.Add(time.Hour)
	e := g.at(0)
	lasts := func() time.Duration {
		fail(e, now, 5)
		return time.Duration(g.view.Load().until) - now.Sub(g.base)
	}
	for _, want := range []time.Duration{30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300} {
		got := lasts()
		servetest.Want(t, "length", got, want*time.Second)
		now = now.Add(got)
		g.refresh(g.since(now))
	}
	now = now.Add(4*30*time.Second + 29*time.Second)
	servetest.Want(t, "two minutes work four off", lasts(), 240*time.Second)
	now = now.Add(240 * time.Second)
	g.refresh(g.since(now))
	now = now.Add(time.Hour)
	servetest.Want(t, "an hour all", lasts(), 30*time.Second)
}

func TestNeverMoreThanHalf(t *testing.T) {
	for _, c := range []struct {
		n, percent, want int // ejected
	}{
		{1, 0, 0},
		{2, 0, 1},
		{3, 0, 1},
		{4, 0, 2},
		{5, 0, 2},
		{16, 0, 8},
		{1, -1, 0},
		{2, 100, 1},
		{4, -1, 3},
		{4, 100, 3},
		{4, 25, 1},
		{4, 24, 0},
	} {
		g := roundRobin(t, c.n, Eject{MaxPercent: c.percent})
		now := g.base.Add(time.Hour)
		for _, e := range g.endpoints {
			fail(e, now, 20)
		}
		v := g.view.Load()
		servetest.Want(t, "ejected", v.ejected, c.want)
		servetest.Want(t, "still picked", len(v.members), c.n-c.want)
	}
}

// What drains or is down counts neither as ejected nor as who is left.
func TestNeverTheLastThatIsUp(t *testing.T) {
	list := targets(6)
	list[5].Weight = -1
	g := newGroup(t, Options{Targets: list, Health: Health{Path: "/"}}, Hooks{})
	now := g.base.Add(time.Hour)
	g.mu.Lock()
	for i := range 3 {
		g.at(i).check.down = true
	}
	g.rebuild(g.since(now))
	g.mu.Unlock()
	for _, e := range g.endpoints {
		fail(e, now, 20)
	}
	servetest.Want(t, "of two that are up one stays", len(g.view.Load().members), 1)
}

func TestNoEjection(t *testing.T) {
	g := roundRobin(t, 4, Eject{After: -1})
	now := g.base.Add(time.Hour)
	fail(g.at(0), now, 100)
	servetest.Want(t, "none", g.up(t, now), 0b1111)
}

// When all others go down by their checks, who was ejected serves: failures are a
// guess, a failed check is none.
func TestEjectedServeBeforeNobodyDoes(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(2), Balance: RoundRobin, SlowStart: -1, Health: Health{Path: "/"}}, Hooks{})
	now := g.base.Add(time.Hour)
	fail(g.at(0), now, 5)
	down := func(i int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.at(i).check.down = true
		g.rebuild(g.since(now))
	}
	servetest.Want(t, "ejected", g.up(t, now), 0b10)
	down(1)
	servetest.Want(t, "serves again", g.up(t, now), 0b01)
	servetest.Want(t, "and is shown as it is", stateOf(t, g.at(0), now).State, "down")
	down(0)
	_, err := g.Pick(now, 0, nil)
	servetest.WantErr(t, "all are down by their checks", err, ErrNoneUp)
}

// The end of an ejection needs no request that finds it.
func TestEjectionEndsByItself(t *testing.T) {
	g := roundRobin(t, 2, Eject{})
	now := g.base.Add(time.Hour)
	fail(g.at(0), now, 5)
	now = now.Add(30 * time.Second)
	servetest.Want(t, "in the status", stateOf(t, g.at(0), now).State, "up")
	fail(g.at(0), now, 5)
	now = now.Add(time.Minute)
	fail(g.at(1), now, 5)
	servetest.Want(t, "by the rule of half", g.up(t, now), 0b01)

	g = newGroup(t, Options{Targets: targets(2), Limits: Limits{MaxConns: 1}}, Hooks{})
	now = g.base.Add(time.Hour)
	fail(g.at(0), now, 5)
	mustPick(t, g, now)
	never := &scripted{wait: func(time.Time) error { t.Error("it waits"); return nil }}
	e, err := g.Wait(never, now.Add(30*time.Second), 0)
	servetest.Must(t, "by who joins the queue", err)
	servetest.Want(t, "it has a place", e, g.at(0))
	e.End(now.Add(30 * time.Second))

	now = now.Add(time.Hour)
	fail(g.at(0), now, 5)
	first := &scripted{}
	second := &scripted{}
	first.wait = func(time.Time) error {
		second.wait = func(time.Time) error { g.at(1).End(now.Add(30 * time.Second)); return nil }
		e, err := g.Wait(second, now, 0)
		servetest.Must(t, "by who gives a place back", err)
		servetest.Want(t, "the second has the one that was ejected", e, g.at(0))
		return nil
	}
	e, err = g.Wait(first, now, 0)
	servetest.Must(t, "the first in the queue", err)
	servetest.Want(t, "has the one that came free", e, g.at(1))
}

// Who comes back has the median of the others, and starts slowly.
func TestReturn(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(3)}, Hooks{})
	now := g.base.Add(time.Hour)
	for _, e := range g.endpoints {
		e.latency.set(g.since(now), 10*ms)
	}
	e := g.at(0)
	fail(e, now, 5)
	servetest.Want(t, "its failures were minutes", e.latency.load(), float64(time.Minute))
	now = now.Add(30 * time.Second)
	g.refresh(g.since(now))
	servetest.Want(t, "and are forgotten", e.latency.load(), 10*ms)
	servetest.Want(t, "a tenth", e.share(g.since(now), 10*time.Second), 0.1)
	servetest.Want(t, "half", e.share(g.since(now.Add(5*time.Second)), 10*time.Second), 0.5)
	servetest.Want(t, "all", e.share(g.since(now.Add(10*time.Second)), 10*time.Second), 1)
}

// TestLastResort: a retry that has tried all that are up goes to one that is
// ejected, before it fails for certain; a first attempt does not.
func TestLastResort(t *testing.T) {
	g := roundRobin(t, 3, Eject{})
	now := g.base.Add(time.Hour)
	fail(g.at(1), now, 5)
	servetest.Want(t, "ejected", g.up(t, now), 0b101)
	var tried Tried
	for _, i := range []int{0, 2} {
		tried.Add(g.at(i))
	}
	e, err := g.Pick(now, 0, &tried)
	servetest.Must(t, "a last resort", err)
	servetest.Want(t, "which", e, g.at(1))
	e.End(now)
	tried.Add(e)
	_, err = g.Pick(now, 0, &tried)
	servetest.WantErr(t, "all were tried", err, ErrTried)
}
