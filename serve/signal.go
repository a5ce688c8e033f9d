package serve

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// shutdownSignals begin the drain: INT and TERM as upstream, QUIT as nginx.
var shutdownSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}

// shutdownHandler is the channel of the one SetupSignalHandler call; signals
// are the process's, so this is too.
var shutdownHandler atomic.Pointer[chan os.Signal]

// SetupSignalHandler returns a channel that closes at the first INT, TERM or
// QUIT. The second ends the process at once with code 1. It may be called
// once in a process, SetupSignalContext included; a second call panics.
func SetupSignalHandler() <-chan struct{} {
	return SetupSignalContext().Done()
}

// SetupSignalContext is SetupSignalHandler as a context.
func SetupSignalContext() context.Context {
	ch := make(chan os.Signal, 2)
	if !shutdownHandler.CompareAndSwap(nil, &ch) {
		panic("serve: the signal handler is set up already")
	}
	ctx, cancel := context.WithCancel(context.Background())
	signal.Notify(ch, shutdownSignals...)
	go func() {
		<-ch
		cancel()
		<-ch
		os.Exit(1)
	}()
	return ctx
}

// RequestShutdown acts as a first signal from inside the process. False: no
// handler is set up, or two signals wait already.
func RequestShutdown() bool {
	ch := shutdownHandler.Load()
	if ch == nil {
		return false
	}
	select {
	case *ch <- shutdownSignals[0]:
		return true
	default:
		return false
	}
}
