package upstream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func names(list []*Endpoint) string {
	var s []string
	for _, e := range list {
		s = append(s, e.Address)
	}
	return strings.Join(s, " ")
}

func TestUpdateKeepsWhatIsTheSame(t *testing.T) {
	var fresh, gone []*Endpoint
	h := Hooks{
		OnNew:  func(e *Endpoint) { e.Pool = "pool of " + e.Address; fresh = append(fresh, e) },
		OnGone: func(e *Endpoint) { gone = append(gone, e) },
	}
	list := targets(3)
	g := newGroup(t, Options{Targets: list}, h)
	servetest.Want(t, "each is announced", names(fresh), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
	now := g.base.Add(time.Hour)
	before := append([]*Endpoint(nil), g.endpoints...)
	before[1].latency.set(5, 42*ms)
	fail(before[1], now, 5)
	until := before[1].ejection.until

	c, err := g.Update(Options{Targets: list, Balance: P2C, SlowStart: 10 * time.Second})
	servetest.Must(t, "update", err)
	servetest.Want(t, "a default that is spelled out is no change", c == nil, true)

	// Another order, weight, balance; one more, one less.
	c, err = g.Update(Options{
		Targets: []Target{{URL: "http://10.0.0.9"}, {URL: "http://10.0.0.2:80", Weight: 4}, {URL: "HTTP://10.0.0.1"}}, Balance: RoundRobin,
	})
	servetest.Must(t, "update", err)
	servetest.Want(t, "added", names(c.Added), "10.0.0.9:80")
	servetest.Want(t, "removed", names(c.Removed), "10.0.0.3:80")
	servetest.Want(t, "the same pointer", g.at(1), before[1])
	servetest.Want(t, "the same pointer", g.at(2), before[0])
	servetest.Want(t, "with its pool", g.at(1).Pool, any("pool of 10.0.0.2:80"))
	servetest.Want(t, "the new one has its own", g.at(0).Pool, any("pool of 10.0.0.9:80"))
	servetest.Want(t, "with its ejection", g.at(1).ejection.until, until)
	servetest.Want(t, "with its new weight", g.at(1).weight, 4.0)
	servetest.Want(t, "gone", names(gone), "10.0.0.3:80")
	servetest.Want(t, "gone", gone[0].Gone(), true)

	_, err = g.Update(Options{})
	servetest.Want(t, "what is wrong changes nothing", err != nil && len(g.endpoints) == 3, true)

	// Another scheme is another endpoint.
	c, err = g.Update(Options{Targets: []Target{{URL: "https://10.0.0.1:80"}}})
	servetest.Must(t, "update", err)
	servetest.Want(t, "added", names(c.Added), "10.0.0.1:80")
	servetest.Want(t, "removed", names(c.Removed), "10.0.0.9:80 10.0.0.2:80 10.0.0.1:80")
	e := mustPick(t, g, now)
	servetest.Want(t, "it serves", e.Scheme, "https")
}

func TestUpdateLimits(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(1), Limits: Limits{MaxConns: 1}}, Hooks{})
	now := time.Now()
	e := mustPick(t, g, now)
	servetest.Want(t, "full", e.Begin(), false)
	_, err := g.Update(Options{Targets: targets(1), Limits: Limits{MaxConns: 2}})
	servetest.Must(t, "update", err)
	servetest.Want(t, "room", e.Begin(), true)
	servetest.Want(t, "full", e.Begin(), false)
}

// An endpoint that comes to a group which has served for a while starts slowly, with
// the others' latency; those of the first seconds do not.
func TestUpdateSlowStart(t *testing.T) { synctest.Test(t, testUpdateSlowStart) }

func testUpdateSlowStart(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(1)}, Hooks{})
	g.at(0).latency.set(0, 20*ms)
	time.Sleep(9 * time.Second)
	_, err := g.Update(Options{Targets: targets(2)})
	servetest.Must(t, "update", err)
	servetest.Want(t, "of the first set", g.at(1).share(g.since(time.Now()), 10*time.Second), 1)
	time.Sleep(time.Second)
	_, err = g.Update(Options{Targets: targets(3)})
	servetest.Must(t, "update", err)
	servetest.Want(t, "later", g.at(2).share(g.since(time.Now()), 10*time.Second), 0.1)
	servetest.Want(t, "with the median", g.at(2).latency.load(), 20*ms)
	servetest.Want(t, "old ones go on", g.at(0).share(g.since(time.Now()), 10*time.Second), 1)
	g.Close()
}

// Names that stay keep their addresses and their rhythm; others end.
func TestUpdateNames(t *testing.T) { synctest.Test(t, testUpdateNames) }

func testUpdateNames(t *testing.T) {
	var b book
	b.set("api.test", nil, "10.0.0.1:80")
	b.set("old.test", nil, "10.0.0.2:80")
	g := named(t, &b, Resolve{}, Hooks{}, "http://api.test", "http://old.test")
	synctest.Wait()
	e := g.at(0)
	asked := len(b.times())
	o := g.Options()
	o.Targets = []Target{{URL: "http://api.test", Weight: 3}}
	_, err := g.Update(o)
	servetest.Must(t, "one name leaves", err)
	g.wantAddresses(t, "at once", "10.0.0.1:80")
	servetest.Want(t, "the same endpoint", g.at(0), e)
	servetest.Want(t, "with its new weight", e.weight, 3.0)
	servetest.Want(t, "nothing was asked for that", len(b.times()), asked)
	time.Sleep(100 * time.Second)
	near(t, "only one name is asked for", float64(len(b.times())-asked), 10, 0.15)
	o.Resolve.Interval = time.Minute
	_, err = g.Update(o)
	servetest.Must(t, "another interval", err)
	servetest.Want(t, "the same endpoint", g.at(0), e)
	synctest.Wait()
	asked = len(b.times())
	time.Sleep(10 * time.Minute)
	near(t, "is followed", float64(len(b.times())-asked), 10, 0.15)
	g.Close()
}

// A closed group serves those who still hold it, changes no more, and may be closed
// again, or before it was started.
func TestClose(t *testing.T) { synctest.Test(t, testClose) }

func testClose(t *testing.T) {
	gone := 0
	g := newGroup(t, Options{Targets: targets(2), Health: Health{Path: "/"}}, Hooks{
		Prober: &switchProber{}, OnGone: func(*Endpoint) { gone++ },
	})
	g.Start(t.Context())
	g.Start(t.Context())
	g.Close()
	g.Close()
	servetest.Want(t, "each is gone once", gone, 2)
	e := mustPick(t, g, time.Now())
	servetest.Want(t, "its connections are not to be kept", e.Gone(), true)
	e.End(time.Now())
	c, err := g.Update(Options{Targets: targets(3)})
	servetest.Must(t, "update", err)
	servetest.Want(t, "nothing changes", c == nil, true)
	g.Start(t.Context())

	never := newGroup(t, Options{Targets: targets(2)}, Hooks{})
	never.Close()
}

// The end of the context ends all goroutines, without Close.
func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		g := newGroup(t, Options{Targets: []Target{{URL: "http://api.test"}, {URL: "http://10.0.0.1"}}, Health: Health{Path: "/"}},
			Hooks{Prober: &switchProber{}, Discovery: &b})
		g.Start(t.Context())
		synctest.Wait()
	}) // the context of t ends here, and a goroutine that stayed would be a deadlock
}
