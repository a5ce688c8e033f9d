package app

import (
	"log/slog"
	"sync/atomic"

	"github.com/penstock-edge/penstock/handler"
)

// lifecycle is what handlers may know of the run that serves them.
type lifecycle struct {
	log *slog.Logger
	// stop is set as soon as a stop was asked for; it stays set.
	stop atomic.Bool
}

// healthGroups are healthz, livez and readyz. readyz fails from the stop
// signal on, so that a balancer looks elsewhere; the others stay well until
// the end, or a supervisor would kill what is draining.
func (l *lifecycle) healthGroups(opts handler.HealthOptions) ([]*handler.HealthGroup, error) {
	opts.ErrorLog = l.log
	ping := handler.PingCheck()
	checks := []struct {
		name   string
		checks []handler.HealthChecker
	}{
		{"healthz", []handler.HealthChecker{ping}},
		{"livez", []handler.HealthChecker{ping}},
		{"readyz", []handler.HealthChecker{ping, handler.ShutdownCheck(l.stop.Load)}},
	}
	groups := make([]*handler.HealthGroup, 0, len(checks))
	for _, c := range checks {
		g, err := handler.NewHealthGroup(c.name, opts, c.checks...)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}
