package lazyctx

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

type key string

// owner is a request. Its context stands in it by value, as in the engines.
type owner struct {
	Context
	watched int
	onWatch func()
}

func (o *owner) ContextValue(k any) (any, bool) { return "owner's", k == key("owner") }

func (o *owner) WatchContext() {
	o.watched++
	if o.onWatch != nil {
		o.onWatch()
	}
}

func begin(parent context.Context) *owner {
	o := new(owner)
	o.Begin(parent, o)
	return o
}

// waiting is the number of functions that run at the end.
func (o *owner) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.funcs)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var errGone = errors.New("gone")

func TestValue(t *testing.T) {
	parent := context.WithValue(context.WithValue(t.Context(), key("parent"), "parent's"), key("owner"), "hidden")
	o := begin(parent)
	servetest.Want(t, "the owner's key", o.Value(key("owner")), any("owner's"))
	servetest.Want(t, "the parent's key", o.Value(key("parent")), any("parent's"))
	servetest.Want(t, "nobody's key", o.Value(key("x")), nil)
	servetest.Want(t, "a value through a derived context", context.WithoutCancel(o).Value(key("owner")), any("owner's"))
}

func TestDeadline(t *testing.T) {
	_, ok := begin(context.Background()).Deadline()
	servetest.Want(t, "the parent has no deadline", ok, false)
	at := time.Now().Add(time.Hour)
	parent, cancel := context.WithDeadline(t.Context(), at)
	defer cancel()
	got, ok := begin(parent).Deadline()
	servetest.Want(t, "the parent's deadline", got, at)
	servetest.Want(t, "there is one", ok, true)
}

// TestLazy: what does not ask for Done watches nothing, and sees the parent's
// end and the owner's all the same.
func TestLazy(t *testing.T) {
	o := begin(t.Context())
	servetest.WantErr(t, "nothing has happened", o.Err(), nil)
	o.Cancel(errGone)
	servetest.WantErr(t, "the owner has ended it", o.Err(), errGone)
	o.Cancel(context.Canceled)
	servetest.WantErr(t, "only the first end counts", o.Err(), errGone)
	servetest.Want(t, "exposed", o.Exposed(), false)
	servetest.Want(t, "a channel asked for late is closed", closed(o.Done()), true)
	servetest.Want(t, "watches of what has ended", o.watched, 0)

	grand := begin(context.Background())
	o = begin(grand)
	o.Err()
	servetest.Want(t, "the parent was asked for Done", grand.Exposed(), false)
	grand.Cancel(errGone)
	servetest.WantErr(t, "the parent's end without Done", o.Err(), errGone)
}

func TestDone(t *testing.T) {
	o := begin(context.Background())
	done := o.Done()
	servetest.Want(t, "closed before the end", closed(done), false)
	servetest.Want(t, "exposed", o.Exposed(), true)
	servetest.Want(t, "the same channel again", o.Done(), done)
	servetest.Want(t, "the owner watches once", o.watched, 1)
	o.Cancel(errGone)
	servetest.Want(t, "closed after the end", closed(done), true)
	o.Cancel(context.Canceled)
	servetest.WantErr(t, "only the first end counts", o.Err(), errGone)
	servetest.Want(t, "exposed for good", o.Exposed(), true)
}

// TestWatchCancels: the owner knows of the end as soon as it looks.
func TestWatchCancels(t *testing.T) {
	o := begin(t.Context())
	o.onWatch = func() { o.Cancel(errGone) }
	servetest.Want(t, "the channel is closed", closed(o.Done()), true)
	servetest.WantErr(t, "with the owner's reason", o.Err(), errGone)
}

func TestParentEnds(t *testing.T) { synctest.Test(t, testParentEnds) }

func testParentEnds(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	o := begin(parent)
	ran := false
	o.AfterFunc(func() { ran = true })
	cancel(errGone)
	<-o.Done()
	synctest.Wait()
	servetest.WantErr(t, "the parent's error, not its cause", o.Err(), context.Canceled)
	servetest.Want(t, "functions of the context run", ran, true)
}

// TestParentLetsGo: a parent that lives on keeps nothing of an ended context.
func TestParentLetsGo(t *testing.T) {
	grand := begin(context.Background())
	o := begin(grand)
	o.Done()
	servetest.Want(t, "the parent's functions", grand.waiting(), 1)
	o.Cancel(errGone)
	servetest.Want(t, "the parent's functions after the end", grand.waiting(), 0)
	servetest.WantErr(t, "the parent lives on", grand.Err(), nil)
}

func TestDerived(t *testing.T) { synctest.Test(t, testDerived) }

func testDerived(t *testing.T) {
	o := begin(t.Context())
	child, cancel := context.WithCancel(o)
	defer cancel()
	short, stop := context.WithTimeout(o, time.Second)
	defer stop()
	gone, leave := context.WithCancel(o)
	servetest.Want(t, "children come by AfterFunc, not by a goroutine", o.waiting(), 3)
	leave()
	servetest.Want(t, "a cancelled child is let go", o.waiting(), 2)
	servetest.WantErr(t, "it has ended alone", gone.Err(), context.Canceled)
	// Package context looks for AfterFunc in the parent itself only: this one
	// does cost a goroutine.
	distant, stopDistant := context.WithCancel(context.WithValue(o, key("child"), 1))
	defer stopDistant()

	time.Sleep(time.Second)
	synctest.Wait()
	servetest.WantErr(t, "a child's own deadline", short.Err(), context.DeadlineExceeded)
	servetest.WantErr(t, "is not its parent's", o.Err(), nil)

	o.Cancel(errGone)
	<-child.Done()
	<-distant.Done()
	servetest.WantErr(t, "children end with it, as it did", child.Err(), errGone)
	servetest.WantErr(t, "and children of children", distant.Err(), errGone)
	late, cancelLate := context.WithCancel(o)
	defer cancelLate()
	<-late.Done()
	servetest.WantErr(t, "a child of what has ended", late.Err(), errGone)
}

func TestAfterFunc(t *testing.T) { synctest.Test(t, testAfterFunc) }

func testAfterFunc(t *testing.T) {
	o := begin(t.Context())
	var first, second, late int
	hold := make(chan struct{})
	stopFirst := o.AfterFunc(func() { first++ })
	stopSecond := o.AfterFunc(func() { second++; <-hold })
	servetest.Want(t, "the owner watches though nobody called Done", o.watched, 1)
	servetest.Want(t, "stopped before the end", stopFirst(), true)
	servetest.Want(t, "stopped again", stopFirst(), false)

	o.Cancel(errGone) // a function that blocks does not hold it up
	servetest.Want(t, "stopped after the end", stopSecond(), false)
	stopLate := o.AfterFunc(func() { late++ })
	servetest.Want(t, "begun after the end, it cannot be stopped", stopLate(), false)
	close(hold)
	o.Cancel(errGone)
	synctest.Wait()
	servetest.Want(t, "runs of the stopped function", first, 0)
	servetest.Want(t, "runs of the other", second, 1)
	servetest.Want(t, "runs of the late one", late, 1)
}

// TestReset: nothing of a request reaches the next one.
func TestReset(t *testing.T) {
	ended, cancel := context.WithCancel(context.WithValue(t.Context(), key("parent"), "first"))
	o := begin(ended)
	o.Cancel(errGone)
	cancel()
	servetest.Want(t, "nobody has asked for Done: it may be recycled", o.Exposed(), false)
	o.Reset()
	servetest.WantErr(t, "between two requests", o.Err(), nil)
	o.Begin(t.Context(), o)
	servetest.WantErr(t, "the next begins", o.Err(), nil)
	servetest.Want(t, "without the last one's values", o.Value(key("parent")), nil)
	servetest.Want(t, "its channel is open", closed(o.Done()), false)
	servetest.Want(t, "and watched", o.watched, 1)
	o.Cancel(context.Canceled)
	servetest.WantErr(t, "it ends by its own reason", o.Err(), context.Canceled)
}

// TestRace: everything at once, from many goroutines. Run with -race.
func TestRace(t *testing.T) {
	for range 200 {
		parent, cancel := context.WithCancel(t.Context())
		o := begin(parent)
		var wg sync.WaitGroup
		var ran sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				o.Err()
				o.Exposed()
				<-o.Done()
				if o.Err() == nil {
					t.Error("done without a reason")
				}
			})
			wg.Go(func() {
				child, cancel := context.WithTimeout(o, time.Hour)
				defer cancel()
				<-child.Done()
			})
			wg.Go(func() {
				ran.Add(1)
				if stop := o.AfterFunc(ran.Done); stop() {
					ran.Done()
				}
			})
			wg.Go(func() { o.Cancel(errGone) })
		}
		wg.Go(cancel)
		wg.Wait()
		ran.Wait() // each function ran, or was stopped
	}
}

// TestNoAllocation: a request whose handler does not ask for Done pays nothing.
func TestNoAllocation(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	var o owner
	var k any = key("owner")
	if got := testing.AllocsPerRun(100, func() {
		o.Begin(parent, &o)
		if o.Err() != nil || o.Value(k) == nil {
			t.Error("not begun")
		}
		o.Cancel(context.Canceled)
		if o.Exposed() {
			t.Error("exposed")
		}
		o.Reset()
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
