package handler

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// byPath is the level and the flow: /1/flow.
func byPath(x *Exchange) (level int, flow string) {
	_, _ = fmt.Sscanf(strings.ReplaceAll(x.Request.URL.Path, "/", " "), " %d %s", &level, &flow)
	return level, flow
}

// fixture is a chain with Priority before a handler that takes a second.
type fixture struct {
	p       *Priority
	c       *Chain
	refused []string
	pending sync.WaitGroup

	mu    sync.Mutex
	order []string // as the handler was entered
	codes map[int]int
}

func newFixture(t *testing.T, seats int, levels ...PriorityLevel) *fixture {
	t.Helper()
	f := &fixture{codes: make(map[int]int)}
	p, err := NewPriority(PriorityOptions{
		Seats: seats, Levels: levels, Classify: byPath, RequestTimeout: 40 * time.Second,
		Refused: func(level string, _ Info, late bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.refused = append(f.refused, fmt.Sprint(level, " ", late))
		},
	})
	servetest.Must(t, "priority", err)
	f.p = p
	f.c = NewChain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.order = append(f.order, r.URL.Path)
		f.mu.Unlock()
		time.Sleep(time.Second)
	}), infos, p)
	return f
}

// ask sends n requests, one after the other, which run or wait when it returns.
func (f *fixture) ask(n int, path string) {
	for range n {
		f.pending.Go(func() {
			code := get(f.c, path).Code
			f.mu.Lock()
			defer f.mu.Unlock()
			f.codes[code]++
		})
		synctest.Wait()
	}
}

// TestPriorityFair: a flow that floods does not keep another one waiting.
func TestPriorityFair(t *testing.T) { synctest.Test(t, testPriorityFair) }

func testPriorityFair(t *testing.T) {
	// One queue for each flow, whatever the hash: the hand is all of them.
	f := newFixture(t, 1, PriorityLevel{Name: "all", Queues: 2, HandSize: 2, QueueLength: 5})
	f.ask(9, "/0/elephant") // 1 runs, 8 are spread over both queues
	f.ask(1, "/0/mouse")
	servetest.Want(t, "numbers", f.p.Counts(0), PriorityCounts{Seats: 1, Running: 1, Waiting: 9})
	f.pending.Wait()
	servetest.Want(t, "all are served", f.codes[200], 10)

	f = newFixture(t, 1, PriorityLevel{Name: "all", Queues: 64, HandSize: 1, QueueLength: 20})
	for f.p.levels[0].shortest(maphash.String(f.p.seed, "elephant")) == f.p.levels[0].shortest(maphash.String(f.p.seed, "mouse")) {
		f.p.seed = maphash.MakeSeed() // one queue of 64 may be both flows'
	}
	f.ask(9, "/0/elephant")
	f.ask(2, "/0/mouse")
	f.pending.Wait()
	servetest.Want(t, "by turns", strings.Join(f.order[:5], " "),
		"/0/elephant "+turns(f.order[1]))
	servetest.Want(t, "nobody is left", f.p.Counts(0), PriorityCounts{Seats: 1})
}

// turns is the order of four turns, by whose comes first.
func turns(first string) string {
	if first == "/0/mouse" {
		return "/0/mouse /0/elephant /0/mouse /0/elephant"
	}
	return "/0/elephant /0/mouse /0/elephant /0/mouse"
}

// TestPriorityLevels: a level that is full leaves the others their seats.
func TestPriorityLevels(t *testing.T) { synctest.Test(t, testPriorityLevels) }

func testPriorityLevels(t *testing.T) {
	f := newFixture(t, 4, PriorityLevel{Name: "high", Shares: 3}, PriorityLevel{Name: "exempt", Exempt: true},
		PriorityLevel{Name: "low", Queues: -1})
	f.ask(2, "/2/a")
	f.ask(1, "/9/a") // unknown: the last
	f.ask(2, "/0/a")
	f.ask(5, "/1/a")
	servetest.Want(t, "high", f.p.Counts(0), PriorityCounts{Seats: 3, Running: 2})
	servetest.Want(t, "low", f.p.Counts(2), PriorityCounts{Seats: 1, Running: 1})
	f.pending.Go(func() { get(f.c, "/long") })
	f.pending.Go(func() { get(f.c, "/exempt") })
	synctest.Wait()
	servetest.Want(t, "exempt and long-running ones take no seat", f.p.Counts(0).Running, 2)
	f.pending.Wait()
	servetest.Want(t, "without queues the rest is refused at once", strings.Join(f.refused, ", "), "low false, low false")
	servetest.Want(t, "answers", fmt.Sprint(f.codes), "map[200:8 429:2]")
}

// TestPriorityBounds: queues are bounded in length, and waits in time.
func TestPriorityBounds(t *testing.T) { synctest.Test(t, testPriorityBounds) }

func testPriorityBounds(t *testing.T) {
	f := newFixture(t, 1, PriorityLevel{Name: "all", Queues: 1, QueueLength: 12})
	f.ask(15, "/0/a") // 1 runs, 12 wait, 2 find the queue full
	f.mu.Lock()
	servetest.Want(t, "refused for the length", strings.Join(f.refused, ", "), "all false, all false")
	f.mu.Unlock()
	begin := time.Now()
	f.pending.Wait()
	// A quarter of the timeout is 10 s: of those who wait, the one whose turn comes
	// then has its seat or is late, and the rest is.
	served, late := f.codes[200], f.codes[429]-2
	servetest.Want(t, "served in time", served == 10 || served == 11, true)
	servetest.Want(t, "the rest is late", served+late, 13)
	servetest.Want(t, "told as late", f.refused[len(f.refused)-1], "all true")
	servetest.Want(t, "nothing waited longer", time.Since(begin) <= 11*time.Second, true)
	servetest.Want(t, "all is given back", f.p.Counts(0), PriorityCounts{Seats: 1})
}

// TestPriorityRefusal: what the client is told.
func TestPriorityRefusal(t *testing.T) { synctest.Test(t, testPriorityRefusal) }

func testPriorityRefusal(t *testing.T) {
	f := newFixture(t, 1, PriorityLevel{Name: "all", Queues: -1})
	f.ask(1, "/0/a")
	got := get(f.c, "/0/a")
	servetest.Want(t, "status", got.Code, http.StatusTooManyRequests)
	servetest.Want(t, "Retry-After", got.Header().Get("Retry-After"), "1")
	f.pending.Wait()
}

// TestPriorityClientGone: who leaves the queue takes no seat.
func TestPriorityClientGone(t *testing.T) { synctest.Test(t, testPriorityClientGone) }

func testPriorityClientGone(t *testing.T) {
	f := newFixture(t, 1, PriorityLevel{Name: "all"})
	f.ask(1, "/0/a")
	ctx, leave := context.WithCancel(t.Context())
	f.pending.Go(func() {
		f.c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/0/a", http.NoBody).WithContext(ctx))
	})
	synctest.Wait()
	servetest.Want(t, "it waits", f.p.Counts(0).Waiting, 1)
	leave()
	synctest.Wait()
	servetest.Want(t, "it has left", f.p.Counts(0), PriorityCounts{Seats: 1, Running: 1})
	f.pending.Wait()
	servetest.Want(t, "the handler has seen one", len(f.order), 1)
}

// TestPriorityDeadline: nobody waits beyond the request's own deadline.
func TestPriorityDeadline(t *testing.T) { synctest.Test(t, testPriorityDeadline) }

func testPriorityDeadline(t *testing.T) {
	f := newFixture(t, 1, PriorityLevel{Name: "all"})
	c := NewChain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Minute) }),
		NewDeadline(DeadlineOptions{}), f.p)
	f.pending.Go(func() { get(c, "/0/a") })
	synctest.Wait()
	begin := time.Now()
	servetest.Want(t, "refused", get(c, "/0/a?timeout=3s").Code, http.StatusTooManyRequests)
	servetest.Want(t, "with its own deadline", time.Since(begin), 3*time.Second)
	f.pending.Wait()
}

func TestPriorityOptions(t *testing.T) {
	for name, bad := range map[string]PriorityOptions{
		"no levels":     {Classify: byPath},
		"no classifier": {Levels: []PriorityLevel{{Name: "a"}}},
		"no name":       {Classify: byPath, Levels: []PriorityLevel{{}}},
		"a name twice":  {Classify: byPath, Levels: []PriorityLevel{{Name: "a"}, {Name: "a"}}},
		"shares":        {Classify: byPath, Levels: []PriorityLevel{{Name: "a", Shares: -1}}},
		"queues":        {Classify: byPath, Levels: []PriorityLevel{{Name: "a", Queues: maxQueues + 1}}},
		"hand":          {Classify: byPath, Levels: []PriorityLevel{{Name: "a", HandSize: maxHandSize + 1}}},
		"seats":         {Classify: byPath, Levels: []PriorityLevel{{Name: "a"}}, Seats: -1},
	} {
		_, err := NewPriority(bad)
		servetest.Want(t, name+" is refused", err != nil, true)
	}
}

// TestHand: a hand is of different queues, and all queues are dealt alike.
func TestHand(t *testing.T) {
	const queues, hands = 64, 20000
	l := newLevel(PriorityLevel{Name: "all", Queues: queues}, 1, 1)
	dealt := make(map[*waitQueue]int)
	hash := uint64(1)
	for range hands {
		hash = hash*6364136223846793005 + 1442695040888963407
		mixed := hash ^ hash>>31
		seen := make(map[*waitQueue]bool)
		// The shortest is the first that is as short: lengthened, it shows the next.
		for range l.handSize {
			q := l.shortest(mixed)
			seen[q] = true
			q.length = 1
		}
		for q := range seen {
			q.length = 0
			dealt[q]++
		}
		if len(seen) != l.handSize {
			t.Fatalf("a hand of %d queues, want %d", len(seen), l.handSize)
		}
	}
	const mean = hands * 6 / queues
	for _, n := range dealt {
		if n < mean*3/4 || n > mean*5/4 {
			t.Errorf("a queue is in %d hands of %d, want about %d", n, hands, mean)
		}
	}
	servetest.Want(t, "all are dealt", len(dealt), queues)
}
