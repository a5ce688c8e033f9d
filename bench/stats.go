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
	completed, failed, abandoned, late int64
	bytesRead, bytesWritten, bodyBytes int64
	opened, refused, closed, resumed   int64

	status [maxStatus]int64
	errors map[ErrorKind]int64
	first  map[ErrorKind]string

	latency, service, firstByte, connect, lag *Histogram
}

func newStats() *stats {
	return &stats{
		errors: make(map[ErrorKind]int64), first: make(map[ErrorKind]string),
		latency: NewHistogram(), service: NewHistogram(), firstByte: NewHistogram(), connect: NewHistogram(), lag: NewHistogram(),
	}
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
	for _, h := range []struct{ to, from *Histogram }{
		{s.latency, o.latency}, {s.service, o.service}, {s.firstByte, o.firstByte}, {s.connect, o.connect}, {s.lag, o.lag},
	} {
		if h.from.Count() > 0 {
			h.to.Merge(h.from)
		}
	}
}

// reset empties s, for its next interval.
func (s *stats) reset() {
	latency, service, firstByte, connect, lag, errs, first := s.latency, s.service, s.firstByte, s.connect, s.lag, s.errors, s.first
	for _, h := range []*Histogram{latency, service, firstByte, connect, lag} {
		if h.Count() > 0 {
			h.Reset()
		}
	}
	clear(errs)
	clear(first)
	*s = stats{latency: latency, service: service, firstByte: firstByte, connect: connect, lag: lag, errors: errs, first: first}
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
	r.Latency = s.latency
	r.FirstByte, r.Connect = orNil(s.firstByte), orNil(s.connect)
	r.Service, r.Lag = orNil(s.service), orNil(s.lag)
}

// orNil leaves out a histogram of nothing.
func orNil(h *Histogram) *Histogram {
	if h.Count() == 0 {
		return nil
	}
	return h
}

// point is the interval of s that ended at.
func (s *stats) point(at, length time.Duration, inFlight int64) Point {
	q := func(f float64) float64 { return s.latency.Quantile(f).Seconds() }
	p := Point{At: at.Seconds(), Seconds: length.Seconds(), Completed: s.completed, Failed: s.failed, InFlight: inFlight}
	if s.latency.Count() > 0 {
		p.P50, p.P90, p.P99, p.Max = q(.5), q(.9), q(.99), s.latency.Max().Seconds()
	}
	return p
}
