package debug

import (
	"runtime"
	"sync"
	"time"
)

// ContentionOptions says how much of waiting is sampled. The zero value is cheap
// enough for production.
type ContentionOptions struct {
	// BlockRate is the blocked time that makes one sample of the block profile:
	// channels, selects, conditions, locks. 1 samples everything, which costs at
	// each of them. If zero, 10 us. If negative, none.
	BlockRate time.Duration
	// MutexFraction n samples one of n contended locks, for the mutex profile. 1
	// samples all. If zero, 100. If negative, none.
	MutexFraction int
}

// StartContention switches the block and mutex profiles on, for the whole process,
// until stop is called. Without it they are empty.
func StartContention(opts ContentionOptions) (stop func()) {
	if opts.BlockRate == 0 {
		opts.BlockRate = defaultBlockRate
	}
	if opts.MutexFraction == 0 {
		opts.MutexFraction = defaultMutexFraction
	}
	before := runtime.SetMutexProfileFraction(-1) // which only asks
	if opts.BlockRate > 0 {
		runtime.SetBlockProfileRate(int(opts.BlockRate.Nanoseconds()))
	}
	if opts.MutexFraction > 0 {
		runtime.SetMutexProfileFraction(opts.MutexFraction)
	}
	return sync.OnceFunc(func() {
		if opts.BlockRate > 0 {
			runtime.SetBlockProfileRate(0) // what it was cannot be asked
		}
		if opts.MutexFraction > 0 {
			runtime.SetMutexProfileFraction(before)
		}
	})
}
