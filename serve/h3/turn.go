package h3

import (
	"sync"
	"sync/atomic"
	"time"
)

// Who leads a connection takes its streams and runs their handlers inline: a
// goroutine for each request, as http3.Server has it, costs its start and two
// switches, and nearly all handlers return within microseconds (BenchmarkServe).
// One that waits, or runs long, is overtaken: another goroutine leads from then
// on, and the handler goes on where it is.
//
//	leader ──┬─ stream, handler, answer ─┬─ next stream
//	         │                           └─ overtaken: this goroutine ends
//	         └─ the handler waits for its body or its client: it hands on itself
//	watch  ──── it has run for more than a tick: the watch takes the lead away
//
// A turn is one stream's run. The word is even between turns and odd in one;
// whoever moves it from odd to even has the lead: the leader at its turn's end,
// or who overtakes.

// turn is the word's value during a run; zero: a goroutine that never led.
type turn uint64

type token struct {
	word    atomic.Uint64
	watched atomic.Bool // the watch looks at it
	seen    uint64      // what it saw last; the watch's own
	taking  sync.Mutex  // held while the watch takes the lead
}

// tick is how long a handler may run inline, twice that at most.
const tick = time.Millisecond

// lateFor is how long handlers get goroutines of their own after one was
// overtaken by the watch: the next one is likely to be late too, and the
// streams behind it need not wait for a tick.
const lateFor = time.Second

// beginTurn is called by the leader before a stream.
func (c *conn) beginTurn() turn {
	t := turn(c.token.word.Add(1))
	if !c.token.watched.Load() {
		c.srv.watch.add(c)
	}
	return t
}

// endTurn is called behind it. False: it was overtaken.
func (c *conn) endTurn(t turn) bool {
	return c.token.word.CompareAndSwap(uint64(t), uint64(t)+1)
}

// handOn gives the lead away if t still runs inline: it is about to wait.
func (c *conn) handOn(t turn) {
	switch {
	case t == 0:
	case c.endTurn(t):
		c.srv.cfg.Counters.HandOffs.Add(1)
		go c.lead()
	default:
		// If it is being overtaken just now: the caller is about to set a deadline
		// of its own, which the one for the head must not replace.
		c.token.taking.Lock()
		c.token.taking.Unlock()
	}
}

// overtake takes the lead from a handler that has run for more than a tick.
func (c *conn) overtake(t turn) {
	c.token.taking.Lock()
	defer c.token.taking.Unlock()
	if !c.endTurn(t) {
		return
	}
	c.srv.cfg.Counters.Overtaken.Add(1)
	now := time.Now()
	c.lateUntil.Store(now.Add(lateFor).UnixNano())
	// It may be the head that has not come: that wait has an end. For a body, the
	// reader sets its own.
	if d := c.srv.cfg.ReadHeadTimeout; d > 0 {
		c.current.SetReadDeadline(now.Add(d))
	}
	go c.lead()
}

// late tells whether handlers are given goroutines for the time being.
func (c *conn) late() bool {
	until := c.lateUntil.Load()
	if until == 0 {
		return false
	}
	if time.Now().UnixNano() < until {
		return true
	}
	c.lateUntil.CompareAndSwap(until, 0)
	return false
}

// watch looks at the connections that run handlers inline, every tick while
// there are any.
type watch struct {
	mu      sync.Mutex
	conns   []*conn
	asleep  bool
	wake    chan struct{}
	stopped chan struct{}
	once    sync.Once // stop
	start   sync.Once
}

func (w *watch) init() {
	w.wake, w.stopped = make(chan struct{}, 1), make(chan struct{})
	w.asleep = true
}

// add lets the watch look at c.
func (w *watch) add(c *conn) {
	w.start.Do(func() { go w.run() })
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.token.watched.Swap(true) {
		return
	}
	w.conns = append(w.conns, c)
	if w.asleep {
		w.asleep = false
		w.wake <- struct{}{}
	}
}

func (w *watch) stop() { w.once.Do(func() { close(w.stopped) }) }

func (w *watch) run() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-w.stopped:
			return
		case <-ticker.C:
			if w.look() {
				continue
			}
		}
		ticker.Stop()
		select {
		case <-w.stopped:
			return
		case <-w.wake:
			ticker.Reset(tick)
		}
	}
}

// look overtakes who has run since the last look, and lets those go that have
// not run. False: none is left.
func (w *watch) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.conns[:0]
	for _, c := range w.conns {
		word := c.token.word.Load()
		if word == c.token.seen {
			if word%2 == 1 {
				c.overtake(turn(word))
			} else if c.token.watched.Store(false); c.token.word.Load() == word {
				continue // its next turn finds that nobody watches
			} else if c.token.watched.Swap(true) {
				continue // that turn has added it, or is about to: behind mu
			}
		}
		c.token.seen = word
		kept = append(kept, c)
	}
	clear(w.conns[len(kept):])
	w.conns = kept
	w.asleep = len(kept) == 0
	return !w.asleep
}
