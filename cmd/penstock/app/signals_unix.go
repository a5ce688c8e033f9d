//go:build unix

package app

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyRotated sends to c when the logs were renamed (USR1).
func notifyRotated(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }
