package serve_test

import (
	"syscall"
	"time"
)

// sleepExactly sleeps without the runtime's timers, which are as coarse as
// epoll_wait's millisecond. Call it on a locked thread.
func sleepExactly(d time.Duration) {
	if d > 0 {
		ts := syscall.NsecToTimespec(d.Nanoseconds())
		syscall.Nanosleep(&ts, nil)
	}
}
