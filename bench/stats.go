package bench

import (
	"maps"
	"time"
)

// maxStatus bounds the status codes that are counted apart (RFC 9110 §15).
const maxStatus = 600

// stats are what a worker counts in an interval. They go to the collector when it
// ends, and come back empty.
type stats struct {
	sums
	errors map[ErrorKind]int64
	first  map[ErrorKind]string

	latency, service, firstByte, connect, lag recorder
}

// sums are what reset sets to zero as a whole.
type sums struct {
	completed, failed, abandoned, late int64
	bytesRead, bytesWritten, bodyBytes int64
	opened, refused, closed, resumed   int64

	status [maxStatus]int64
}

func newStats() *stats {
	return &stats{errors: make(map[ErrorKind]int64), first: make(map[ErrorKind]string)}
}

func (s *stats) fail(kind ErrorKind, text string) {
	s.failed++
	s.errors[kind]++
	s.note(kind, text)
}

// note keeps the first text of a kind.
func (s *stats) note(kind ErrorKind, text string) {
	if s.first[kind] == "" && text != "" {
		s.first[kind] = text
	}
}

// add is s with o's counts.
func (s *stats) add(o *stats) {
	s.completed += o.completed
	s.failed += o.failed
	s.abandoned += o.abandoned
	s.late += o.late
	s.bytesRead += o.bytesRead
	s.bytesWritten += o.bytesWritten
	s.bodyBytes += o.bodyBytes
	s.opened += o.opened
	s.refused += o.refused
	s.closed += o.closed
	s.resumed += o.resumed
	for i, n := range o.status {
		s.status[i] += n
	}
	for kind, n := range o.errors {
		s.errors[kind] += n
	}
	for kind, text := range o.first {
		s.note(kind, text)
	}
	to, from := s.recorders(), o.recorders()
	for i := range to {
		to[i].add(from[i])
	}
}

func (s *stats) recorders() [5]*recorder {
	return [...]*recorder{&s.latency, &s.service, &s.firstByte, &s.connect, &s.lag}
}

// reset forgets all counts, and keeps the memory.
func (s *stats) reset() {
	for _, r := range s.recorders() {
		r.reset()
	}
	clear(s.errors)
	clear(s.first)
	s.sums = sums{}
}

// fill writes the counts into r.
func (s *stats) fill(r *Result) {
	r.Completed, r.Failed, r.Abandoned, r.Late = s.completed, s.failed, s.abandoned, s.late
	r.Requests = s.completed + s.failed + s.abandoned
	r.BytesRead, r.BytesWritten, r.BodyBytes = s.bytesRead, s.bytesWritten, s.bodyBytes
	r.Connections = Connections{Opened: s.opened, Failed: s.refused, Closed: s.closed}
	r.Target.Resumed = s.resumed
	r.Status = make(map[int]int64)
	for status, n := range s.status {
		if n > 0 {
			r.Status[status] = n
		}
	}
	if len(s.errors) > 0 {
		r.Errors, r.FirstError = maps.Clone(s.errors), make(map[ErrorKind]string)
		for kind := range s.errors {
			r.FirstError[kind] = s.first[kind]
		}
	}
	if r.Latency = s.latency.histogram(); r.Latency == nil { // always there
		r.Latency = NewHistogram()
	}
	r.FirstByte, r.Connect = s.firstByte.histogram(), s.connect.histogram()
	r.Service, r.Lag = s.service.histogram(), s.lag.histogram()
}

// point is the interval of s that ended at.
func (s *stats) point(at, length time.Duration, inFlight int64) Point {
	p := Point{At: at.Seconds(), Seconds: length.Seconds(), Completed: s.completed, Failed: s.failed, InFlight: inFlight}
	if h := s.latency.histogram(); h != nil {
		q := func(f float64) float64 { return h.Quantile(f).Seconds() }
		p.P50, p.P90, p.P99, p.Max = q(.5), q(.9), q(.99), h.Max().Seconds()
	}
	return p
}
