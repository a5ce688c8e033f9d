package suite

import "time"

// What a turn takes besides the load: to start the server, and to end it.
const (
	turnSpare = 500 * time.Millisecond
	// idleConnect is about how long the connections of an idle work take.
	idleConnect = 3 * time.Second
)

// estimate is about how long the works will take on a quiet machine.
func (n *session) estimate() (total time.Duration) {
	for _, w := range n.Works {
		if n.refuse(w, 0) != "" {
			continue
		}
		turns := 0
		for _, t := range n.there {
			if t.start(&place{dir: n.site.dir, work: w}) != nil {
				turns++
			}
		}
		total += time.Duration(turns) * n.estimateWork(w)
	}
	return total
}

// estimateWork is a work's share of one server.
func (s *Suite) estimateWork(w Work) time.Duration {
	if w.Kind == Idle {
		return time.Duration(min(s.Rounds, idleRounds)) * (turnSpare + awake + idleConnect + settle)
	}
	rounds, one := time.Duration(s.Rounds), turnSpare+s.warmup(w)
	total := rounds * (one + s.Duration)
	if w.Latency && s.Latency {
		total += rounds * (one + latencyWarmup + s.Duration)
	}
	if w.Syscalls && s.Syscalls {
		total += one + attachTime + syscallTime
	}
	return total
}
