package shard

import (
	"sync/atomic"
	"time"
)

// watchdogPeriod bounds how long work waits behind a handler whose goroutine
// does not park (a disk read, cgo, computing) or that no bell announced: one to
// two periods.
const watchdogPeriod = time.Millisecond

// watchdogIdle is how many periods without work end the ticking.
const watchdogIdle = 2

// watchdog is the backstop of the standby. It ticks only while the shard works.
type watchdog struct {
	parked atomic.Bool
	wake   chan struct{} // capacity 1
}

// rouse is called by the leader when it has work again.
func (d *watchdog) rouse() {
	if d.parked.Load() && d.parked.CompareAndSwap(true, false) {
		d.wake <- struct{}{}
	}
}

func (sh *Shard) runWatchdog() {
	d := &sh.watchdog
	var last uint64
	idle := 0
	tick := time.NewTimer(watchdogPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			tick.Reset(watchdogPeriod)
		case <-sh.stopped:
			return
		}
		w := sh.token.word.Load()
		switch {
		case w&inHandler != 0 && w == last:
			if sh.overtake(w) {
				sh.spawn(sh.lead)
			}
		case sh.sleeping.Load():
			if idle++; idle < watchdogIdle {
				break
			}
			idle = 0
			d.parked.Store(true)
			if !sh.sleeping.Load() && d.parked.CompareAndSwap(true, false) {
				break // it woke just now and did not see us park
			}
			select {
			case <-d.wake:
			case <-sh.stopped:
				return
			}
		default:
			idle = 0
		}
		last = w
	}
}
