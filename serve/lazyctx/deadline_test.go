package lazyctx

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestSetDeadline(t *testing.T) {
	at := time.Now().Add(time.Hour)
	early, cancel := context.WithDeadline(t.Context(), at.Add(-time.Minute))
	defer cancel()
	late, cancel := context.WithDeadline(t.Context(), at.Add(time.Minute))
	defer cancel()
	for _, c := range []struct {
		name   string
		parent context.Context
		own    []time.Time
		want   time.Time
	}{
		{"its own", context.Background(), []time.Time{at}, at},
		{"the parent's is earlier", early, []time.Time{at}, at.Add(-time.Minute)},
		{"the parent's is later", late, []time.Time{at}, at},
		{"the earlier of two", t.Context(), []time.Time{at, at.Add(-time.Second), at.Add(time.Second)}, at.Add(-time.Second)},
	} {
		o := begin(c.parent)
		for _, d := range c.own {
			o.SetDeadline(d)
		}
		got, ok := o.Deadline()
		servetest.Want(t, c.name, got.Equal(c.want) && ok, true)
		servetest.WantErr(t, "it has not come", o.Err(), nil)
		servetest.Want(t, "nobody has asked for Done", o.Exposed(), false)
	}
}

func TestDeadlineComes(t *testing.T) { synctest.Test(t, testDeadlineComes) }

func testDeadlineComes(t *testing.T) {
	const d, moment = time.Second, time.Millisecond
	lazy, asked, askedBefore, derived := begin(t.Context()), begin(t.Context()), begin(t.Context()), begin(t.Context())
	before := askedBefore.Done()
	for _, o := range []*owner{lazy, asked, askedBefore, derived} {
		o.SetDeadline(time.Now().Add(d))
	}
	child, cancel := context.WithCancel(derived)
	defer cancel()
	done := asked.Done()

	time.Sleep(d - moment)
	for _, o := range []*owner{lazy, asked, askedBefore, derived} {
		servetest.WantErr(t, "a moment before", o.Err(), nil)
	}
	servetest.Want(t, "the channel is open", closed(done) || closed(before), false)
	time.Sleep(moment)
	synctest.Wait()
	servetest.WantErr(t, "by the clock alone", lazy.Err(), context.DeadlineExceeded)
	servetest.Want(t, "still nobody has asked", lazy.Exposed(), false)
	servetest.Want(t, "a channel asked for late is closed", closed(lazy.Done()), true)
	servetest.Want(t, "and nothing is watched", lazy.watched, 0)
	servetest.Want(t, "the channel", closed(done), true)
	servetest.Want(t, "one that was made before the deadline was known", closed(before), true)
	servetest.WantErr(t, "with the reason", asked.Err(), context.DeadlineExceeded)
	servetest.WantErr(t, "children end too", child.Err(), context.DeadlineExceeded)
	asked.Cancel(errGone)
	lazy.Cancel(errGone)
	servetest.WantErr(t, "only the first end counts", asked.Err(), context.DeadlineExceeded)
	servetest.WantErr(t, "also when it was only looked at", lazy.Err(), context.DeadlineExceeded)
}

// TestDoneBehindDeadline: a channel asked for first when all is over.
func TestDoneBehindDeadline(t *testing.T) {
	o := begin(t.Context())
	o.SetDeadline(time.Now().Add(-time.Second))
	servetest.Want(t, "closed at once", closed(o.Done()), true)
	servetest.WantErr(t, "with the reason", o.Err(), context.DeadlineExceeded)
}

// TestCancelStopsTimer: an ended request is not kept by its timer.
func TestCancelStopsTimer(t *testing.T) { synctest.Test(t, testCancelStopsTimer) }

func testCancelStopsTimer(t *testing.T) {
	o := begin(t.Context())
	o.SetDeadline(time.Now().Add(time.Hour))
	o.Done()
	o.SetDeadline(time.Now().Add(time.Minute))
	timer := o.timer
	o.Cancel(errGone)
	servetest.Want(t, "it had a timer", timer != nil, true)
	servetest.Want(t, "which is stopped", timer.Stop(), false)
	time.Sleep(2 * time.Hour)
	servetest.WantErr(t, "the deadline comes too late", o.Err(), errGone)
	o.SetDeadline(time.Now())
	servetest.Want(t, "no timer for what has ended", o.timer == nil, true)
}

func TestResetDeadline(t *testing.T) {
	o := begin(t.Context())
	o.SetDeadline(time.Now().Add(-time.Second))
	servetest.WantErr(t, "the first request's time is over", o.Err(), context.DeadlineExceeded)
	o.Cancel(errGone)
	o.Reset()
	o.Begin(t.Context(), o)
	servetest.WantErr(t, "the next one's is not", o.Err(), nil)
	_, ok := o.Deadline()
	servetest.Want(t, "it has no deadline", ok, false)
}

// TestDeadlineRace: the deadline against everything else. Run with -race.
func TestDeadlineRace(t *testing.T) {
	for i := range 200 {
		o := begin(t.Context())
		o.SetDeadline(time.Now().Add(time.Duration(i) * time.Microsecond))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				o.Err()
				o.Deadline()
				<-o.Done()
				if o.Err() == nil {
					t.Error("done without a reason")
				}
			})
			wg.Go(func() {
				child, cancel := context.WithCancel(o)
				defer cancel()
				<-child.Done()
			})
		}
		if i%2 == 0 {
			wg.Go(func() { o.Cancel(errGone) })
		}
		wg.Wait()
	}
}

// TestDeadlineNoAllocation: it costs nothing but a look at the clock.
func TestDeadlineNoAllocation(t *testing.T) {
	at := time.Now().Add(time.Hour)
	var o owner
	parent := t.Context()
	if got := testing.AllocsPerRun(100, func() {
		o.Begin(parent, &o)
		o.SetDeadline(at)
		if o.Err() != nil {
			t.Error("ended")
		}
		o.Cancel(context.Canceled)
		o.Reset()
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
