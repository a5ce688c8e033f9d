package upstream

import (
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

const ms = float64(time.Millisecond)

func TestLatencyIsSensitiveToPeaks(t *testing.T) {
	var l latency
	l.add(1, 10*ms)
	servetest.Want(t, "the first sample is all there is", l.load(), 10*ms)
	l.add(2, 500*ms)
	servetest.Want(t, "a slow one counts at once", l.load(), 500*ms)
	l.add(3, 10*ms)
	near(t, "a fast one right behind hardly", l.load(), 500*ms, 0.001)
	l.add(3+int64(halfLife), 10*ms)
	near(t, "after the half-life it weighs half", l.load(), 255*ms, 0.001)
	l.add(3+int64(halfLife), 0)
	near(t, "two at one time weigh as one", l.load(), 255*ms, 0.001)
	l.add(2, 10*ms)
	near(t, "a clock that is read late takes nothing back", l.load(), 255*ms, 0.001)
}

func TestAbandonedCountsOnlyAsAPeak(t *testing.T) {
	var l latency
	l.add(1, 10*ms)
	l.addAtLeast(1+int64(halfLife), 5*ms)
	servetest.Want(t, "less than usual says nothing", l.load(), 10*ms)
	l.addAtLeast(1+int64(halfLife), 50*ms)
	servetest.Want(t, "more is a peak", l.load(), 50*ms)
}

// Many samples in a stretch of time weigh as much as the stretch, not as many.
func TestLatencyWeighsByTime(t *testing.T) {
	var l latency
	l.add(0, 100*ms)
	for i := range 10000 {
		l.add(int64(halfLife)*int64(i+1)/10000, 1*ms)
	}
	near(t, "half is left", l.load(), 50.5*ms, 0.01)
}

func TestEstimateFallsWithoutSamples(t *testing.T) {
	const median = 10 * ms
	var l latency
	servetest.Want(t, "nobody was measured", l.estimate(5, 0), unknownLatency)
	servetest.Want(t, "others were", l.estimate(5, median), median)
	l.add(0, 1005*ms)
	servetest.Want(t, "at once", l.estimate(0, median), 1005*ms)
	near(t, "after the half-life", l.estimate(int64(halfLife), median), 505*ms, 0.001)
	near(t, "at last half of the median", l.estimate(100*int64(halfLife), median), 5*ms, 0.001)
	l.set(0, 2*ms)
	servetest.Want(t, "a fast one does not rise", l.estimate(100*int64(halfLife), median), 2*ms)
}

func TestLatencyFromManyGoroutines(t *testing.T) {
	var l latency
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				l.add(int64(i)*1000, 20*ms)
			}
		})
	}
	wg.Wait()
	near(t, "all samples are the same", l.load(), 20*ms, 1e-9)
}

func TestFailureIsASampleOfTheTimeout(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(2), HeadTimeout: 7 * time.Second}, Hooks{})
	now := time.Now()
	for _, k := range []Kind{ConnectFailed, BrokeOff, TimedOut, GatewayStatus} {
		e := g.at(0)
		e.latency.set(0, 1*ms)
		e.Observe(now, Outcome{Kind: k, Latency: time.Millisecond})
		servetest.Want(t, k.String(), time.Duration(e.latency.load()), 7*time.Second)
	}
	e := g.at(1)
	e.Observe(now, Outcome{Kind: Streaming, Latency: time.Hour})
	servetest.Want(t, "a stream's time says nothing", e.latency.load(), 0)
	e.Observe(now, Outcome{Kind: Answered, Latency: time.Millisecond})
	servetest.Want(t, "an answer's does", e.latency.load(), ms)
	later := now.Add(time.Hour)
	e.Observe(later, Outcome{Kind: Abandoned, Latency: time.Microsecond})
	servetest.Want(t, "who leaves early says nothing", e.latency.load(), ms)
	e.Observe(later, Outcome{Kind: Abandoned, Latency: time.Second})
	servetest.Want(t, "who leaves late does", e.latency.load(), 1000*ms)
	servetest.Want(t, "kind of 502", KindOf(502), GatewayStatus)
	servetest.Want(t, "kind of 504", KindOf(504), GatewayStatus)
	servetest.Want(t, "kind of 500", KindOf(500), Answered)
	servetest.Want(t, "kind of 505", KindOf(505), Answered)
	servetest.Want(t, "an unknown kind", Kind(99).String(), "Kind(99)")
}

func TestMedian(t *testing.T) {
	g := newGroup(t, Options{Targets: targets(4)}, Hooks{})
	servetest.Want(t, "nobody was measured", g.medianLatency(), 0)
	start := time.Now()
	g.at(0).Observe(start, Outcome{Latency: 30 * time.Millisecond})
	servetest.Want(t, "the first sample counts at once", g.medianLatency(), 30*ms)
	g.at(1).Observe(start, Outcome{Latency: 10 * time.Millisecond})
	servetest.Want(t, "later ones once a second", g.medianLatency(), 30*ms)
	g.at(2).Observe(start.Add(2*time.Second), Outcome{Latency: 20 * time.Millisecond})
	servetest.Want(t, "of three", g.medianLatency(), 20*ms)
	g.mu.Lock()
	defer g.mu.Unlock()
	servetest.Want(t, "of two the lower", g.medianBut(g.at(0)), 10*ms)
}
