package bench

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// report is what a worker has counted in an interval.
type report struct {
	worker   int
	warm     bool
	index    int64
	from, to int64
	inFlight int64
	stats    *stats
	last     bool
}

// ticker cuts a worker's time into intervals.
type ticker struct {
	from, every int64
	n           int64 // of the interval
	begun       int64 // when it began
}

func (t *ticker) next() int64 { return t.from + (t.n+1)*t.every }

// pass hands over the intervals that have ended.
func (t *ticker) pass(w *worker, now int64) {
	for now >= t.next() {
		t.hand(w, t.next(), false)
		t.n++
	}
}

func (t *ticker) hand(w *worker, to int64, last bool) {
	w.stats = w.run.collect.take(report{w.index, !w.measured, t.n, t.begun, to, w.inFlight, w.stats, last})
	t.begun = to
}

// restart begins the intervals of the measured time; what was counted before is
// the warm-up's.
func (t *ticker) restart(w *worker, from int64) {
	w.stats.reset()
	t.from, t.begun, t.n = from, from, 0
}

func (t *ticker) last(w *worker) { t.hand(w, min(w.plan.now(), w.run.endsAt()), true) }

// collector puts the workers' reports together.
type collector struct {
	run *run

	// mu guards the following.
	mu      sync.Mutex
	free    []*stats
	total   *stats
	series  []Point
	open    map[int64]*interval
	reached []int64 // by worker: the last interval it has reported
	end     int64   // of the last worker
	cpu     time.Duration
	at      time.Time // of cpu
	begun   bool      // the measured time
	user    time.Duration
	system  time.Duration
	name    string // of the server
}

// begin notes what the generator has cost before the measured time.
func (c *collector) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.begun = true
		c.user, c.system = cpuTimes()
	}
}

// server notes the Server field of an answer.
func (c *collector) server(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.name == "" {
		c.name = name
	}
}

// interval is one that not all workers have reported yet.
type interval struct {
	stats    *stats
	from, to int64
	inFlight int64
	warm     bool
}

func newCollector(r *run) *collector {
	c := &collector{run: r, total: newStats(), open: make(map[int64]*interval), reached: make([]int64, len(r.workers))}
	for i := range c.reached {
		c.reached[i] = -never
	}
	c.user, c.system = cpuTimes()
	c.cpu, c.at = c.user+c.system, time.Now()
	return c
}

// take adds a report, and answers empty stats for the worker's next.
func (c *collector) take(r report) *stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.warm {
		c.total.add(r.stats)
	}
	if r.last {
		c.end = max(c.end, r.to)
	}
	c.interval(r)
	r.stats.reset()
	return r.stats
}

// interval adds the report to its interval, and tells those that are complete.
func (c *collector) interval(r report) {
	key := r.index
	if r.warm {
		key = r.index - 1<<40 // those of the warm-up come first
	}
	i := c.open[key]
	if i == nil {
		i = &interval{stats: c.empty(), from: r.from, to: r.to}
		c.open[key] = i
	}
	i.stats.add(r.stats)
	i.to = max(i.to, r.to)
	i.inFlight += r.inFlight
	i.warm = r.warm
	c.reached[r.worker] = key
	if r.last {
		c.reached[r.worker] = never
	}
	c.tellComplete()
}

// tellComplete tells the intervals that all workers have behind them, in order.
func (c *collector) tellComplete() {
	behind := slices.Min(c.reached)
	for _, key := range slices.Sorted(maps.Keys(c.open)) {
		if key > behind {
			return
		}
		i := c.open[key]
		delete(c.open, key)
		c.tell(i, i.warm)
		i.stats.reset()
		c.free = append(c.free, i.stats)
	}
}

func (c *collector) empty() *stats {
	if n := len(c.free); n > 0 {
		s := c.free[n-1]
		c.free = c.free[:n-1]
		return s
	}
	return newStats()
}

// tell makes the point of an interval.
func (c *collector) tell(i *interval, warm bool) {
	length := time.Duration(i.to - i.from)
	if length <= 0 {
		return
	}
	zero := c.run.begins.Load()
	if zero == never {
		zero = c.run.warmEnd
	}
	p := i.stats.point(time.Duration(i.to-zero), length, i.inFlight)
	now := time.Now()
	user, system := cpuTimes()
	if passed := now.Sub(c.at); passed > 0 {
		p.GeneratorCPU = float64(user+system-c.cpu) / float64(passed)
	}
	c.cpu, c.at = user+system, now
	if warm && i.to >= zero {
		return
	}
	if !warm {
		c.series = append(c.series, p)
	}
	if f := c.run.plan.Progress; f != nil {
		f(p)
	}
}
