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

// seldom is a gap between two readings from which on what lies in it is not known
// well: on a busy machine the suite itself has to wait.
const seldom = 3 * sampleEvery

// usedBetween is the CPU time used from one moment to another, and how much of it
// lies in long gaps around them. Within a gap at the begin it is taken as even; one
// at the end is counted whole, as a server that is asked no more uses little.
func usedBetween(samples []sample, from, to time.Time) (used, unsure time.Duration) {
	before, after := around(samples, from)
	begin := between(before, after, from)
	if after.at.Sub(before.at) > seldom {
		unsure += after.used - before.used
	}
	before, after = around(samples, to)
	end := between(before, after, to)
	if after.at.Sub(before.at) > seldom {
		end = after.used
		unsure += after.used - before.used
	}
	return end - begin, unsure
}

// around are the last reading before a moment and the first behind it; twice the
// same where there is but one.
func around(samples []sample, at time.Time) (before, after sample) {
	if len(samples) == 0 {
		return before, after
	}
	before = samples[0]
	for _, after = range samples {
		if after.at.After(at) {
			return before, after
		}
		before = after
	}
	return before, before
}

// between is the CPU time until a moment between two readings, in proportion.
func between(before, after sample, at time.Time) time.Duration {
	gap := after.at.Sub(before.at)
	if gap <= 0 || !at.After(before.at) {
		return before.used
	}
	return before.used + time.Duration(float64(after.used-before.used)*float64(at.Sub(before.at))/float64(gap))
}
