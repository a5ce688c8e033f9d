//go:build unix

package handler_test

import (
	"syscall"
	"time"
)

// cpuUsed is what this process has used, in user and kernel mode.
func cpuUsed() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
