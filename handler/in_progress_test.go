package handler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// infoStage says what is known of a request, by its path.
type infoStage map[string]Info

func (s infoStage) Begin(x *Exchange) bool {
	x.Info = s[x.Request.URL.Path]
	return true
}

// infos are the kinds of requests.
var infos = infoStage{
	"/read":     {Route: "r"},
	"/mutating": {Class: ClassMutating},
	"/long":     {LongRunning: true},
	"/exempt":   {Exempt: true},
}

// A blocking handler runs until it is released.
type blocking struct {
	entered, release chan struct{}
	requests         sync.WaitGroup
}

func newBlocking() *blocking {
	return &blocking{entered: make(chan struct{}, 1000), release: make(chan struct{})}
}

func (b *blocking) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b.entered <- struct{}{}
	select {
	case <-b.release:
	case <-r.Context().Done():
	}
}

// run sends a request to h that enters the handler, and returns when it has.
func (b *blocking) run(h http.Handler, target string) {
	b.requests.Go(func() { get(h, target) })
	<-b.entered
}

// end lets all requests end.
func (b *blocking) end() {
	close(b.release)
	b.requests.Wait()
}

func TestRegistry(t *testing.T) { synctest.Test(t, testRegistry) }

func testRegistry(t *testing.T) {
	g, b := NewRegistry(), newBlocking()
	c := NewChain(b, infos, NewWaitGroup(g, WaitGroupOptions{}))
	for _, path := range []string{"/read", "/mutating", "/long", "/exempt", "/read", "/" + strings.Repeat("x", 1000)} {
		b.run(c, path)
		time.Sleep(time.Second)
	}
	servetest.Want(t, "counts", g.Counts(), RunningCounts{Read: 3, Mutating: 1, LongRunning: 1, Exempt: 1})
	var paths []string
	for _, r := range g.Oldest(4) {
		paths = append(paths, r.Path)
	}
	servetest.Want(t, "the oldest first", strings.Join(paths, " "), "/read /mutating /long /exempt")
	oldest := g.Oldest(1)[0]
	servetest.Want(t, "what is told of one", oldest,
		Running{Received: oldest.Received, Method: "GET", Path: "/read", Route: "r"})
	servetest.Want(t, "no more than there are", len(g.Oldest(100)), 6)
	servetest.Want(t, "a long path is cut", len(g.Oldest(100)[5].Path), maxRunningText)
	servetest.Want(t, "none is asked for", len(g.Oldest(0))+len(g.Oldest(-1)), 0)
	b.end()
	servetest.Want(t, "all have left", g.Counts(), RunningCounts{})
	servetest.Want(t, "none is listed", len(g.Oldest(100)), 0)
}

// TestRegistryRace: joins, leaves and snapshots at once. Run with -race.
func TestRegistryRace(t *testing.T) {
	g := NewRegistry()
	c := NewChain(NotFound{}, infos, NewWaitGroup(g, WaitGroupOptions{}),
		NewDeadline(DeadlineOptions{}), NewTimeout(g, TimeoutOptions{}))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				func() {
					defer func() { _ = recover() }() // one that was late is cut
					get(c, fmt.Sprintf("/%d?timeout=%dms", i, 1+n%30))
				}()
			}
		})
		wg.Go(func() {
			for range 50 {
				g.Oldest(3)
				g.Counts()
				g.sweep()
			}
		})
	}
	wg.Wait()
	servetest.Want(t, "all have left", g.Counts(), RunningCounts{})
	for i := range g.shards {
		servetest.Want(t, "no list holds one", g.shards[i].oldest == nil && g.shards[i].newest == nil, true)
	}
}

// stages are chains of one stage each, for what they cost.
func loadStages(tb testing.TB) map[string]*Chain {
	g := NewRegistry()
	must := func(s Stage, err error) Stage {
		servetest.Must(tb, "a stage", err)
		return s
	}
	limit, err := NewRateLimit(RateLimitOptions{Rate: 1e9})
	servetest.Must(tb, "rate limit", err)
	priority, err := NewPriority(PriorityOptions{
		Levels:   []PriorityLevel{{Name: "all"}},
		Classify: func(*Exchange) (int, string) { return 0, "flow" },
	})
	servetest.Must(tb, "priority", err)
	deadline := NewDeadline(DeadlineOptions{})
	return map[string]*Chain{
		"none":          NewChain(NotFound{}),
		"registry":      NewChain(NotFound{}, NewWaitGroup(g, WaitGroupOptions{})),
		"retry_after":   NewChain(NotFound{}, NewRetryAfter(func() bool { return false }, RetryOptions{})),
		"in_flight":     NewChain(NotFound{}, NewMaxInFlight(DefaultMaxInFlight, DefaultMaxMutatingInFlight, MaxInFlightOptions{})),
		"rate_limit":    NewChain(NotFound{}, limit),
		"goaway":        NewChain(NotFound{}, must(NewGoaway(maxGoawayChance))),
		"deadline":      NewChain(NotFound{}, deadline),
		"timeout":       NewChain(NotFound{}, NewWaitGroup(g, WaitGroupOptions{}), deadline, NewTimeout(g, TimeoutOptions{})),
		"timeout_alone": NewChain(NotFound{}, deadline, NewTimeout(g, TimeoutOptions{})),
		"priority":      NewChain(NotFound{}, priority),
		"refuse":        NewChain(NotFound{}, NewRetryAfter(func() bool { return true }, RetryOptions{})),
	}
}

// loadRequest is one whose context takes a deadline, as those of our engines do.
func loadRequest(tb testing.TB) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/some/path?a=1&b=2", http.NoBody)
	return r.WithContext(settable{tb.Context()})
}

// A recycling chain with these stages makes no allocation.
func TestLoadStagesAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := loadRequest(t)
	for name, c := range loadStages(t) {
		servetest.Want(t, name+": allocations", allocations(c, r), 0)
	}
}

func BenchmarkLoadStages(b *testing.B) {
	r := loadRequest(b)
	for name, c := range loadStages(b) {
		b.Run(name, func(b *testing.B) {
			w := newStubWriter()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header) // an engine's is empty
				c.ServeHTTP(w, r)
			}
			if w.bytes == 0 {
				b.Error("no answer")
			}
		})
	}
}
