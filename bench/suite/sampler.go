package suite

import "time"

// sampleEvery is how often a server's CPU time is read. Each reading costs the
// suite's core some 50 us.
const sampleEvery = 20 * time.Millisecond

// sample is a server's CPU time until a moment.
type sample struct {
	at   time.Time
	used time.Duration
}

// sampler reads a server's CPU time again and again: the generator measures from
// when it has connected and warmed up, which only it knows.
type sampler struct {
	samples []sample
	stop    chan struct{}
	done    chan struct{}
}

func watch(p *process) *sampler {
	s := &sampler{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			s.samples = append(s.samples, sample{time.Now(), p.cpu()})
			select {
			case <-tick.C:
			case <-s.stop:
				s.samples = append(s.samples, sample{time.Now(), p.cpu()})
				return
			}
		}
	}()
	return s
}

// end stops it and answers what it has read.
func (s *sampler) end() []sample {
	close(s.stop)
	<-s.done
	return s.samples
}

// usedBetween is the CPU time used from one moment to another, between two readings
// in proportion.
func usedBetween(samples []sample, from, to time.Time) time.Duration {
	return usedAt(samples, to) - usedAt(samples, from)
}

func usedAt(samples []sample, at time.Time) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	before := samples[0]
	for _, s := range samples {
		if s.at.After(at) {
			if gap := s.at.Sub(before.at); gap > 0 && at.After(before.at) {
				return before.used + time.Duration(float64(s.used-before.used)*float64(at.Sub(before.at))/float64(gap))
			}
			return before.used
		}
		before = s
	}
	return before.used
}
