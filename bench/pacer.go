package bench

import "math"

// pacer says when a worker's requests are to begin in an open loop. Start k of
// worker i of n is at from + (k*n+i)/rate, so that all workers together are evenly
// spaced. Nothing is stored: starts that wait for a free connection are the
// numbers from next on whose time has passed.
type pacer struct {
	from   int64   // ns
	period float64 // ns between two starts of this worker
	offset float64 // ns of its first one
	next   int64   // the first start that has not begun
}

func newPacer(rate float64, worker, workers int, from int64) pacer {
	const second = 1e9
	return pacer{from: from, period: second * float64(workers) / rate, offset: second * float64(worker) / rate}
}

// at is the intended time of start k.
func (p *pacer) at(k int64) int64 {
	return p.from + int64(math.Round(p.offset+float64(k)*p.period))
}

// gathered is when to wake for the next start: behind it by quantum at most, with the
// further ones that come by then.
func (p *pacer) gathered(quantum int64) int64 {
	return p.at(p.next + int64(float64(quantum)/p.period))
}

// due is the number of starts that wait at now.
func (p *pacer) due(now int64) int64 {
	passed := float64(now-p.from) - p.offset
	if passed < 0 {
		return 0
	}
	return max(0, int64(passed/p.period)+1-p.next)
}

// take is the intended time of the next start, which has begun with that.
func (p *pacer) take() int64 {
	at := p.at(p.next)
	p.next++
	return at
}
