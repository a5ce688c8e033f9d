package bench

import (
	"time"
)

const (
	readBytes = 64 << 10
	// sweepEvery is how exact time limits are.
	sweepEvery = int64(100 * time.Millisecond)
	// longestWait bounds each wait of a loop, so that it sees the end of the run.
	longestWait = int64(50 * time.Millisecond)
	// startQuantum bounds how long starts of an open loop are gathered before the loop
	// wakes for them: waking for each of 100,000 a second would take the core that is
	// to send them. Linux gives timers a slack of 50 µs besides.
	startQuantum = int64(25 * time.Microsecond)
)

// worker drives its share of the connections, on one goroutine, which is the only
// one that touches them.
type worker struct {
	plan   *plan
	index  int
	conns  []*conn
	poller poller
	buf    []byte
	plain  []byte // what the client of the connection at hand has to send
	stats  *stats
	now    int64 // of the event that is being handled

	// Of an open loop, with Options.Rate.
	pacer     pacer
	ready     ring  // connections with room
	roomSince int64 // when ready had one, after it had none
	polled    int64 // when the poller last came back
	cameSince int64 // what it told of then has come after that

	lost     []*conn // to be made again
	again    []*conn // to be read on, each in it once at most
	spare    []*conn // memory of the last list of those
	inFlight int64
	turn     int // of the targets

	left  int64 // requests to begin yet; negative: any number
	swept int64

	measured bool
	quiet    bool // nothing new is begun: the warm-up of a counted run has ended
	told     bool // that nothing is under way

	run     *run
	hasName bool // of the server
	tick    ticker
}

func newWorker(r *run, index, conns int) (*worker, error) {
	w := &worker{plan: r.plan, run: r, index: index, buf: make([]byte, readBytes), stats: newStats(), left: -1}
	w.poller.init()
	if err := w.poller.open(conns); err != nil {
		return nil, err
	}
	for i := range conns {
		c := newConn(w, int32(i))
		w.conns = append(w.conns, c)
		w.lost = append(w.lost, c)
	}
	w.ready.buf = make([]*conn, conns)
	return w, nil
}

// loop runs until the run is over.
func (w *worker) loop() {
	defer w.shut()
	w.begin(w.run.startsAt())
	for {
		now := w.plan.now()
		w.now = now
		if w.step(now) {
			return
		}
		w.poller.wait(w, w.until(now))
	}
}

// begin prepares for a phase that begins at now.
func (w *worker) begin(from int64) {
	if w.plan.Rate > 0 {
		w.pacer = newPacer(w.plan.Rate, w.index, w.plan.Workers, from)
	}
	w.tick.from, w.tick.every = from, int64(w.plan.Interval)
}

// step does what is due by time. True: the run is over.
func (w *worker) step(now int64) (over bool) {
	w.phase(now)
	if w.run.over(now, w) {
		return true
	}
	if len(w.lost) > 0 {
		w.reconnect(now)
	}
	if len(w.again) > 0 {
		w.readOn()
	}
	if w.plan.Rate > 0 {
		w.startDue(now)
	}
	if now-w.swept >= sweepEvery {
		w.swept = now
		for _, c := range w.conns {
			c.sweep(now)
		}
	}
	w.tick.pass(w, now)
	return false
}

// readOn reads of connections that had more than a turn's worth.
func (w *worker) readOn() {
	list := w.again
	w.again, w.spare = w.spare[:0], list
	for _, c := range list {
		c.unread = false
		c.readable()
	}
}

// until is when step is due again.
func (w *worker) until(now int64) int64 {
	if len(w.again) > 0 {
		return now
	}
	at := now + longestWait
	at = min(at, w.tick.next(), w.run.nextPhase(now))
	if w.plan.Rate > 0 && w.ready.len() > 0 && w.left != 0 && !w.quiet {
		at = min(at, w.pacer.gathered(startQuantum))
	}
	if len(w.lost) == 0 || w.left == 0 {
		return at
	}
	soonest := int64(never)
	for _, c := range w.lost {
		soonest = min(soonest, c.retryAt)
	}
	if w.onDemand() {
		soonest = max(soonest, w.pacer.at(w.pacer.next+w.connecting()))
	}
	return min(at, soonest)
}

func (w *worker) reconnect(now int64) {
	list := w.lost
	w.lost = nil
	wanted := int64(len(list))
	if w.onDemand() {
		wanted = w.pacer.due(now) - w.connecting()
	}
	for _, c := range list {
		switch {
		case c.state != connNone:
		case c.retryAt > now || w.left == 0 || wanted <= 0:
			w.lost = append(w.lost, c)
		default:
			wanted--
			c.connect(now)
		}
	}
}

// onDemand tells that connections are made when a start is due: each carries one
// request, and those are paced.
func (w *worker) onDemand() bool { return w.plan.single() && w.plan.Rate > 0 }

// connecting is the number of connections that are to carry a request yet.
func (w *worker) connecting() (n int64) {
	for _, c := range w.conns {
		if c.state != connNone && c.inFlight == 0 {
			n++
		}
	}
	return n
}

// polledNow notes that the poller has come back, and whether it had to wait: then
// what it tells of has come now, else at any time since the loop was busy.
func (w *worker) polledNow(waited bool) {
	if w.plan.Rate == 0 {
		return
	}
	now := w.plan.now()
	w.cameSince = w.polled
	if waited {
		w.cameSince = now
	}
	w.polled = now
}

// freed begins what c has room for, which it has since a time.
func (w *worker) freed(c *conn, since int64) {
	if w.left == 0 || w.quiet {
		return
	}
	room := c.room()
	if w.plan.Rate == 0 {
		for range room {
			w.start(c, w.now, w.now)
		}
		c.flush()
		return
	}
	if room > 0 && !c.queued {
		if w.ready.len() == 0 {
			w.roomSince = since
		}
		c.queued = true
		w.ready.push(c)
	}
	c.flush() // worker.plain is c's until then: the starts may be of others
	w.startDue(w.now)
}

// startDue begins the starts whose time has come by now, on connections in turn, and
// several at once on each when more wait than there are connections. Those of a time
// behind the end are not the run's, however late the loop comes to see that it is over.
func (w *worker) startDue(now int64) {
	due := w.pacer.due(min(now, w.run.endsAt()))
	if due == 0 || w.left == 0 || w.quiet {
		return
	}
	for w.left != 0 && due > 0 && w.ready.len() > 0 {
		share := 1 + int(due-1)/w.ready.len()
		c := w.ready.pop()
		c.queued = false
		share = min(share, c.room()) // none: the server may allow fewer than before
		if share <= 0 {
			continue
		}
		now = w.plan.now()
		for range share {
			at := w.pacer.take()
			w.stats.lag.record(now - max(at, w.roomSince))
			w.start(c, at, now)
		}
		due -= int64(share)
		c.flush()
		if c.room() > 0 && !c.queued {
			c.queued = true
			w.ready.push(c)
		}
	}
}

// start begins one request, if one is left.
func (w *worker) start(c *conn, intended, now int64) {
	if w.left == 0 {
		return
	}
	if w.left > 0 {
		w.left--
	}
	last := len(c.free) - 1
	x := &c.slots[c.free[last]]
	c.free = c.free[:last]
	x.intended, x.begun, x.head, x.busy, x.status, x.body = intended, now, 0, true, 0, x.body[:0]
	c.inFlight++
	w.inFlight++
	t := &w.plan.targets[w.turn]
	if w.turn++; w.turn == len(w.plan.targets) {
		w.turn = 0
	}
	c.client.begin(x, t)
}

// headed notes that the head of an answer is there.
func (w *worker) headed(x *exchange, status int) { x.status, x.head = status, w.now }

// done counts a whole answer.
func (w *worker) done(c *conn, x *exchange, body int64) {
	c.answers++
	if w.plan.Check != nil {
		var kept []byte
		if w.plan.KeepBody {
			kept = x.body
		}
		if err := w.plan.Check(x.status, kept); err != nil {
			w.failed(c, x, ErrorCheck, err.Error())
			return
		}
	}
	s := w.stats
	s.completed++
	s.bodyBytes += body
	if uint(x.status) < maxStatus {
		s.status[x.status]++
	}
	s.latency.record(w.now - x.intended)
	s.firstByte.record(x.head - x.intended)
	if w.plan.Rate > 0 {
		s.service.record(w.now - x.begun)
	}
	w.release(c, x)
}

// failed counts a request that has no whole answer.
func (w *worker) failed(c *conn, x *exchange, kind ErrorKind, text string) {
	w.stats.fail(kind, text)
	w.release(c, x)
}

func (w *worker) release(c *conn, x *exchange) {
	x.busy = false
	c.free = append(c.free, x.slot)
	c.inFlight--
	w.inFlight--
}

// refused notes why no connection is made, and has the requests fail that wait
// for one: with nobody to ask, a counted run would never end.
func (w *worker) refused(_ *conn, f failure) {
	if w.left > 0 && !w.anyOpen() {
		w.left--
		w.stats.fail(f.kind, f.err.Error())
	}
}

func (w *worker) anyOpen() bool {
	for _, c := range w.conns {
		if c.state == connOpen {
			return true
		}
	}
	return false
}

// named notes what the server calls itself.
func (w *worker) named(name string) {
	if !w.hasName {
		w.hasName = true
		w.run.collect.server(name)
	}
}

// shut ends all connections; what was under way is abandoned.
func (w *worker) shut() {
	w.stats.abandoned += w.inFlight
	w.countLate(w.plan.now())
	for _, c := range w.conns {
		c.close()
	}
	w.poller.close()
	w.tick.last(w)
}

// countLate counts the starts that no connection was free for.
func (w *worker) countLate(now int64) {
	if w.plan.Rate == 0 {
		return
	}
	late := w.pacer.due(min(now, w.run.endsAt()))
	if w.left >= 0 { // behind the last of a counted run there is none
		late = min(late, w.left)
	}
	w.stats.late += late
}

// ring is a queue of connections, each in it once at most.
type ring struct {
	buf  []*conn
	head int
	n    int
}

func (r *ring) len() int { return r.n }

func (r *ring) push(c *conn) {
	r.buf[(r.head+r.n)%len(r.buf)] = c
	r.n++
}

func (r *ring) pop() *conn {
	c := r.buf[r.head]
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	return c
}
