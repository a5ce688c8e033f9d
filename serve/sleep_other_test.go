//go:build !linux

package serve_test

import "time"

func sleepExactly(d time.Duration) { time.Sleep(d) }
