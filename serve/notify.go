package serve

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// Readiness is looked at often at first: a start is seldom longer.
	readinessLook    = 20 * time.Millisecond
	readinessLookMax = time.Second
)

const notifyStopping = daemon.SdNotifyStopping

// notify tells the service manager, if it is to be told.
func (r *genericRun) notify(state string) {
	if !r.s.config.SystemdNotify {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		r.s.log.Warn("tell the service manager", slog.Any("error", err))
	}
}

// watchReadiness fires HasBeenReady when readyz passes for the first time, even
// if nobody probes, and tells the service manager only then. While the server
// lives it tells of that too, if asked to (WatchdogSec=).
func (r *genericRun) watchReadiness() {
	pause := readinessLook
	for !r.s.health.readyz.passes(r.serving) {
		if r.serving.Err() != nil || !sleep(r.serving, pause) {
			return
		}
		pause = min(2*pause, readinessLookMax)
	}
	r.s.signals.HasBeenReady.Signal()
	r.notify(daemon.SdNotifyReady)
	r.keepWatchdog()
}

// keepWatchdog tells the service manager that livez passes, until the very end:
// a drain is a part of life.
func (r *genericRun) keepWatchdog() {
	if !r.s.config.SystemdNotify {
		return
	}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		r.s.log.Warn("the service manager's watchdog", slog.Any("error", err))
	}
	if interval <= 0 {
		return
	}
	for {
		if r.s.health.livez.passes(r.living) {
			r.notify(daemon.SdNotifyWatchdog)
		}
		if !sleep(r.living, interval/2) {
			return
		}
	}
}

// Reload tells the service manager that f, which loads the configuration anew,
// is under way (RELOADING, with the time that Type=notify-reload wants), and of
// READY when it has returned, well or not. Calls come one after the other; a
// panic of f is an error.
func (s *GenericServer) Reload(f func() error) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	r := s.run.Load()
	if r == nil || !s.signals.HasBeenReady.HasSignaled() || s.signals.ShutdownInitiated.HasSignaled() {
		return isolated(f) // the manager knows of no READY that could be taken back
	}
	state := daemon.SdNotifyReloading
	if now := strings.TrimSpace(daemon.SdNotifyMonotonicUsec()); now != "" {
		state += "\n" + now
	}
	r.notify(state)
	err := isolated(f)
	if !s.signals.ShutdownInitiated.HasSignaled() {
		r.notify(daemon.SdNotifyReady)
	}
	return err
}

// sleep waits for d; false: ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
