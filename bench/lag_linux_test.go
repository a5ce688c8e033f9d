package bench

import (
	"bytes"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// The scheduling error is the generator's own: what a start waits while a connection
// has room, and not what it waits for the server. Here a start is due each
// millisecond, the connection has two streams, and the test is the clock, the poller
// and the server.
func TestLag(t *testing.T) { synctest.Test(t, testLag) }

func testLag(t *testing.T) {
	c := feed(http.MethodGet, H2)
	w := c.w
	w.plan.Rate, w.quiet = 1000, false
	w.run.ends.Store(never)
	w.ready.buf = make([]*conn, 1)
	c.client.(*clientH2).maxStreams = 2
	w.begin(0)
	at := func(d time.Duration) { // sleeps until then, and the loop's next turn begins
		time.Sleep(d - time.Duration(w.plan.now()))
		w.now = w.plan.now()
	}
	want := func(why string, started int64, longest time.Duration) { // since the last call
		t.Helper()
		if n := w.stats.lag.n; n != started {
			t.Fatalf("%s: %d have begun, want %d", why, n, started)
		}
		if got := w.stats.lag.histogram().Max().Round(10 * time.Microsecond); got != longest {
			t.Errorf("%s: the longest delay is %v, want %v", why, got, longest)
		}
		w.stats.lag.reset()
	}
	answer := func(id uint32) {
		b := append(frame.BeginHeaders(nil), 0x89) // :status 204
		if !c.take(frame.FinishHeaders(b, 0, id, frame.FlagEndStream, frame.DefaultMaxSize)) {
			t.Fatal(w.stats.first)
		}
		c.settle()
	}

	w.freed(c, 0)
	want("at its time", 1, 0)
	at(5300 * time.Microsecond)
	w.startDue(w.now)
	want("the loop came 4.3 ms late, with room for one", 1, 4300*time.Microsecond)
	at(20 * time.Millisecond)
	w.polledNow(true)
	answer(1)
	want("the server took that long: the poller has waited for it", 1, 0)
	at(27 * time.Millisecond)
	w.polledNow(false)
	answer(3)
	want("an answer of any time since the last look, 7 ms ago", 1, 7*time.Millisecond)
}

// Starts whose time is nearly the same are gathered, and no further ones.
func TestGathered(t *testing.T) {
	const quantum = int64(50 * time.Microsecond)
	for _, rate := range []float64{1000, 19_000, 21_000, 100_000, 1e6} {
		p := newPacer(rate, 0, 1, 1000)
		behind := p.gathered(quantum) - p.at(p.next)
		if behind > quantum || behind < 0 || behind+int64(1e9/rate)+1 < quantum {
			t.Errorf("%v/s: wakes %d ns behind the next start: more than %d, or one more has room", rate, behind, quantum)
		}
	}
}

// A loop that comes late to the end of the run does not begin what is behind it.
func TestNoStartBehindEnd(t *testing.T) {
	c := feed(http.MethodGet, H2)
	w := c.w
	w.plan.Rate, w.quiet = 1000, false
	w.ready.buf = make([]*conn, 1)
	c.client.(*clientH2).maxStreams = 2
	w.begin(0)
	w.run.ends.Store(int64(500 * time.Microsecond))
	w.now = int64(5 * time.Millisecond)
	w.freed(c, w.now)
	if c.inFlight != 1 || w.pacer.next != 1 {
		t.Errorf("%d have begun, want the one at 0 of a run of 0.5 ms at 1000/s", c.inFlight)
	}
}

// What one connection has to say goes out on it, and not with a start that is due on
// another.
func TestStartsStayApart(t *testing.T) {
	first := feed(http.MethodGet, H2)
	w := first.w
	second := newConn(w, 1)
	second.state = connOpen
	second.client = newClientH2(second)
	w.plan.Rate, w.quiet, w.plain = 1000, false, nil
	w.conns = append(w.conns, second)
	w.run.ends.Store(never)
	w.ready.buf = make([]*conn, 2)
	w.begin(0)
	far := []int{socketPair(t, first), socketPair(t, second)}
	sent := func(i int) []byte {
		b := make([]byte, 4096)
		n, _ := unix.Read(far[i], b) // none: an empty one
		return b[:max(n, 0)]
	}
	w.now = -1 // nothing is due
	w.freed(second, 0)
	w.now = w.plan.now()
	w.pacer.from = w.now // one is due, and second is in front
	ping := frame.AppendPing(nil, frame.FlagAck, [8]byte{1})
	w.plain = append(w.plain, ping...)
	w.freed(first, 0)
	if a, b := sent(0), sent(1); !bytes.Equal(a, ping) || len(b) == 0 || bytes.Contains(b, ping) || second.inFlight != 1 {
		t.Errorf("the first sends % x, the second % x with %d requests; want the PING on the first alone, a request on the second", a, b, second.inFlight)
	}
}
