package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	logFlushInterval = time.Minute
	logFlushPatience = 2 * time.Minute
)

// logCheck fails when the log has not taken a flush for a while.
type logCheck struct {
	flush func() error
	last  atomic.Pointer[time.Time] // success; nil: the server does not run yet
}

func newLogCheck(flush func() error, log *slog.Logger) *logCheck {
	if flush == nil {
		flush = func() error {
			log.Debug("the log is alive")
			return nil
		}
	}
	return &logCheck{flush: flush}
}

// Name is the check's.
func (*logCheck) Name() string { return "log" }

// Check looks at the last flush.
func (c *logCheck) Check(*http.Request) error {
	if last := c.last.Load(); last != nil && time.Since(*last) > logFlushPatience {
		return fmt.Errorf("the log was last flushed %v ago", time.Since(*last).Round(time.Second))
	}
	return nil
}

// run flushes until ctx ends. A log that never took anything is late from the
// start on.
func (c *logCheck) run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(logFlushInterval)
	defer ticker.Stop()
	begin := time.Now()
	c.last.Store(&begin)
	for {
		if err := isolated(c.flush); err != nil {
			log.Warn("flush the log", slog.Any("error", err))
		} else {
			now := time.Now()
			c.last.Store(&now)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
