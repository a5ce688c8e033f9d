package handler

import "sync"

// level is a PriorityLevel at work.
type level struct {
	// Immutable.
	name        string
	exempt      bool
	seats       int
	queueLength int
	handSize    int

	// mu guards the following.
	mu      sync.Mutex
	running int
	waiting int
	queues  []waitQueue
	turn    int // the queue that was let in last
}

// waitQueue is a list of those who wait in it.
type waitQueue struct {
	first, last *waiter
	length      int
}

// waiter is a request that waits.
type waiter struct {
	seat       chan struct{} // closed when it has one
	queue      *waitQueue    // nil: it waits no more
	next, prev *waiter
}

// newLevel makes the level that has l's part of all seats.
func newLevel(l PriorityLevel, seats, shares int) *level {
	v := &level{name: l.Name, exempt: l.Exempt, queueLength: l.QueueLength, handSize: l.HandSize}
	if l.Exempt {
		return v
	}
	v.seats = max(1, (seats*max(1, l.Shares)+shares/2)/shares)
	if v.queueLength == 0 {
		v.queueLength = defaultQueueLength
	}
	if v.handSize == 0 {
		v.handSize = defaultHandSize
	}
	n := max(0, l.Queues)
	if l.Queues == 0 {
		n = defaultQueues
	}
	v.handSize = min(v.handSize, n)
	v.queues = make([]waitQueue, n)
	return v
}

// trySeat takes a seat if one is free. Those who wait come first: then none is.
func (l *level) trySeat() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running >= l.seats {
		return false
	}
	l.running++
	return true
}

// enqueue puts the flow of this hash in the shortest queue of its hand. got: there
// was a seat after all. w nil: that queue is full, or there is none.
func (l *level) enqueue(hash uint64) (w *waiter, got bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running < l.seats {
		l.running++
		return nil, true
	}
	q := l.shortest(hash)
	if q == nil || q.length >= l.queueLength {
		return nil, false
	}
	w = &waiter{seat: make(chan struct{}), queue: q, prev: q.last}
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.length++
	l.waiting++
	return w, false
}

// shortest deals the hand of hash: different queues, in an order of its own.
func (l *level) shortest(hash uint64) (best *waitQueue) {
	var hand [maxHandSize]int
	cards := hand[:0]
	for n := len(l.queues); len(cards) < l.handSize; n-- {
		card := int(hash % uint64(n))
		hash /= uint64(n)
		// The card counts those that are not dealt yet.
		at := 0
		for at < len(cards) && cards[at] <= card {
			card, at = card+1, at+1
		}
		cards = append(cards, 0)
		copy(cards[at+1:], cards[at:])
		cards[at] = card
		if q := &l.queues[card]; best == nil || q.length < best.length {
			best = q
		}
	}
	return best
}

// remove takes w out of its queue. mu is held.
func (l *level) remove(w *waiter) {
	q := w.queue
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queue, w.next, w.prev = nil, nil, nil
	q.length--
	l.waiting--
}

// abandon takes w out. False: it has a seat already.
func (l *level) abandon(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.queue == nil {
		return false
	}
	l.remove(w)
	return true
}

// leave gives a seat to the first of the next queue in turn, or back.
func (l *level) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == 0 {
		l.running--
		return
	}
	for {
		l.turn = (l.turn + 1) % len(l.queues)
		if w := l.queues[l.turn].first; w != nil {
			l.remove(w)
			close(w.seat)
			return
		}
	}
}
