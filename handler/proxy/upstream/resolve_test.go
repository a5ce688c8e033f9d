package upstream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// named starts a group of the names in b.
func named(t *testing.T, b *book, r Resolve, h Hooks, urls ...string) *Group {
	o := Options{Balance: RoundRobin, Resolve: r}
	for _, u := range urls {
		o.Targets = append(o.Targets, Target{URL: u})
	}
	h.Discovery = b
	g := newGroup(t, o, h)
	g.Start(t.Context())
	return g
}

func (g *Group) wantAddresses(t *testing.T, why, want string) {
	t.Helper()
	synctest.Wait()
	servetest.Want(t, why, strings.Join(g.addresses(), " "), want)
}

func TestResolveAgain(t *testing.T) { synctest.Test(t, testResolveAgain) }

func testResolveAgain(t *testing.T) {
	var gone []string
	var b book
	b.set("api.test", nil, "10.0.0.2:80", "10.0.0.1:80")
	g := named(t, &b, Resolve{}, Hooks{OnGone: func(e *Endpoint) { gone = append(gone, e.Address) }}, "http://api.test")
	g.wantAddresses(t, "the first look-up is at once", "10.0.0.1:80 10.0.0.2:80")
	kept, leaves := g.at(0), g.at(1)
	servetest.Want(t, "Host is the name", kept.Authority, "api.test")
	servetest.Want(t, "a request begins", leaves.Begin(), true)

	b.set("api.test", nil, "10.0.0.3:80", "10.0.0.1:80")
	time.Sleep(11 * time.Second)
	g.wantAddresses(t, "seen at the next look-up", "10.0.0.1:80 10.0.0.3:80")
	servetest.Want(t, "who stays is the same", g.at(0), kept)
	servetest.Want(t, "and not gone", kept.Gone(), false)
	servetest.Want(t, "who left is gone", leaves.Gone(), true)
	servetest.Want(t, "the proxy is told once", strings.Join(gone, " "), "10.0.0.2:80")
	servetest.Want(t, "its request goes on", stateOf(t, leaves, time.Now()).State, "draining")
	leaves.End(time.Now())
	servetest.Want(t, "until it ends", len(g.Status(time.Now()).Endpoints), 2)

	asked := b.times()
	for i, at := range asked[1:] {
		if pause := at.Sub(asked[i]); pause < 9*time.Second || pause > 11*time.Second {
			t.Errorf("%v between look-ups, and not 10 s ± 10 %%", pause)
		}
	}
	g.Close()
	servetest.Want(t, "after Close all are gone", len(gone), 3)
}

// The last good set stays when a look-up fails, or has no address.
func TestLastGoodSetIsKept(t *testing.T) { synctest.Test(t, testLastGoodSetIsKept) }

func testLastGoodSetIsKept(t *testing.T) {
	var b book
	b.set("api.test", nil, "10.0.0.1:80", "10.0.0.2:80")
	g := named(t, &b, Resolve{}, Hooks{}, "http://api.test")
	synctest.Wait()
	e := g.at(0)
	for why, set := range map[string]func(){
		"it fails":             func() { b.set("api.test", errBroken) },
		"it fails with a part": func() { b.set("api.test", errBroken, "10.0.0.9:80") },
		"it is empty":          func() { b.set("api.test", nil) },
	} {
		set()
		time.Sleep(30 * time.Second)
		g.wantAddresses(t, why, "10.0.0.1:80 10.0.0.2:80")
		servetest.Want(t, why, g.at(0), e)
		servetest.Want(t, why+": the status says so", g.Status(time.Now()).Names[0].Error != "", true)
		b.set("api.test", nil, "10.0.0.2:80", "10.0.0.1:80")
		time.Sleep(30 * time.Second)
		n := g.Status(time.Now()).Names[0]
		servetest.Want(t, "and then no more", n.Error, "")
		servetest.Want(t, "addresses", n.Addresses, 2)
	}
	g.Close()
}

// Requests wait for the first look-up, and not for a name that is not there.
func TestWaitForNames(t *testing.T) { synctest.Test(t, testWaitForNames) }

func testWaitForNames(t *testing.T) {
	d := slowBook{book: new(book), pause: time.Second}
	d.set("api.test", nil, "10.0.0.1:80")
	g, err := New("api", Options{Targets: []Target{{URL: "http://api.test"}}}, Hooks{Discovery: d})
	servetest.Must(t, "make a group", err)
	g.Start(t.Context())
	_, err = g.Pick(time.Now(), 0, nil)
	servetest.WantErr(t, "before the name is known", err, ErrFull)
	start := time.Now()
	e, err := g.Wait(NewWaiter(t.Context()), start, 0)
	servetest.Must(t, "wait", err)
	servetest.Want(t, "as long as it takes", time.Since(start), time.Second)
	servetest.Want(t, "and then it serves", e.Address, "10.0.0.1:80")
	g.Close()

	d.set("api.test", errBroken)
	g, err = New("api", Options{Targets: []Target{{URL: "http://api.test"}}}, Hooks{Discovery: d})
	servetest.Must(t, "make a group", err)
	g.Start(t.Context())
	start = time.Now()
	_, err = g.Wait(NewWaiter(t.Context()), start, 0)
	servetest.WantErr(t, "the look-up fails", err, ErrNoneUp)
	servetest.Want(t, "as long as it takes", time.Since(start), time.Second)
	_, err = g.Pick(time.Now(), 0, nil)
	servetest.WantErr(t, "from then on at once", err, ErrNoneUp)
	d.set("api.test", nil, "10.0.0.1:80")
	time.Sleep(2100 * time.Millisecond)
	_, err = g.Pick(time.Now(), 0, nil)
	servetest.Must(t, "an unknown name is asked for every second", err)
	g.Close()
}

// slowBook takes its time.
type slowBook struct {
	*book
	pause time.Duration
}

func (b slowBook) Resolve(ctx context.Context, q Query) ([]Address, time.Duration, error) {
	if !sleep(ctx, b.pause) {
		return nil, 0, ctx.Err()
	}
	return b.book.Resolve(ctx, q)
}

func TestResolveTimeout(t *testing.T) { synctest.Test(t, testResolveTimeout) }

func testResolveTimeout(t *testing.T) {
	g := newGroup(t, Options{Targets: []Target{{URL: "http://api.test"}}}, Hooks{Discovery: slowBook{new(book), time.Hour}})
	g.Start(t.Context())
	time.Sleep(5 * time.Second)
	synctest.Wait()
	n := g.Status(time.Now()).Names[0]
	servetest.Want(t, "a look-up ends after 5 s", n.Error, "context deadline exceeded")
	start := time.Now()
	g.Close()
	servetest.Want(t, "Close does not wait for it", time.Since(start), 0)
}

func TestIntervalIsClamped(t *testing.T) {
	for _, c := range []struct {
		interval, ttl time.Duration
		per, least    time.Duration // in so much time, so often
		want          int
	}{
		{time.Millisecond, 0, 10 * time.Second, time.Second, 10},
		{time.Hour, 0, 10 * time.Minute, time.Minute, 10},
		{0, 3 * time.Second, 30 * time.Second, 3 * time.Second, 10},
		{0, time.Millisecond, 10 * time.Second, time.Second, 10},
		{0, time.Hour, 10 * time.Minute, time.Minute, 10},
		{-1, 0, time.Hour, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := book{ttl: c.ttl}
			b.set("api.test", nil, "10.0.0.1:80")
			g := named(t, &b, Resolve{Interval: c.interval}, Hooks{}, "http://api.test")
			synctest.Wait()
			time.Sleep(c.per)
			synctest.Wait()
			near(t, fmt.Sprint("look-ups in ", c.per), float64(len(b.times())-1), float64(c.want), 0.15)
			g.Close()
		})
	}
}

// A name that is known once need not be known again, but one that is not must be.
func TestResolveOnce(t *testing.T) { synctest.Test(t, testResolveOnce) }

func testResolveOnce(t *testing.T) {
	var b book
	b.set("api.test", errBroken)
	g := named(t, &b, Resolve{Interval: -1}, Hooks{}, "http://api.test")
	time.Sleep(5 * time.Second)
	b.set("api.test", nil, "10.0.0.1:80")
	time.Sleep(5 * time.Second)
	g.wantAddresses(t, "in the end", "10.0.0.1:80")
	asked := len(b.times())
	time.Sleep(time.Hour)
	servetest.Want(t, "never again", len(b.times()), asked)
	g.Close()
}

// Where there are no others to leave the load to, nobody starts slowly.
func TestFirstAddressesAreNotSlow(t *testing.T) { synctest.Test(t, testFirstAddressesAreNotSlow) }

func testFirstAddressesAreNotSlow(t *testing.T) {
	var b book
	b.set("api.test", errBroken)
	g := named(t, &b, Resolve{}, Hooks{}, "http://api.test")
	time.Sleep(time.Hour)
	b.set("api.test", nil, "10.0.0.1:80")
	time.Sleep(2 * time.Second)
	g.wantAddresses(t, "found at last", "10.0.0.1:80")
	servetest.Want(t, "at once with all", g.at(0).share(g.since(time.Now()), 10*time.Second), 1)
	g.Close()
}

// The result of a look-up that comes too late changes nothing.
func TestLateResult(t *testing.T) {
	g := newGroup(t, Options{Targets: []Target{{URL: "http://api.test"}}}, Hooks{})
	old := g.sources[0]
	_, err := g.Update(Options{Targets: []Target{{URL: "http://other.test"}}})
	servetest.Must(t, "another name", err)
	g.resolved(old, []Address{{Address: "10.0.0.1:80"}}, nil)
	servetest.Want(t, "of a name that was replaced", old.tried, false)
	g.Close()
	g.resolved(g.sources[0], []Address{{Address: "10.0.0.1:80"}}, nil)
	servetest.Want(t, "after Close", len(g.addresses()), 0)
}

func TestTooManyAddresses(t *testing.T) { synctest.Test(t, testTooManyAddresses) }

func testTooManyAddresses(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("10.0.%d.%d:80", i/250, i%250))
	}
	var b book
	b.set("api.test", nil, many...)
	g := named(t, &b, Resolve{}, Hooks{}, "http://api.test")
	synctest.Wait()
	servetest.Want(t, "a name has a bound", len(g.addresses()), maxAddresses)
	g.Close()
}

// Of a service the lowest priority is used as long as any of it is up (RFC 2782).
func TestPriorities(t *testing.T) { synctest.Test(t, testPriorities) }

func testPriorities(t *testing.T) {
	p := &switchProber{}
	b := book{answers: map[string][]Address{"_api._tcp.test": {
		{"10.0.0.1:80", "a.test:80", 1, 1}, {"10.0.0.2:80", "b.test:80", 1, 3}, {"10.0.0.3:80", "c.test:80", 2, 1},
	}}}
	g := newGroup(t, Options{
		Targets: []Target{{URL: "http://_api._tcp.test", SRV: true, Weight: 2}}, Balance: RoundRobin,
		Health: Health{Path: "/"}, SlowStart: -1,
	}, Hooks{Discovery: &b, Prober: p})
	g.Start(t.Context())
	synctest.Wait()
	got := g.counts(t, time.Now(), 4000)
	near(t, "a quarter", float64(got[g.at(0)]), 1000, 0.05)
	near(t, "three quarters", float64(got[g.at(1)]), 3000, 0.05)
	servetest.Want(t, "weights multiply", g.at(1).weight, 6.0)
	servetest.Want(t, "each has its own host", g.at(0).Authority, "a.test:80")
	p.broken.Store("10.0.0.1:80", true)
	time.Sleep(20 * time.Second)
	servetest.Want(t, "one of the first is enough", g.up(t, time.Now()), 0b010)
	p.broken.Store("10.0.0.2:80", true)
	time.Sleep(20 * time.Second)
	servetest.Want(t, "then the second", g.up(t, time.Now()), 0b100)
	p.broken.Clear()
	time.Sleep(20 * time.Second)
	servetest.Want(t, "and back", g.up(t, time.Now()), 0b011)
	g.Close()
}

// A partial answer is better than none, where there is none.
func TestPartOfAService(t *testing.T) { synctest.Test(t, testPartOfAService) }

func testPartOfAService(t *testing.T) {
	var b book
	b.set("api.test", errBroken, "10.0.0.1:80")
	g := named(t, &b, Resolve{}, Hooks{}, "http://api.test")
	g.wantAddresses(t, "a part", "10.0.0.1:80")
	g.Close()
}
