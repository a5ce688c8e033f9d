package shard

import "sync"

// spares keeps a few parked goroutines, last in first out, so that a hand-off
// or a handshake runs on a warm, grown stack. Locked: detached goroutines
// return here.
type spares struct {
	mu     sync.Mutex
	idle   []chan func()
	closed bool
}

// run gives f to a parked goroutine or starts one.
func (s *spares) run(sh *Shard, f func()) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		ch := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		ch <- f
		return
	}
	s.mu.Unlock()
	sh.wg.Go(func() { s.serve(f) })
}

// serve runs f, then whatever run hands over, until there is no place to park.
func (s *spares) serve(f func()) {
	ch := make(chan func(), 1)
	for f != nil {
		f()
		s.mu.Lock()
		if s.closed || len(s.idle) >= maxSpares {
			s.mu.Unlock()
			return
		}
		s.idle = append(s.idle, ch)
		s.mu.Unlock()
		f = <-ch
	}
}

// close ends the parked goroutines; the running ones end when they are done.
func (s *spares) close() {
	s.mu.Lock()
	s.closed = true
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, ch := range idle {
		ch <- nil
	}
}
