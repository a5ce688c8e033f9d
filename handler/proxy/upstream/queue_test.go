package upstream

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// oneByOne is a group of one endpoint that takes one request at a time.
func oneByOne(t *testing.T, l Limits) *Group {
	l.MaxConns = 1
	return newGroup(t, Options{Targets: targets(1), Limits: l}, Hooks{})
}

// A line are requests in a queue; which of them has come out is told by number.
type line struct {
	mu  sync.Mutex
	out []int
	err map[int]error
}

// wait puts a request at the end of the queue.
func (l *line) wait(ctx context.Context, g *Group, number int) {
	go func() {
		_, err := g.Wait(NewWaiter(ctx), time.Now(), 0)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err == nil {
			l.err = make(map[int]error)
		}
		l.out = append(l.out, number)
		l.err[number] = err
	}()
	synctest.Wait()
}

// want fails unless so many have come out, the last of them with err.
func (l *line) want(t *testing.T, why string, out int, err error) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	servetest.Want(t, why, len(l.out), out)
	if len(l.out) > 0 {
		servetest.WantErr(t, why, l.err[l.out[len(l.out)-1]], err)
	}
}

func TestQueueIsInOrder(t *testing.T) { synctest.Test(t, testQueueIsInOrder) }

func testQueueIsInOrder(t *testing.T) {
	g := oneByOne(t, Limits{})
	e := mustPick(t, g, time.Now())
	var l line
	for i := range 5 {
		l.wait(t.Context(), g, i)
	}
	servetest.Want(t, "all wait", g.Status(time.Now()).Queue.Waiting, 5)
	for i := range 5 {
		e.End(time.Now())
		// Who comes now does not overtake.
		_, err := g.Pick(time.Now(), 0, nil)
		servetest.WantErr(t, "the place is given away", err, ErrFull)
		l.want(t, "one place, one request", i+1, nil)
		servetest.Want(t, "the next in order", l.out[i], i)
		servetest.Want(t, "never more in flight than may be", e.InFlight(), 1)
	}
	e.End(time.Now())
	servetest.Want(t, "then there is room again", mustPick(t, g, time.Now()), e)
	servetest.Want(t, "in the status", g.Status(time.Now()).Queue, QueueStatus{Served: 5})
}

func TestQueueTimeout(t *testing.T) { synctest.Test(t, testQueueTimeout) }

func testQueueTimeout(t *testing.T) {
	g := oneByOne(t, Limits{})
	e := mustPick(t, g, time.Now())
	start := time.Now()
	_, err := g.Wait(NewWaiter(t.Context()), start, 0)
	servetest.WantErr(t, "nobody ended", err, ErrQueueTimeout)
	servetest.Want(t, "after the connect timeout", time.Since(start), 3*time.Second)
	e.End(time.Now())
	servetest.Want(t, "the place was not given to who has left", mustPick(t, g, time.Now()), e)
	servetest.Want(t, "in the status", g.Status(time.Now()).Queue, QueueStatus{Late: 1})
}

func TestQueueFull(t *testing.T) { synctest.Test(t, testQueueFull) }

func testQueueFull(t *testing.T) {
	g := oneByOne(t, Limits{Queue: 3})
	mustPick(t, g, time.Now())
	var l line
	for i := range 3 {
		l.wait(t.Context(), g, i)
	}
	start := time.Now()
	_, err := g.Wait(NewWaiter(t.Context()), start, 0)
	servetest.WantErr(t, "the fourth", err, ErrQueueFull)
	servetest.Want(t, "at once", time.Since(start), 0)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	servetest.Want(t, "in the status", g.Status(time.Now()).Queue, QueueStatus{Refused: 1, Late: 3})
	l.want(t, "all were late", 3, ErrQueueTimeout)
}

// Who leaves does not hold up others, from whichever place.
func TestQueueLeave(t *testing.T) {
	for leaver := range 3 {
		synctest.Test(t, func(t *testing.T) {
			g := oneByOne(t, Limits{})
			e := mustPick(t, g, time.Now())
			gone := errors.New("the client has left")
			ctx, leave := context.WithCancelCause(t.Context())
			var l line
			for i := range 3 {
				if i == leaver {
					l.wait(ctx, g, i)
				} else {
					l.wait(t.Context(), g, i)
				}
			}
			leave(gone)
			synctest.Wait()
			servetest.WantErr(t, "its own reason", l.err[leaver], gone)
			for range 2 {
				e.End(time.Now())
				synctest.Wait()
			}
			servetest.Want(t, "the others had places", len(l.out), 3)
			servetest.Want(t, "in order", l.out[1] < l.out[2], true)
			servetest.Want(t, "one is in flight", e.InFlight(), 1)
		})
	}
}

// A waiter that can be scripted: Wait calls what it is given.
type scripted struct {
	wait  func(until time.Time) error
	woken int
}

func (s *scripted) Wait(until time.Time) error { return s.wait(until) }
func (s *scripted) Wake()                      { s.woken++ }

// A place that comes as the request ends is given back; one that comes with the
// deadline is kept.
func TestQueueRaces(t *testing.T) {
	gone := errors.New("the client has left")
	for _, c := range []struct {
		name  string
		ended error
		want  error
	}{
		{"left", gone, gone},
		{"late", os.ErrDeadlineExceeded, nil},
		{"its own time is over", context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		g := oneByOne(t, Limits{})
		now := time.Now()
		e := mustPick(t, g, now)
		s := &scripted{}
		s.wait = func(time.Time) error {
			e.End(now)
			servetest.Want(t, c.name+": the place was given", s.woken, 1)
			return c.ended
		}
		got, err := g.Wait(s, now, 0)
		servetest.WantErr(t, c.name, err, c.want)
		if c.want == nil {
			servetest.Want(t, c.name+": it has the place", got, e)
			servetest.Want(t, c.name, e.InFlight(), 1)
		} else {
			servetest.Want(t, c.name+": the place is back", e.InFlight(), 0)
		}
	}
}

// A place that is on its way to who waits is not for who comes.
func TestQueueIsNotOvertaken(t *testing.T) {
	g := oneByOne(t, Limits{})
	now := time.Now()
	e := mustPick(t, g, now)
	s := &scripted{wait: func(time.Time) error {
		e.inFlight.Add(-1) // what End does before it looks for who waits
		_, err := g.Pick(now, 0, nil)
		servetest.WantErr(t, "somebody waits", err, ErrFull)
		g.dispatch(g.since(now))
		return nil
	}}
	got, err := g.Wait(s, now, 0)
	servetest.Must(t, "wait", err)
	servetest.Want(t, "who waited has it", got, e)
}

// A Wake that means nothing is no place.
func TestQueueSpuriousWake(t *testing.T) {
	g := oneByOne(t, Limits{})
	now := time.Now()
	e := mustPick(t, g, now)
	waits := 0
	s := &scripted{wait: func(time.Time) error {
		if waits++; waits == 3 {
			e.End(now)
		}
		return nil
	}}
	got, err := g.Wait(s, now, 0)
	servetest.Must(t, "wait", err)
	servetest.Want(t, "it waited on", waits, 3)
	servetest.Want(t, "for the place", got, e)
}

// A place that came free between Pick and Wait is seen, and nobody is woken for it.
func TestQueueSeesAFreePlace(t *testing.T) {
	g := oneByOne(t, Limits{})
	now := time.Now()
	e := mustPick(t, g, now)
	_, err := g.Pick(now, 0, nil)
	servetest.WantErr(t, "full", err, ErrFull)
	e.End(now)
	s := &scripted{wait: func(time.Time) error { t.Error("it waits"); return nil }}
	got, err := g.Wait(s, now, 0)
	servetest.Must(t, "wait", err)
	servetest.Want(t, "it is there", got, e)
	servetest.Want(t, "the waiter is as before", s.woken, 0)
}

// Who waits need not wait out that nobody is up, and has what a reload brings.
func TestQueueFollowsTheGroup(t *testing.T) { synctest.Test(t, testQueueFollowsTheGroup) }

func testQueueFollowsTheGroup(t *testing.T) {
	p := &switchProber{}
	o := Options{Targets: targets(1), Limits: Limits{MaxConns: 1}, Health: Health{Path: "/", Interval: 100 * time.Millisecond}}
	g := newGroup(t, o, Hooks{Prober: p})
	g.Start(t.Context())
	mustPick(t, g, time.Now())
	var l line
	l.wait(t.Context(), g, 0)
	o.Targets = targets(2)
	_, err := g.Update(o)
	servetest.Must(t, "another endpoint", err)
	l.want(t, "has room", 1, nil)
	servetest.Want(t, "one went there", g.at(1).InFlight(), 1)

	l.wait(t.Context(), g, 1)
	g.at(0).SetStreams(2)
	l.want(t, "a connection that carries more has room", 2, nil)

	l.wait(t.Context(), g, 2)
	start := time.Now()
	p.broken.Store("10.0.0.1:80", true)
	p.broken.Store("10.0.0.2:80", true)
	time.Sleep(time.Second)
	l.want(t, "all go down", 3, ErrNoneUp)
	servetest.Want(t, "before the time is over", time.Since(start) < 3*time.Second, true)
	g.Close()
}
