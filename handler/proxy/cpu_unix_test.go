//go:build unix

package proxy_test

import (
	"syscall"
	"time"
)

// cpuUsed is what this process has used, in user and kernel mode.
func cpuUsed() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
