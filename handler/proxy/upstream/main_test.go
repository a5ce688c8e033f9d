package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestMain(m *testing.M) { servetest.Main(m) }

// targets makes n of them, 10.0.0.1:80 and so on.
func targets(n int) []Target {
	list := make([]Target, n)
	for i := range list {
		list[i].URL = fmt.Sprintf("http://10.0.%d.%d", i/250, i%250+1)
	}
	return list
}

// newGroup makes a group with the same random numbers in each run.
func newGroup(tb testing.TB, o Options, h Hooks) *Group {
	tb.Helper()
	if h.Seed == 0 {
		h.Seed = 1
	}
	g, err := New("api", o, h)
	servetest.Must(tb, "make a group", err)
	tb.Cleanup(g.Close)
	return g
}

// at is the group's endpoint i, in the order of the targets.
func (g *Group) at(i int) *Endpoint { return g.endpoints[i] }

// mustPick picks without key.
func mustPick(tb testing.TB, g *Group, now time.Time) *Endpoint {
	tb.Helper()
	e, err := g.Pick(now, 0, nil)
	servetest.Must(tb, "pick", err)
	return e
}

// counts picks n times, ending each at once, and tells how often each was picked.
func (g *Group) counts(tb testing.TB, now time.Time, n int) map[*Endpoint]int {
	tb.Helper()
	c := make(map[*Endpoint]int)
	for range n {
		e := mustPick(tb, g, now)
		c[e]++
		e.End(now)
	}
	return c
}

// fail lets e fail n times in a row.
func fail(e *Endpoint, now time.Time, n int) {
	for range n {
		e.Observe(now, Outcome{Kind: BrokeOff})
	}
}

// stateOf is what Status shows of e.
func stateOf(tb testing.TB, e *Endpoint, now time.Time) EndpointStatus {
	tb.Helper()
	s := e.group.Status(now)
	i := slices.IndexFunc(s.Endpoints, func(s EndpointStatus) bool {
		return s.Target == e.Target && s.Address == e.Address
	})
	if i < 0 {
		tb.Fatalf("%v is not in the status", e)
	}
	return s.Endpoints[i]
}

// near fails unless got is within part of want.
func near(tb testing.TB, why string, got, want, part float64) {
	tb.Helper()
	if got < want*(1-part) || got > want*(1+part) {
		tb.Errorf("%s: got %v, want %v ± %v %%", why, got, want, part*100)
	}
}

// switchProber fails for the addresses that are broken.
type switchProber struct {
	broken sync.Map // address to bool
	probes atomic.Int64
	path   atomic.Value // of the last one
}

var errBroken = errors.New("broken")

func (p *switchProber) Probe(_ context.Context, e *Endpoint, h Health) error {
	p.probes.Add(1)
	p.path.Store(h.Path)
	if _, broken := p.broken.Load(e.Address); broken {
		return errBroken
	}
	return nil
}

// book answers from memory.
type book struct {
	mu      sync.Mutex
	answers map[string][]Address
	ttl     time.Duration
	err     error
	asked   []time.Time
}

func (b *book) Resolve(_ context.Context, q Query) ([]Address, time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, time.Now())
	return b.answers[q.Name], b.ttl, b.err
}

func (b *book) set(name string, err error, addresses ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		b.answers = make(map[string][]Address)
	}
	list := make([]Address, len(addresses))
	for i := range list {
		list[i].Address = addresses[i]
	}
	b.answers[name], b.err = list, err
}

// times are those of all look-ups.
func (b *book) times() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// addresses are those of the group, in order.
func (g *Group) addresses() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []string
	for _, e := range g.endpoints {
		list = append(list, e.Address)
	}
	return list
}
