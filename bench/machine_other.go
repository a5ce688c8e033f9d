//go:build !linux

package bench

import "time"

// Nothing of this is to be had by the standard library alone.

func machine() (cpu string, load float64) { return "", 0 }

func kernelVersion() string { return "" }

func descriptorLimit() (uint64, bool) { return 0, false }

func cpuTimes() (user, system time.Duration) { return 0, 0 }
