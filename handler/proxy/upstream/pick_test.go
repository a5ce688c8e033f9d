package upstream

import (
	"container/heap"
	"slices"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

var balances = []Balance{P2C, RoundRobin, LeastRequest, HashKey}

func TestPairIsFair(t *testing.T) {
	for _, n := range []int{2, 3, 5, 256} {
		r := random{}
		r.seed(uint64(n), "pair")
		firsts, seconds := make([]int, n), make([]int, n)
		const draws = 200
		for range draws * n {
			i, j := pair(r.next(), n)
			if i == j || i < 0 || j < 0 || i >= n || j >= n {
				t.Fatalf("of %d: %d and %d", n, i, j)
			}
			firsts[i]++
			seconds[j]++
		}
		for i := range n { // 5 standard deviations of a Poisson distribution
			near(t, "how often it is first", float64(firsts[i]), draws, 0.36)
			near(t, "how often it is second", float64(seconds[i]), draws, 0.36)
		}
	}
}

func TestSeedRepeats(t *testing.T) {
	picks := func(seed uint64) (list []string) {
		g := newGroup(t, Options{Targets: targets(8)}, Hooks{Seed: seed})
		now := time.Now()
		for range 50 {
			list = append(list, mustPick(t, g, now).Address)
		}
		return list
	}
	servetest.Want(t, "one seed, one order", slices.Equal(picks(3), picks(3)), true)
	servetest.Want(t, "another one, another", slices.Equal(picks(3), picks(4)), false)
}

// Without differences every policy but the hash is even.
func TestEven(t *testing.T) {
	for _, b := range balances[:3] {
		for _, n := range []int{1, 2, 3, 16} {
			g := newGroup(t, Options{Targets: targets(n), Balance: b}, Hooks{})
			const each = 1000
			got := g.counts(t, time.Now(), each*n)
			servetest.Want(t, string(b)+": all are picked", len(got), n)
			for _, c := range got {
				near(t, string(b), float64(c), each, 0.16) // 5 standard deviations
			}
		}
	}
}

func TestTwoChoicesTakesTheBetter(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4)}, Hooks{})
	now := time.Now()
	for i := range 4 {
		g.at(i).latency.set(g.since(now), 10*ms)
	}
	g.at(2).latency.set(g.since(now), 100*ms)
	got := g.counts(t, now, 3000)
	servetest.Want(t, "the slow one is the worse of every pair", got[g.at(2)], 0)
	for range 50 { // 9 places at each of the others make a pair's costs equal
		mustPick(t, g, now)
	}
	servetest.Want(t, "but not when the others are that much fuller", g.at(2).InFlight() > 0, true)
}

// A slow endpoint gets its part by latency, in a simulation of 32 clients who ask
// again as soon as they have their answer.
func TestTwoChoicesUnderLoad(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4)}, Hooks{})
	serviceTime := map[*Endpoint]time.Duration{
		g.at(0): 10 * time.Millisecond, g.at(1): 10 * time.Millisecond,
		g.at(2): 10 * time.Millisecond, g.at(3): 40 * time.Millisecond,
	}
	picked := make(map[*Endpoint]int)
	now := g.base
	var running events
	ask := func() {
		e := mustPick(t, g, now)
		picked[e]++
		heap.Push(&running, event{now.Add(serviceTime[e]), e})
	}
	for range 32 {
		ask()
	}
	const all = 20000
	for range all {
		next := heap.Pop(&running).(event)
		now = next.at
		next.e.Observe(now, Outcome{Latency: serviceTime[next.e]})
		next.e.End(now)
		ask()
	}
	// By Little's law with equal costs (latency × in flight), the part of each goes
	// with the square of its speed: 16 : 16 : 16 : 1.
	near(t, "part of the slow one", float64(picked[g.at(3)]), float64(all)/49, 0.5)
	for i := range 3 {
		near(t, "part of a fast one", float64(picked[g.at(i)]), float64(all)*16/49, 0.05)
	}
}

type event struct {
	at time.Time
	e  *Endpoint
}

type events []event

func (s events) Len() int           { return len(s) }
func (s events) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s events) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *events) Push(x any)        { *s = append(*s, x.(event)) }
func (s *events) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// Requests that stay fill endpoints by weight.
func TestWeightsOfLoad(t *testing.T) {
	for _, b := range []Balance{P2C, LeastRequest} {
		list := targets(2)
		list[1].Weight = 3
		g := newGroup(t, Options{Targets: list, Balance: b, Limits: Limits{MaxConns: -1}}, Hooks{})
		now := time.Now()
		for range 1000 {
			mustPick(t, g, now)
		}
		near(t, string(b), float64(g.at(0).InFlight()), 250, 0.01)
		near(t, string(b), float64(g.at(1).InFlight()), 750, 0.01)
	}
}

func TestRoundRobin(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(3), Balance: RoundRobin}, Hooks{})
	now := time.Now()
	for i := range 30 {
		servetest.Want(t, "one after the other", mustPick(t, g, now), g.at(i%3))
	}
}

func TestRoundRobinByWeight(t *testing.T) {
	list := targets(4)
	list[0].Weight, list[1].Weight, list[2].Weight, list[3].Weight = 1, 2, 4, 100
	g := newGroup(t, Options{Targets: list, Balance: RoundRobin}, Hooks{})
	const all = 10700
	got := g.counts(t, time.Now(), all)
	for i := range 4 {
		near(t, list[i].URL, float64(got[g.at(i)]), float64(all)*float64(list[i].Weight)/107, 0.03)
	}
}

// Of equal weights not all have their turns in the same rounds.
func TestRoundRobinIsSmooth(t *testing.T) {
	list := targets(3)
	list[0].Weight = 2
	g := newGroup(t, Options{Targets: list, Balance: RoundRobin}, Hooks{})
	now := time.Now()
	for i := range 40 {
		servetest.Want(t, "the heavy one every second time", mustPick(t, g, now), g.at([]int{0, 1, 0, 2}[i%4]))
	}
}

func TestLeastRequest(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(5), Balance: LeastRequest}, Hooks{})
	now := time.Now()
	for round := range 20 {
		for range 5 {
			mustPick(t, g, now)
		}
		for i := range 5 {
			servetest.Want(t, "none is ahead by more than one", g.at(i).InFlight(), round+1)
		}
	}
}

// A retry goes elsewhere, until there is nowhere else.
func TestTried(t *testing.T) {
	for _, b := range balances {
		for range 20 {
			g := newGroup(t, Options{Targets: targets(4), Balance: b}, Hooks{})
			now := time.Now()
			var tried Tried
			for range 4 {
				e, err := g.Pick(now, 7, &tried)
				servetest.Must(t, string(b), err)
				servetest.Want(t, string(b)+": not the same again", tried.has(e), false)
				tried.Add(e)
				e.End(now)
			}
			_, err := g.Pick(now, 7, &tried)
			servetest.WantErr(t, string(b)+": nowhere else", err, ErrTried)
		}
	}
	var s Tried
	for range 2 * MaxAttempts {
		s.Add(new(Endpoint))
	}
	servetest.Want(t, "Tried has a bound", s.n, MaxAttempts)
}

// Who is at the limit is passed over, and no more than that is ever in flight.
func TestLimit(t *testing.T) {
	for _, b := range balances {
		g := newGroup(t, Options{Targets: targets(3), Balance: b, Limits: Limits{MaxConns: 2}}, Hooks{})
		now := time.Now()
		for range 6 {
			_, err := g.Pick(now, 9, nil)
			servetest.Must(t, string(b)+": there are places", err)
		}
		for i := range 3 {
			servetest.Want(t, string(b)+": each is full", g.at(i).InFlight(), 2)
			servetest.Want(t, "and takes nothing more", g.at(i).Begin(), false)
		}
		_, err := g.Pick(now, 9, nil)
		servetest.WantErr(t, string(b)+": all are full", err, ErrFull)
		g.at(1).End(now)
		e, err := g.Pick(now, 9, nil)
		servetest.Must(t, "one place came free", err)
		servetest.Want(t, string(b)+": and is found", e, g.at(1))
		g.at(0).SetStreams(10)
		for range 18 {
			e, err := g.Pick(now, 9, nil)
			servetest.Must(t, "connections carry more", err)
			servetest.Want(t, string(b), e, g.at(0))
		}
		_, err = g.Pick(now, 9, nil)
		servetest.WantErr(t, string(b)+": but not without end", err, ErrFull)
	}
}

func TestMaxRequests(t *testing.T) {
	for _, c := range []struct {
		limits  Limits
		streams int64
		want    int64
	}{
		{Limits{MaxConns: 5, MaxRequests: -1}, 1, 5},
		{Limits{MaxConns: 5, MaxRequests: -1}, 100, 500},
		{Limits{MaxConns: 5, MaxRequests: 20}, 100, 20},
		{Limits{MaxConns: -1, MaxRequests: 20}, 100, 20},
		{Limits{MaxConns: 1 << 40, MaxRequests: -1}, 1 << 40, 1<<63 - 1},
	} {
		servetest.Want(t, "limit", limitOf(&c.limits, c.streams), c.want)
	}
}

func TestEndWithoutPlace(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(1)}, Hooks{})
	defer func() { servetest.Want(t, "it is our own mistake", recover() != nil, true) }()
	g.at(0).End(time.Now())
}

// A draining target gets nothing, and nobody up is an answer at once.
func TestDraining(t *testing.T) {
	list := targets(2)
	list[0].Weight = -1
	g := newGroup(t, Options{Targets: list}, Hooks{})
	now := time.Now()
	servetest.Want(t, "all go to the other", g.counts(t, now, 100)[g.at(1)], 100)
	servetest.Want(t, "state", stateOf(t, g.at(0), now).State, "draining")
	list[1].Weight = -1
	_, err := g.Update(Options{Targets: list})
	servetest.Must(t, "drain all", err)
	_, err = g.Pick(now, 0, nil)
	servetest.WantErr(t, "nobody is left", err, ErrNoneUp)
}

// An endpoint that comes later begins with a tenth of its part, and grows.
func TestSlowStart(t *testing.T) {
	for _, b := range balances {
		g := newGroup(t, Options{Targets: targets(3), Balance: b, Hash: Hash{LoadPercent: 101}, Limits: Limits{MaxConns: -1}}, Hooks{})
		start := g.base.Add(time.Hour)
		old := g.at(0)
		fresh := g.at(1)
		fresh.ramp.Store(g.since(start))
		key := uint64(0)
		part := func(after time.Duration) float64 {
			now := start.Add(after)
			for range 3000 { // they stay, so that load fills up by share
				key++
				_, err := g.Pick(now, mix(key), nil)
				servetest.Must(t, "pick", err)
			}
			p := float64(fresh.InFlight()) / float64(old.InFlight())
			for i := range 3 {
				g.at(i).inFlight.Store(0)
			}
			return p
		}
		near(t, string(b)+" at once", part(0), 0.1, 0.1)
		near(t, string(b)+" after half a second", part(500*time.Millisecond), 0.1, 0.1)
		near(t, string(b)+" after 5 s", part(5*time.Second), 0.5, 0.1)
		near(t, string(b)+" after 10 s", part(10*time.Second), 1, 0.1)
		servetest.Want(t, string(b)+": then it is over", fresh.ramp.Load(), 0)
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, b := range balances {
		for _, seed := range []uint64{1, 0} {
			g, err := New("api", Options{Targets: targets(16), Balance: b}, Hooks{Seed: seed})
			servetest.Must(t, "make a group", err)
			var tried Tried
			tried.Add(g.at(3))
			key := uint64(0)
			got := testing.AllocsPerRun(1000, func() {
				now := time.Now()
				key++
				first, _ := g.Pick(now, key, nil)
				second, _ := g.Pick(now, key, &tried)
				first.Observe(now, Outcome{Latency: time.Millisecond})
				second.Observe(now, Outcome{Latency: time.Millisecond})
				first.End(now)
				second.End(now)
				g.TryRetry(now)
			})
			servetest.Want(t, string(b)+": no allocation a request", got, 0)
			g.Close()
		}
	}
}
