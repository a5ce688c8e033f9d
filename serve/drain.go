package serve

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The timeline of a stop:
//
//	Shutdown ──┬─ answers carry Connection: close and no Alt-Svc, idle connections
//	           │  close, those of HTTP/2 and HTTP/3 are sent GOAWAY
//	           ├─ listening sockets are quiesced: no new connection begins
//	           ├─ one round trip later each accept queue is emptied and closed  ── listeners stopped
//	           ├─ requests finish; the last connection of each shard goes       ── drained
//	Close ─────┴─ what is left is cut, and counted                              ── stopped

// DrainReport is what a stop has seen.
type DrainReport struct {
	Finished uint64 // requests answered since the stop began
	Cut      int64  // connections with a request under way that were cut
}

// Shutdown stops the server without losing a request: see the timeline. It
// waits until all connections have gone, or ctx ends, whose error it answers
// then; the rest is left to Close. Hijacked connections are not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginDrain()
	s.stopListening()
	return s.awaitDrained(ctx)
}

// beginDrain makes answers carry Connection: close and idle connections end.
func (s *Server) beginDrain() {
	s.mu.Lock()
	s.init()
	first := !s.stopping
	s.stopping = true
	shards := s.shards
	s.mu.Unlock()
	if !first {
		return
	}
	s.mu.Lock()
	s.drainedFrom = 0
	s.mu.Unlock()
	before := s.Stats().Requests
	s.mu.Lock()
	s.drainedFrom = before
	s.mu.Unlock()
	s.draining.Store(true)
	s.withdrawHTTP3()
	for _, q := range s.quicServices() {
		q.engine.Drain()
	}
	for _, sh := range shards {
		sh.Drain()
	}
	s.portables.drain(nil)
}

// stopListening takes what the kernel has completed out of the queues, and
// closes the sockets.
func (s *Server) stopListening() {
	s.mu.Lock()
	services := s.services
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, svc := range services {
		wg.Go(svc.stopListening)
	}
	wg.Wait()
}

func (svc *service) stopListening() {
	if svc.group == nil {
		svc.listener.Close()
		<-svc.acceptEnd
		svc.finish(ErrServerClosed)
		return
	}
	svc.leave.Do(func() {
		defer close(svc.acceptEnd)
		defer svc.finish(ErrServerClosed)
		if err := svc.group.Quiesce(); err != nil {
			svc.srv.Options.log().Warn("stop listening: cannot hold new connections back; some may be reset", "error", err)
		}
		// SYN-ACKs under way complete within a round trip.
		time.Sleep(svc.group.RoundTrip())
		var left sync.WaitGroup
		for i, sh := range svc.srv.shards {
			left.Add(1)
			sh.Leave(svc.parts[i].shard, left.Done)
		}
		left.Wait()
		svc.group.Close()
		svc.listener.Close()
	})
	<-svc.acceptEnd
}

// awaitDrained waits until the last connection has gone.
func (s *Server) awaitDrained(ctx context.Context) error {
	for {
		emptied := s.emptied() // before the look: what goes after it signals
		if s.live() == 0 {
			s.endShards()
			return nil
		}
		select {
		case <-emptied:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// live counts the connections that a drain waits for.
func (s *Server) live() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range s.shards {
		n += sh.Live()
	}
	for _, q := range s.quics {
		n += q.live()
	}
	return n + int64(s.portables.open())
}

// Close ends everything at once: listeners, and connections in the middle of
// their requests. Handlers that still run find their context cancelled.
func (s *Server) Close() error {
	s.mu.Lock()
	s.init()
	s.stopping = true
	shards, services := s.shards, s.services
	s.mu.Unlock()
	s.draining.Store(true)
	s.withdrawHTTP3()
	var cut sync.WaitGroup
	for _, q := range s.quicServices() {
		q.engine.Drain()
		cut.Go(func() { s.stats.Cut.Add(int64(q.engine.Cut())) })
	}
	for _, sh := range shards {
		cut.Add(1)
		sh.Drain()
	}
	s.closeListeners(services)
	for _, sh := range shards {
		sh.Cut(func(n int) {
			s.stats.Cut.Add(int64(n))
			cut.Done()
		})
	}
	cut.Wait()
	s.stats.Cut.Add(int64(s.portables.cut(nil)))
	s.endShards()
	return nil
}

// closeListeners ends accepting without the wait of a drain.
func (s *Server) closeListeners(services []*service) {
	var errs []error
	for _, svc := range services {
		if svc.group != nil {
			svc.leave.Do(func() {
				defer close(svc.acceptEnd)
				var left sync.WaitGroup
				for i, sh := range s.shards {
					left.Add(1)
					sh.Leave(svc.parts[i].shard, left.Done)
				}
				left.Wait()
				errs = append(errs, svc.group.Close())
			})
		}
		errs = append(errs, svc.listener.Close())
		<-svc.acceptEnd
		svc.finish(ErrServerClosed)
	}
	_ = errors.Join(errs...) // closing twice is no error here
}

// endShards lets the shards go once their last connection has: a handler that
// never returns keeps its shard's goroutines, and nothing else.
func (s *Server) endShards() {
	s.mu.Lock()
	shards := s.shards
	done := s.closed
	s.closed = true
	s.mu.Unlock()
	if done {
		return
	}
	s.pressure.stop()
	for _, q := range s.quicServices() {
		q.end()
	}
	for _, sh := range shards {
		sh.Stop()
	}
	for _, sh := range shards {
		if sh.Live() == 0 {
			<-sh.Stopped()
		}
	}
}

// DrainReport tells what the stop has seen so far.
func (s *Server) DrainReport() DrainReport {
	now := s.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return DrainReport{Finished: now.Requests - min(s.drainedFrom, now.Requests), Cut: now.Cut}
}
