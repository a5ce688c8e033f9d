package upstream

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// halfLife is how fast a latency is forgotten.
	halfLife = 10 * time.Second
	// unknownLatency stands for all while nobody was measured: equal is what matters.
	unknownLatency = float64(time.Millisecond)
	// medianInterval bounds the work of computing the median.
	medianInterval = time.Second
)

// latency is a moving average in ns that is sensitive to peaks: a sample above it
// counts at once, one below it by the time since the last. The zero value was
// never measured.
//
// The two words are not changed together. Each sample takes the stretch of time
// since the one before for itself, so that concurrent ones weigh together as much
// as one after the other.
type latency struct {
	average atomic.Uint64 // bits of a float64; 0: not measured
	at      atomic.Int64  // of the last sample
}

func (l *latency) load() float64 { return math.Float64frombits(l.average.Load()) }

// add takes a sample.
func (l *latency) add(t int64, sample float64) {
	sample = max(1, sample)
	kept := decay(t - l.at.Swap(t))
	for {
		old := l.average.Load()
		was := math.Float64frombits(old)
		is := sample
		if sample < was {
			is = was*kept + sample*(1-kept)
		}
		if l.average.CompareAndSwap(old, math.Float64bits(is)) {
			return
		}
	}
}

// addAtLeast takes a sample whose end was not waited for: it counts only as a peak.
func (l *latency) addAtLeast(t int64, sample float64) {
	if sample > l.load() {
		l.add(t, sample)
	}
}

// set makes it v, as if measured at t; v zero: not measured.
func (l *latency) set(t int64, v float64) {
	l.at.Store(t)
	l.average.Store(math.Float64bits(v))
}

// estimate is what to expect at t. Above half of the median a latency without new
// samples falls towards that: a slow endpoint which nobody asks would never be seen
// to be fast again. Not to zero: the first look would be a crowd.
func (l *latency) estimate(t int64, median float64) float64 {
	v := l.load()
	if v == 0 {
		if median == 0 {
			return unknownLatency
		}
		return median
	}
	floor := median / 2
	idle := t - l.at.Load()
	if v <= floor || idle < int64(halfLife/64) { // about 1 %: spare the power
		return v
	}
	return floor + (v-floor)*decay(idle)
}

// decay is 2^(-d/halfLife).
func decay(d int64) float64 {
	if d <= 0 {
		return 1
	}
	x := float64(d) * (math.Ln2 / float64(halfLife))
	if x < 1.0/256 { // busy endpoints: the series' rest is below 1e-5
		return 1 - x
	}
	return math.Exp(-x)
}

// updateMedian computes the group's median now and then. It does not wait for the
// lock: the next sample will do.
func (g *Group) updateMedian(t int64) {
	last := g.medianAt.Load()
	if t-last < int64(medianInterval) && last != 0 || !g.medianAt.CompareAndSwap(last, max(1, t)) {
		return
	}
	if g.mu.TryLock() {
		g.setMedian()
		g.mu.Unlock()
	}
}

func (g *Group) setMedian() { g.median.Store(math.Float64bits(g.medianBut(nil))) }

// medianBut is the median latency of the group without e: the lower of two. mu is
// held.
func (g *Group) medianBut(e *Endpoint) float64 {
	all := g.scratch[:0]
	for _, other := range g.endpoints {
		if v := other.latency.load(); v != 0 && other != e {
			all = append(all, v)
		}
	}
	g.scratch = all
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}
