package upstream

import (
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestHedge: a hedge goes to another endpoint that is up and has a place, and takes
// from the budget only if there is one.
func TestHedge(t *testing.T) {
	g := newGroup(t, Options{
		Targets: targets(2), Eject: Eject{After: 1}, SlowStart: -1,
		Retry: Retry{BudgetPercent: -1, PerSecond: 1}, Limits: Limits{MaxRequests: 1},
	}, Hooks{})
	now := g.base.Add(time.Hour)
	first := mustPick(t, g, now)
	var tried Tried
	tried.Add(first)
	granted := func() uint64 { return g.Status(now).Retries.Granted }

	e, err := g.Hedge(now, 0, &tried)
	servetest.Must(t, "hedge", err)
	servetest.Want(t, "another endpoint", e != first, true)
	servetest.Want(t, "places", e.InFlight()+first.InFlight(), 2)
	servetest.Want(t, "granted", granted(), 1)

	later := now.Add(time.Second)
	_, err = g.Hedge(later, 0, &tried)
	servetest.Want(t, "nobody has a place", err, ErrFull)
	e.End(later)
	both := tried
	both.Add(e)
	_, err = g.Hedge(later, 0, &both)
	servetest.Want(t, "all were tried", err, ErrTried)
	servetest.Want(t, "neither has taken from the budget", granted(), 1)

	_, err = g.Hedge(now, 0, &tried)
	servetest.Want(t, "the budget is empty", err, ErrBudget)
	servetest.Want(t, "and no place is held", e.InFlight(), 0)

	later = later.Add(time.Second)
	fail(e, later, 1)
	_, err = g.Hedge(later, 0, &tried)
	servetest.Want(t, "an ejected one is no last resort", err, ErrTried)
	servetest.Want(t, "and takes nothing", granted(), 1)
}
