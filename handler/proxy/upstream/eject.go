package upstream

import "time"

// ejection is the passive check of an endpoint. group.mu guards it.
type ejection struct {
	until int64 // when it ends; 0: the endpoint is not ejected
	ended int64 // when the last one did
	count int   // how many, less what good time has worked off
	total uint64
}

// eject takes an endpoint out that failed too often in a row, unless that would be
// more than a part of the group, or the last: failures may be the network's or the
// requests' own, and then the endpoints that serve badly are the best there are.
func (g *Group) eject(e *Endpoint, t int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refreshLocked(t)
	v, rule := g.view.Load(), &g.set.Eject
	switch {
	case rule.After <= 0 || e.inRow.Load() < int64(rule.After): // another answer came
		return
	case e.ejection.until != 0 || e.check.down || e.draining || e.gone.Load():
		return
	case v.usable <= 1:
		return
	case rule.MaxPercent > 0 && (v.ejected+1)*100 > rule.MaxPercent*v.total:
		return
	}
	x := &e.ejection
	// Not above what Max allows: it could never be worked off, nor be multiplied.
	x.count = min(x.after(t, rule.For), int(rule.Max/rule.For)) + 1
	x.total++
	x.until = t + int64(min(rule.Max, rule.For*time.Duration(x.count)))
	g.rebuild(t)
}

// after is the count at t: each stretch of good time that is as long as the first
// ejection takes one off.
func (x *ejection) after(t int64, length time.Duration) int {
	return max(0, x.count-int((t-x.ended)/int64(length)))
}

// forgive ends an ejection before its time: the endpoint has passed its active check,
// or has answered as the last resort of a request. mu is held.
func (g *Group) forgive(e *Endpoint, t int64) {
	e.ejection.until = 0
	e.ejection.ended = t
	g.readmit(e, t)
	g.rebuild(t)
	g.dispatchLocked(t, nil)
}
