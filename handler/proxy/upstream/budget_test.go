package upstream

import (
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// retries tells how many the budget grants at now.
func (g *Group) retries(now time.Time) int {
	n := 0
	for g.TryRetry(now) {
		n++
	}
	return n
}

func TestBudget(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4)}, Hooks{})
	servetest.Want(t, "in the first second three", g.retries(g.base), 3)
	servetest.Want(t, "in its end none", g.retries(g.base.Add(time.Second-1)), 0)
	now := g.base.Add(time.Hour)
	servetest.Want(t, "without requests three", g.retries(now), 3)
	servetest.Want(t, "in each second", g.retries(now.Add(time.Second)), 3)
	now = now.Add(time.Minute)
	g.counts(t, now, 1000)
	servetest.Want(t, "a fifth of the requests", g.retries(now), 200)
	now = now.Add(9 * time.Second)
	g.counts(t, now, 500)
	servetest.Want(t, "of the last ten seconds, less the retries of these", g.retries(now), 100)
	now = now.Add(time.Second)
	servetest.Want(t, "what is older is forgotten, on either side", g.retries(now), 3)
	now = now.Add(9 * time.Second)
	servetest.Want(t, "after twenty seconds all is", g.retries(now), 3)
	s := g.Status(now).Retries
	servetest.Want(t, "granted", s.Granted, 3+3+3+200+100+3+3)
	servetest.Want(t, "refused", s.Refused, 8)
	servetest.Want(t, "left", s.Left, 0)
}

// Retries are no requests: they earn nothing.
func TestRetriesEarnNothing(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4), Retry: Retry{PerSecond: -1}}, Hooks{})
	now := g.base.Add(time.Hour)
	g.counts(t, now, 50)
	var tried Tried
	tried.Add(g.at(0))
	for range 1000 {
		e, err := g.Pick(now, 0, &tried)
		servetest.Must(t, "pick", err)
		e.End(now)
	}
	servetest.Want(t, "a fifth of the first attempts", g.retries(now), 10)
}

// The same budget for slow and fast counting: against a list of all that was.
func TestBudgetAgainstAList(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(3)}, Hooks{})
	type entry struct {
		second int64
		retry  bool
	}
	var list []entry
	r := random{}
	r.seed(7, "budget")
	now := g.base
	for range 5000 {
		now = now.Add(r.within(0, 300*time.Millisecond))
		s := int64(now.Sub(g.base) / time.Second)
		if r.next()%3 > 0 {
			mustPick(t, g, now).End(now)
			list = append(list, entry{s, false})
			continue
		}
		var requests, retries, thisSecond int
		for _, e := range list {
			switch {
			case e.second <= s-10:
			case !e.retry:
				requests++
			default:
				retries++
				if e.second == s {
					thisSecond++
				}
			}
		}
		want := requests/5 > retries || thisSecond < 3
		servetest.Want(t, "granted", g.TryRetry(now), want)
		if want {
			list = append(list, entry{s, true})
		}
	}
}

func TestBudgetFromManyGoroutines(t *testing.T) {
	var b budget
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 1000 {
				b.count(int64(5*time.Second), i)
			}
		})
	}
	wg.Wait()
	servetest.Want(t, "none is lost", b.left(int64(5*time.Second), &Retry{BudgetPercent: 100, PerSecond: -1}), 8000)
}

func TestMayRepeat(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(1)}, Hooks{})
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "OPTIONS": true, "PUT": false, "POST": false, "get": false} {
		servetest.Want(t, method, g.MayRepeat(method), want)
	}
}

func TestBackoff(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(1)}, Hooks{})
	servetest.Want(t, "nothing after a failed connect", g.Backoff(ConnectFailed), 0)
	var sum time.Duration
	for range 1000 {
		d := g.Backoff(BrokeOff)
		if d < 25*time.Millisecond || d > 250*time.Millisecond {
			t.Fatalf("%v is not within 25 and 250 ms", d)
		}
		sum += d
	}
	near(t, "spread evenly", float64(sum/1000), 137.5*ms, 0.05)
}
